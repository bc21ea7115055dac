//! The plan as threads of the engine run it: labels as numbers, streams as one list.

use std::fmt::Write as _;

use crate::plan::{Plan, SamplerKind, Step, StreamSet, TailMode};
use crate::target::Target;
use crate::{LoadError, plan};

/// A label of the report.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Label {
    pub(crate) name: String,
    pub(crate) kind: &'static str,
    pub(crate) deliveries: bool,
}

/// What all threads read.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) plan: Plan,
    pub(crate) target: Target,
    pub(crate) labels: Vec<Label>,
    /// Where each set begins in the list of all streams.
    first_stream: Vec<u32>,
    /// Somebody follows what is published.
    pub(crate) has_readers: bool,
}

impl Program {
    pub(crate) fn new(plan: &Plan) -> Result<Program, LoadError> {
        let target = Target::parse(&plan.target, &plan.transport)?;
        let mut labels = Vec::new();
        plan.groups.iter().for_each(|group| collect(&group.steps, &mut labels));
        labels.sort_by_key(|label: &Label| label.deliveries);
        let mut streams = 0;
        let first_stream = plan.streams.iter().map(|set| {
            let first = streams;
            streams += set.count;
            first
        });
        let first_stream = first_stream.collect();
        let has_readers = labels.iter().any(|label| label.deliveries);
        Ok(Program { plan: plan.clone(), target, labels, first_stream, has_readers })
    }

    /// The number of a label, which every step of the plan has.
    pub(crate) fn label(&self, name: &str, deliveries: bool) -> usize {
        let is = |label: &Label| label.name == name && label.deliveries == deliveries;
        self.labels.iter().position(is).unwrap_or(0)
    }

    /// A stream of a set, in the list of all streams.
    pub(crate) fn stream(&self, set: usize, index: u32) -> u32 {
        self.first_stream[set] + index
    }

    /// The path of a stream of a set.
    pub(crate) fn path(&self, set: usize, index: u32) -> String {
        self.one_of(set, &self.plan.streams[set].path, index)
    }

    /// Where live readers read that stream.
    pub(crate) fn live_path(&self, set: usize, index: u32) -> String {
        let StreamSet { path, live_path, .. } = &self.plan.streams[set];
        self.one_of(set, live_path.as_ref().unwrap_or(path), index)
    }

    fn one_of(&self, set: usize, path: &str, index: u32) -> String {
        // In one piece: users ask for it with each request.
        let mut out = String::with_capacity(self.target.path.len() + path.len() + 16);
        if !path.starts_with('/') {
            out.push_str(&self.target.path);
            out.push('/');
        }
        out.push_str(path);
        if self.plan.streams[set].count != 1 {
            let _ = write!(out, "/{index}");
        }
        out
    }

    /// The path of a stream in the list of all streams.
    pub(crate) fn stream_path(&self, stream: u32) -> String {
        let set = self.first_stream.partition_point(|first| *first <= stream).saturating_sub(1);
        self.path(set, stream - self.first_stream[set])
    }

    /// The path and query of a whole URL, an absolute path, or a path below the target.
    pub(crate) fn absolute(&self, path: &str) -> String {
        match path.split_once("://") {
            // A URL may be in a query, too.
            _ if path.starts_with('/') => path.to_owned(),
            Some((_, rest)) => rest.find('/').map_or("/", |slash| &rest[slash..]).to_owned(),
            None => format!("{}/{path}", self.target.path),
        }
    }
}

fn collect(steps: &[Step], labels: &mut Vec<Label>) {
    for step in steps {
        let label = match step {
            Step::Sample(sampler) => {
                let (kind, deliveries) = kind(&sampler.kind);
                Some(Label { name: sampler.label.clone(), kind, deliveries })
            }
            Step::Transaction { label, .. } => {
                Some(Label { name: label.clone(), kind: "transaction", deliveries: false })
            }
            Step::Loop { .. } | Step::If { .. } | Step::Pause(_) => None,
        };
        labels.extend(label.filter(|label| !labels.contains(label)));
        if let Step::Loop { steps, .. } | Step::If { steps, .. } | Step::Transaction { steps, .. } =
            step
        {
            collect(steps, labels);
        }
    }
}

/// What a step of the plan is called in reports, and whether it counts deliveries.
pub(crate) fn kind(kind: &plan::SamplerKind) -> (&'static str, bool) {
    match kind {
        SamplerKind::Create { .. } => ("create", false),
        SamplerKind::Append { .. } => ("append", false),
        SamplerKind::AppendBatch { .. } => ("append-batch", false),
        SamplerKind::ProducerAppend { .. } => ("producer-append", false),
        SamplerKind::Close { .. } => ("close", false),
        SamplerKind::Read { .. } => ("read", false),
        SamplerKind::Tail(tail) => match tail.mode {
            TailMode::Sse => ("sse", true),
            TailMode::Events => ("events", true),
            TailMode::LongPoll => ("long-poll", true),
            TailMode::CatchUp { .. } => ("catch-up", true),
        },
        SamplerKind::Head { .. } => ("head", false),
        SamplerKind::Delete { .. } => ("delete", false),
        SamplerKind::Fork { .. } => ("fork", false),
        SamplerKind::Http { .. } => ("http", false),
    }
}

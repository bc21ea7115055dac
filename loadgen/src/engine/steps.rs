//! The steps of a group, ready to be run on one thread: names are slots, choices have their state.

use std::cell::RefCell;

use http::Method;

use super::program::Program;
use crate::plan::{From, Group, Sampler, SamplerKind, Step};
use crate::schedule::{Chooser, Pacer, timer_rng};
use crate::user::{
    Checks, Compiled, CompiledCondition, CompiledExtractions, Messages, Names, compile,
};

/// One step.
pub(crate) enum Op {
    Request(Box<Request>),
    Pause(Box<RefCell<Pacer>>),
    Loop(Option<u32>, Vec<Op>),
    If(CompiledCondition, Vec<Op>),
    Transaction { label: usize, ops: Vec<Op>, include_pauses: bool },
}

/// An operation.
pub(crate) struct Request {
    pub(crate) label: usize,
    pub(crate) kind: Kind,
    pub(crate) method: Method,
    /// The set of streams and the choice among them.
    pub(crate) streams: Option<(usize, RefCell<Chooser>)>,
    pub(crate) fields: Vec<(String, Compiled)>,
    pub(crate) checks: Checks,
    pub(crate) extractions: CompiledExtractions,
}

impl Request {
    /// Whether its fields are always the same.
    pub(crate) fn is_static(&self) -> bool {
        self.fields.iter().all(|(_, value)| value.constant().is_some())
    }
}

/// What is special about it.
pub(crate) enum Kind {
    Create(Option<RefCell<Messages>>),
    Append { messages: RefCell<Messages>, batch: Option<u32>, producer: bool },
    Close,
    Read { from: Compiled, max_pages: u32 },
    Plain,
    Fork,
    Http { path: Compiled, body: Compiled },
}

/// The label of the first operation.
pub(crate) fn first_label(ops: &[Op]) -> Option<usize> {
    ops.iter().find_map(|op| match op {
        Op::Request(request) => Some(request.label),
        Op::Pause(_) => None,
        Op::Loop(_, ops) | Op::If(_, ops) | Op::Transaction { ops, .. } => first_label(ops),
    })
}

/// Compiles the steps of one group.
pub(crate) struct Compiler<'a> {
    pub(crate) program: &'a Program,
    pub(crate) group: u32,
    pub(crate) users: u32,
    pub(crate) core: u32,
    pub(crate) cores: u32,
    pub(crate) begin_ns: u64,
    pub(crate) timers: u32,
}

impl Compiler<'_> {
    pub(crate) fn group(&mut self, group: &Group, names: &mut Names) -> Vec<Op> {
        self.steps(&group.steps, names)
    }

    fn steps(&mut self, steps: &[Step], names: &mut Names) -> Vec<Op> {
        steps.iter().map(|step| self.step(step, names)).collect()
    }

    fn step(&mut self, step: &Step, names: &mut Names) -> Op {
        match step {
            Step::Sample(sampler) => Op::Request(Box::new(self.request(sampler, names))),
            Step::Pause(timer) => {
                let rng = timer_rng(self.program.plan.seed, self.group, self.timers, self.core);
                self.timers += 1;
                let share = 1.0 / f64::from(self.cores);
                let pacer = Pacer::new(timer, self.users, share, self.begin_ns, rng);
                Op::Pause(Box::new(RefCell::new(pacer)))
            }
            Step::Loop { times, steps } => Op::Loop(*times, self.steps(steps, names)),
            Step::If { condition, steps } => {
                let condition = CompiledCondition::new(condition, names);
                Op::If(condition, self.steps(steps, names))
            }
            Step::Transaction { label, steps, include_pauses } => Op::Transaction {
                label: self.program.label(label, false),
                ops: self.steps(steps, names),
                include_pauses: *include_pauses,
            },
        }
    }

    pub(crate) fn request(&self, sampler: &Sampler, names: &mut Names) -> Request {
        let mut fields: Vec<_> = self
            .program
            .plan
            .fields
            .iter()
            .chain(&sampler.fields)
            .map(|(name, value)| (name.clone(), compile(value, names)))
            .collect();
        if let Some(bearer) = &self.program.plan.bearer {
            let mut value = bearer.clone();
            value.0.insert(0, crate::plan::Piece::Text("Bearer ".into()));
            fields.push(("authorization".into(), compile(&value, names)));
        }
        let (method, set, kind) = self.kind(&sampler.kind, names);
        let streams = set.map(|set| {
            let stream_set = &self.program.plan.streams[set];
            let chooser = Chooser::new(&stream_set.choice, stream_set.count);
            (set, RefCell::new(chooser.part(self.core, self.cores)))
        });
        Request {
            label: self.program.label(&sampler.label, false),
            kind,
            method,
            streams,
            fields,
            checks: Checks::new(&sampler.assertions, names),
            extractions: CompiledExtractions::new(&sampler.extractions, names),
        }
    }

    fn kind(&self, kind: &SamplerKind, names: &mut Names) -> (Method, Option<usize>, Kind) {
        let append = |payload, batch, producer, names: &mut Names| {
            let messages = RefCell::new(Messages::new(payload, names));
            Kind::Append { messages, batch, producer }
        };
        match kind {
            SamplerKind::Create { streams, body } => {
                let body = body.as_ref().map(|body| RefCell::new(Messages::new(body, names)));
                (Method::PUT, Some(*streams), Kind::Create(body))
            }
            SamplerKind::Append { streams, payload } => {
                (Method::POST, Some(*streams), append(payload, None, false, names))
            }
            SamplerKind::AppendBatch { streams, payload, messages } => {
                (Method::POST, Some(*streams), append(payload, Some(*messages), false, names))
            }
            SamplerKind::ProducerAppend { streams, payload } => {
                (Method::POST, Some(*streams), append(payload, None, true, names))
            }
            SamplerKind::Close { streams } => (Method::POST, Some(*streams), Kind::Close),
            SamplerKind::Read { streams, from, max_pages } => {
                let from = match from {
                    From::Beginning => text("-1", names),
                    From::Now => text("now", names),
                    From::Offset(template) => compile(template, names),
                };
                let max_pages = max_pages.unwrap_or(u32::MAX);
                (Method::GET, Some(*streams), Kind::Read { from, max_pages })
            }
            SamplerKind::Head { streams } => (Method::HEAD, Some(*streams), Kind::Plain),
            SamplerKind::Delete { streams } => (Method::DELETE, Some(*streams), Kind::Plain),
            SamplerKind::Fork { streams } => (Method::PUT, Some(*streams), Kind::Fork),
            SamplerKind::Http { method, path, body } => {
                let method = Method::from_bytes(method.as_bytes()).unwrap_or(Method::GET);
                let (path, body) = (compile(path, names), compile(body, names));
                (method, None, Kind::Http { path, body })
            }
            // A live reader is no step of an iteration: see `tail`.
            SamplerKind::Tail(_) => (Method::GET, None, Kind::Plain),
        }
    }
}

fn text(text: &str, names: &mut Names) -> Compiled {
    compile(&crate::plan::Template(vec![crate::plan::Piece::Text(text.into())]), names)
}

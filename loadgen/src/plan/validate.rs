//! What must not be together in a plan, whatever format it is from.
//!
//! Invariant: a plan that passes has no step that cannot be reached, no live reader that would
//! stop an iteration from ending, and no name that nothing defines.
//!
//! Deliberately absent: values alone, which are judged where they are read.

mod names;

use std::collections::BTreeMap;
use std::time::Duration;

use super::element::Element;
use super::{
    Group, Load, Metric, Payload, Piece, Plan, PlanError, Sampler, SamplerKind, Step, StreamSet,
    Template, Threshold, Timer,
};

/// Looks for all of it.
pub(crate) fn check(plan: &Plan) -> Result<(), PlanError> {
    structure(plan)?;
    names::check(plan)
}

/// All but references to variables, which other formats leave as text where nothing defines them.
pub(crate) fn structure(plan: &Plan) -> Result<(), PlanError> {
    let mut labels = BTreeMap::new();
    let groups = Element::ROOT.key("groups");
    for (index, group) in plan.groups.iter().enumerate() {
        let at = groups.index(index);
        let scope = Scope { plan, group, open: matches!(group.load, Load::Open { .. }) };
        scope.steps(&at, &group.steps, true, &mut labels)?;
        if !has_sample(&group.steps) {
            let reason = "the group has pauses only: expected an operation";
            return Err(at.key("steps").contradiction(reason));
        }
    }
    warm_up(plan)?;
    let thresholds = Element::ROOT.key("thresholds");
    let each = |(index, threshold)| self::threshold(&thresholds.index(index), threshold, &labels);
    plan.thresholds.iter().enumerate().try_for_each(each)
}

/// The name of an operation, as plans and reports have it.
pub(crate) fn kind_name(kind: &SamplerKind) -> &'static str {
    match kind {
        SamplerKind::Create { .. } => "create",
        SamplerKind::Append { .. } => "append",
        SamplerKind::AppendBatch { .. } => "append_batch",
        SamplerKind::ProducerAppend { .. } => "producer_append",
        SamplerKind::Close { .. } => "close",
        SamplerKind::Read { .. } => "read",
        SamplerKind::Tail(_) => TAIL,
        SamplerKind::Head { .. } => "head",
        SamplerKind::Delete { .. } => "delete",
        SamplerKind::Fork { .. } => "fork",
        SamplerKind::Http { .. } => "http",
    }
}

/// Operations by label.
type Labels<'a> = BTreeMap<&'a str, &'static str>;

/// What steps of a group are looked at with.
struct Scope<'a> {
    plan: &'a Plan,
    group: &'a Group,
    open: bool,
}

impl<'a> Scope<'a> {
    fn steps(
        &self,
        at: &Element<'_>,
        steps: &'a [Step],
        top: bool,
        labels: &mut Labels<'a>,
    ) -> Result<(), PlanError> {
        let at = at.key("steps");
        for (index, step) in steps.iter().enumerate() {
            let here = at.index(index);
            if let Some(reason) = self.step(&here, step, top, labels)?
                && index + 1 < steps.len()
            {
                let reason = format!("it is never reached: {reason}");
                return Err(at.index(index + 1).contradiction(reason));
            }
        }
        Ok(())
    }

    /// Why what comes after it would never be reached, if so.
    fn step(
        &self,
        at: &Element<'_>,
        step: &'a Step,
        top: bool,
        labels: &mut Labels<'a>,
    ) -> Result<Option<&'static str>, PlanError> {
        match step {
            Step::Sample(sampler) => self.sampler(at, sampler, top, labels),
            Step::Pause(timer) => self.pause(at, *timer).map(|()| None),
            Step::Loop { times, steps } => {
                let at = at.key("loop");
                self.steps(&at, steps, false, labels)?;
                if times.is_some() {
                    return Ok(None);
                }
                if self.open {
                    return Err(at.key("times").missing(
                        "a number: in an open group an iteration must end, or more and more of \
                         them are under way",
                    ));
                }
                if !has_sample(steps) {
                    let reason = "it repeats pauses without end: expected an operation";
                    return Err(at.key("steps").contradiction(reason));
                }
                Ok(Some("the loop before it has no `times`"))
            }
            Step::If { steps, .. } => {
                self.steps(&at.key("if"), steps, false, labels).map(|()| None)
            }
            Step::Transaction { label, steps, .. } => {
                one_kind(at, label, "transaction", labels)?;
                self.steps(&at.key("transaction"), steps, false, labels).map(|()| None)
            }
        }
    }

    fn pause(&self, at: &Element<'_>, timer: Timer) -> Result<(), PlanError> {
        let throughput =
            matches!(timer, Timer::ConstantThroughput { .. } | Timer::PreciseThroughput { .. });
        if throughput && self.open {
            let reason = "an open group has its rate: a throughput is for a group with users";
            return Err(at.key("pause").contradiction(reason));
        }
        Ok(())
    }

    fn sampler(
        &self,
        at: &Element<'_>,
        sampler: &'a Sampler,
        top: bool,
        labels: &mut Labels<'a>,
    ) -> Result<Option<&'static str>, PlanError> {
        let name = kind_name(&sampler.kind);
        one_kind(at, &sampler.label, name, labels)?;
        let at = at.key(name);
        let payload = match &sampler.kind {
            SamplerKind::Create { streams, body: Some(payload) }
            | SamplerKind::Append { streams, payload }
            | SamplerKind::ProducerAppend { streams, payload }
            | SamplerKind::AppendBatch { streams, payload, .. } => Some((*streams, payload)),
            _ => None,
        };
        if let Some((streams, payload)) = payload
            && let Some(set) = self.plan.streams.get(streams)
        {
            suits(&at, set, payload)?;
            if matches!(sampler.kind, SamplerKind::AppendBatch { .. }) && !is_json(set) {
                return Err(at.contradiction(format!(
                    "the streams {:?} are {}, and a batch is a JSON array: expected \
                     application/json",
                    set.name, set.content_type
                )));
            }
        }
        if matches!(sampler.kind, SamplerKind::Tail(_)) {
            self.tail(&at, top)?;
            return Ok(Some("the live reader before it stays until the group ends"));
        }
        Ok(None)
    }

    fn tail(&self, at: &Element<'_>, top: bool) -> Result<(), PlanError> {
        if self.open {
            return Err(at.contradiction(format!(
                "a live reader stays until its group ends, so arrivals in the open group {:?} \
                 would pile up: expected `users` in place of `rate`",
                self.group.name
            )));
        }
        if !top {
            let reason = "a live reader stays until its group ends: expected it outside of loops, \
                          conditions and transactions";
            return Err(at.contradiction(reason));
        }
        if let Load::Closed { stages, iterations: Some(_) } = &self.group.load
            && stages.iter().any(|stage| stage.duration >= super::limits::MAX_DURATION)
        {
            let reason = "a live reader never ends its iteration: expected `hold` in its group";
            return Err(at.contradiction(reason));
        }
        Ok(())
    }
}

/// Results are kept by label: one label is one kind of operation.
fn one_kind<'a>(
    at: &Element<'_>,
    label: &'a str,
    kind: &'static str,
    labels: &mut Labels<'a>,
) -> Result<(), PlanError> {
    let before = *labels.entry(label).or_insert(kind);
    if before == kind {
        return Ok(());
    }
    Err(at.key("label").contradiction(format!(
        "{label:?} is the label of {} and of {}, whose results would be mixed: \
         expected a label of its own for each",
        a(before),
        a(kind)
    )))
}

/// With its article.
fn a(kind: &str) -> String {
    let article = if kind.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    // Said letter by letter.
    let article = if kind.starts_with("sse") || kind == "http" { "an" } else { article };
    format!("{article} {kind}")
}

/// A message that the server would refuse or the readers could not judge.
fn suits(at: &Element<'_>, set: &StreamSet, payload: &Payload) -> Result<(), PlanError> {
    match payload {
        Payload::Stamped(_) if !is_json(set) && !set.content_type.starts_with("text/") => Err(at
            .contradiction(format!(
                "the streams {:?} are {}, and stamped messages are text: expected \
                 application/json or text/plain there, or a `body` here",
                set.name, set.content_type
            ))),
        Payload::Template(Template(pieces)) if is_json(set) => match pieces.as_slice() {
            [Piece::Text(text)] => {
                let read: Result<serde::de::IgnoredAny, _> = serde_json::from_str(text);
                read.map(|_| ()).map_err(|error| {
                    let expected = format!("JSON, as the streams {:?} are ({error})", set.name);
                    at.key("body").value(format_args!("{text:?}"), expected)
                })
            }
            _ => Ok(()),
        },
        Payload::Stamped(_) | Payload::Template(_) => Ok(()),
    }
}

/// Something is left to measure after it.
fn warm_up(plan: &Plan) -> Result<(), PlanError> {
    let length = |group: &Group| {
        let add = |sum: Duration, stage: Duration| sum.saturating_add(stage);
        match &group.load {
            Load::Open { stages, .. } => {
                stages.iter().map(|stage| stage.duration).fold(group.delay, add)
            }
            Load::Closed { stages, .. } => {
                stages.iter().map(|stage| stage.duration).fold(group.delay, add)
            }
        }
    };
    let longest = plan.groups.iter().map(length).max().unwrap_or_default();
    if plan.warm_up.is_zero() || plan.warm_up < longest {
        return Ok(());
    }
    let expected = format!("less than the groups last, {longest:?}: warm-up is a part of that");
    Err(Element::ROOT.key("warm_up").value(format!("{:?}", plan.warm_up), expected))
}

fn is_json(set: &StreamSet) -> bool {
    let essence = set.content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

fn has_sample(steps: &[Step]) -> bool {
    steps.iter().any(|step| match step {
        Step::Sample(_) => true,
        Step::Pause(_) => false,
        Step::Loop { steps, .. } | Step::If { steps, .. } | Step::Transaction { steps, .. } => {
            has_sample(steps)
        }
    })
}

/// It is about something that the plan does.
fn threshold(
    at: &Element<'_>,
    threshold: &Threshold,
    labels: &Labels<'_>,
) -> Result<(), PlanError> {
    let of_deliveries = matches!(
        threshold.metric,
        Metric::Lost | Metric::Duplicated | Metric::Reordered | Metric::LastReader(_)
    );
    let Some(label) = &threshold.label else {
        if of_deliveries && !labels.values().any(|kind| *kind == TAIL) {
            let reason = "it is about deliveries, and the plan has no `tail`";
            return Err(at.contradiction(reason));
        }
        return Ok(());
    };
    match labels.get(label.as_str()) {
        None => Err(at.undefined("label", label, labels.keys().copied())),
        Some(_) if matches!(threshold.metric, Metric::Lateness(_)) => {
            Err(at.contradiction("lateness is the generator's, not a label's: expected none"))
        }
        Some(kind) if of_deliveries && *kind != TAIL => Err(at.contradiction(format!(
            "it is about deliveries: expected the label of a `tail`, and {label:?} is {}",
            a(kind)
        ))),
        Some(_) => Ok(()),
    }
}

const TAIL: &str = "tail";

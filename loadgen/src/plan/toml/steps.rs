//! Steps: which operation each is, and the nesting of loops, conditions and transactions.
//!
//! Invariant: a step is exactly one operation, and has no field that means nothing to it.
//!
//! Deliberately absent: what operations do (`samplers`), and what must not be together in a group
//! (`plan::validate`).

use super::leaf::Either;
use super::raw_steps::{RawIf, RawLoop, RawStep, RawTimer, RawTransaction};
use super::read::Reader;
use super::samplers;
use crate::plan::element::Element;
use crate::plan::{PlanError, Step, Timer, condition, limits, units};

/// All steps of `at`, which `depth` loops, conditions and transactions are around.
pub(super) fn steps(
    r: &Reader<'_>,
    at: &Element<'_>,
    depth: u64,
    raw: &[RawStep],
) -> Result<Vec<Step>, PlanError> {
    let at = at.key("steps");
    if raw.is_empty() {
        return Err(at.missing("at least one step"));
    }
    at.at_most("levels of steps within steps", depth, limits::MAX_NESTING)?;
    r.steps.set(r.steps.get().saturating_add(raw.len() as u64));
    at.at_most("steps in the plan", r.steps.get(), limits::MAX_STEPS)?;
    raw.iter().enumerate().map(|(index, raw)| step(r, &at.index(index), depth, raw)).collect()
}

fn step(r: &Reader<'_>, at: &Element<'_>, depth: u64, raw: &RawStep) -> Result<Step, PlanError> {
    let name = exactly_one(at, &raw.operations())?;
    let inner = at.key(name);
    if let Some(pause) = &raw.pause {
        plain(at, raw, name, false)?;
        return Ok(Step::Pause(timer(r, &inner, at, pause)?));
    }
    if let Some(RawLoop { times, steps: raw_steps }) = &raw.repeat {
        plain(at, raw, name, false)?;
        let times = r.count(&inner, "times", times, ("repetitions", limits::MAX_LOOPS))?;
        return Ok(Step::Loop { times, steps: steps(r, &inner, depth + 1, raw_steps)? });
    }
    if let Some(raw_if) = &raw.condition {
        plain(at, raw, name, false)?;
        return conditional(r, &inner, depth, raw_if);
    }
    if let Some(RawTransaction { include_pauses, steps: raw_steps }) = &raw.transaction {
        plain(at, raw, name, true)?;
        return Ok(Step::Transaction {
            label: r.name(at, "label", &raw.label)?.unwrap_or_else(|| name.to_owned()),
            steps: steps(r, &inner, depth + 1, raw_steps)?,
            include_pauses: r.get(&inner, "include_pauses", include_pauses)?.unwrap_or(false),
        });
    }
    Ok(Step::Sample(Box::new(samplers::sampler(r, at, name, raw)?)))
}

impl RawStep {
    /// Each operation that a step may be, and whether it is there.
    pub(super) fn operations(&self) -> [(&'static str, bool); 15] {
        [
            ("create", self.create.is_some()),
            ("append", self.append.is_some()),
            ("append_batch", self.append_batch.is_some()),
            ("producer_append", self.producer_append.is_some()),
            ("close", self.close.is_some()),
            ("read", self.read.is_some()),
            ("tail", self.tail.is_some()),
            ("head", self.head.is_some()),
            ("delete", self.delete.is_some()),
            ("fork", self.fork.is_some()),
            ("http", self.http.is_some()),
            ("pause", self.pause.is_some()),
            ("loop", self.repeat.is_some()),
            ("if", self.condition.is_some()),
            ("transaction", self.transaction.is_some()),
        ]
    }
}

/// The only one that is there.
pub(super) fn exactly_one<'n>(
    at: &Element<'_>,
    given: &[(&'n str, bool)],
) -> Result<&'n str, PlanError> {
    let mut there = given.iter().filter(|(_, given)| *given).map(|(name, _)| *name);
    let names = || given.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    match (there.next(), there.next()) {
        (Some(name), None) => Ok(name),
        (Some(first), Some(second)) => Err(at.contradiction(format!(
            "`{first}` and `{second}` are both here: expected exactly one of {}",
            names()
        ))),
        (None, _) => Err(at.contradiction(format!("expected one of {}", names()))),
    }
}

/// A step without a request has no fields for one.
fn plain(at: &Element<'_>, raw: &RawStep, name: &str, label: bool) -> Result<(), PlanError> {
    let given = [
        ("label", raw.label.is_some() && !label),
        ("headers", !raw.headers.is_empty()),
        ("assert", !raw.assert.is_empty()),
        ("extract", !raw.extract.is_empty()),
    ];
    match given.iter().find(|(_, given)| *given) {
        Some((field, _)) => {
            Err(at.key(field).contradiction(format!("it has no meaning with `{name}`")))
        }
        None => Ok(()),
    }
}

fn conditional(
    r: &Reader<'_>,
    at: &Element<'_>,
    depth: u64,
    raw: &RawIf,
) -> Result<Step, PlanError> {
    let here = at.key("condition");
    let expected = "a comparison such as \"${state} == ready\"";
    let raw_condition = raw.condition.as_ref().ok_or_else(|| here.missing(expected))?;
    let text = raw_condition.0.to_string();
    let condition = condition::parse(&text, r.properties).map_err(|error| here.template(error))?;
    let condition = condition.ok_or_else(|| here.value(format_args!("{text:?}"), expected))?;
    Ok(Step::If { condition, steps: steps(r, at, depth + 1, &raw.steps)? })
}

fn timer(
    r: &Reader<'_>,
    at: &Element<'_>,
    step: &Element<'_>,
    raw: &Either<super::kinds::Time, RawTimer>,
) -> Result<Timer, PlanError> {
    let raw = match raw {
        Either::Table(raw) => raw,
        Either::Leaf(time) => {
            // Through the same bounds as every other duration.
            let time = super::kinds::Time::from(time.scalar.clone());
            let time = r.time(step, "pause", &Some(time))?;
            return Ok(Timer::Constant(time.unwrap_or_default()));
        }
    };
    let uniform = raw.min.is_some() || raw.max.is_some();
    let gaussian = raw.mean.is_some() || raw.deviation.is_some();
    let poisson = raw.offset.is_some() || raw.lambda.is_some();
    let constant = raw.constant_throughput.is_some() || raw.shared.is_some();
    let forms = [
        ("min and max", uniform),
        ("mean and deviation", gaussian),
        ("offset and lambda", poisson),
        ("constant_throughput and shared", constant),
        ("precise_throughput", raw.precise_throughput.is_some()),
    ];
    exactly_one(at, &forms)?;
    let need = |name: &str, field| -> Result<_, PlanError> {
        r.time(at, name, field)?.ok_or_else(|| at.key(name).missing(units::DURATION))
    };
    if uniform {
        let min = r.time(at, "min", &raw.min)?.unwrap_or_default();
        let max = need("max", &raw.max)?;
        if min > max {
            return Err(at.key("max").value(format!("{max:?}"), format!("min, {min:?}, or more")));
        }
        return Ok(Timer::Uniform { min, max });
    }
    if gaussian {
        let (mean, deviation) = (need("mean", &raw.mean)?, need("deviation", &raw.deviation)?);
        return Ok(Timer::Gaussian { mean, deviation });
    }
    if poisson {
        let offset = r.time(at, "offset", &raw.offset)?.unwrap_or_default();
        return Ok(Timer::Poisson { offset, lambda: need("lambda", &raw.lambda)? });
    }
    if constant {
        let rate = r.rate(at, "constant_throughput", &raw.constant_throughput, false)?;
        let rate = rate.ok_or_else(|| at.key("constant_throughput").missing(units::RATE))?;
        let shared = r.get(at, "shared", &raw.shared)?.unwrap_or(false);
        return Ok(Timer::ConstantThroughput { per_minute: rate * 60.0, shared });
    }
    let rate = r.rate(at, "precise_throughput", &raw.precise_throughput, false)?;
    let per_second = rate.ok_or_else(|| at.key("precise_throughput").missing(units::RATE))?;
    Ok(Timer::PreciseThroughput { per_second })
}

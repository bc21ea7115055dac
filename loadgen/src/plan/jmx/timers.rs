//! Timers: pauses before each sampler that they apply to.
//!
//! A throughput timer of JMeter limits all samplers that it applies to together. Here each of them
//! gets a pause of its own with its share of the rate: once per iteration, and as often as the
//! loops around it, so that the total is the same. What an If Controller leaves out still counts.
//!
//! Deliberately absent: synchronizing timers, batches, and rates over all thread groups.

use std::time::Duration;

use super::http::Request;
use super::reader::{Fault, Reader, unsupported};
use super::tree::Element;
use crate::plan::{PlanError, Timer};

/// Pauses before a sampler. `groups`: how many thread groups the plan has.
pub(super) fn read(
    reader: &mut Reader<'_>,
    request: Request<'_, '_>,
    groups: usize,
) -> Result<Vec<Timer>, PlanError> {
    let mut out = Vec::new();
    for class in RANDOM {
        for element in request.applying(class) {
            let read = random(reader, element);
            out.extend(reader.accept(element, read)?);
        }
    }
    for class in THROUGHPUT {
        for element in request.applying(class) {
            let read = throughput(reader, element, groups).map(|timer| match timer {
                Timer::ConstantThroughput { per_minute, shared } => {
                    let per_minute = per_minute * share(reader, request, element);
                    Timer::ConstantThroughput { per_minute, shared }
                }
                Timer::PreciseThroughput { per_second } => {
                    let per_second = per_second * share(reader, request, element);
                    Timer::PreciseThroughput { per_second }
                }
                timer => timer,
            });
            out.extend(reader.accept(element, read)?);
        }
    }
    Ok(out)
}

fn random(reader: &Reader<'_>, element: &Element<'_>) -> Result<Timer, Fault> {
    let offset = millis(reader, element, "ConstantTimer.delay")?;
    if element.class == "ConstantTimer" {
        return Ok(Timer::Constant(offset));
    }
    let range = millis(reader, element, "RandomTimer.range")?;
    Ok(match element.class {
        "UniformRandomTimer" => Timer::Uniform { min: offset, max: offset + range },
        "GaussianRandomTimer" => Timer::Gaussian { mean: offset, deviation: range },
        _ => Timer::Poisson { offset, lambda: range },
    })
}

fn throughput(reader: &Reader<'_>, element: &Element<'_>, groups: usize) -> Result<Timer, Fault> {
    let rate = positive(reader, element, "throughput")?;
    if element.class == "PreciseThroughputTimer" {
        let period = match element.text("throughputPeriod") {
            Some(_) => positive(reader, element, "throughputPeriod")?,
            None => DEFAULT_PERIOD_SECONDS,
        };
        if reader.number::<u32>(element, "batchSize", "a count")?.unwrap_or(1) > 1 {
            return unsupported("batches");
        }
        return Ok(Timer::PreciseThroughput { per_second: rate / period });
    }
    let expected = "0 to 4, JMeter's number for what the rate is of";
    let mode = reader.number::<u32>(element, "calcMode", expected)?.unwrap_or(0);
    let shared = match mode {
        0 => false,
        2 | 4 => true,
        1 | 3 if groups <= 1 => true,
        1 | 3 => return unsupported("a rate of all threads of several thread groups"),
        _ => return Err(reader.wrong(element, "calcMode", &mode.to_string(), expected)),
    };
    Ok(Timer::ConstantThroughput { per_minute: rate, shared })
}

/// Which part of all runs of samplers below the timer's parent are runs of this one.
fn share(reader: &Reader<'_>, request: Request<'_, '_>, timer: &Element<'_>) -> f64 {
    let holds = |level: &Element<'_>| level.applies.iter().any(|one| std::ptr::eq(one, timer));
    let Some(level) = request.above.iter().position(|level| holds(level)) else {
        // Its parent is the sampler.
        return 1.0;
    };
    // Above the thread group it applies to each group by itself.
    let level = level.max(1);
    let Some(parent) = request.above.get(level) else { return 1.0 };
    let inner = &request.above[level + 1..];
    let own: f64 = inner.iter().map(|controller| times(reader, controller)).product();
    let all: f64 = parent.runs.iter().map(|child| runs(reader, child)).sum();
    if all > 0.0 { own / all } else { 1.0 }
}

/// How many samplers an element runs each time.
fn runs(reader: &Reader<'_>, element: &Element<'_>) -> f64 {
    if element.class == "HTTPSamplerProxy" {
        return 1.0;
    }
    let below: f64 = element.runs.iter().map(|child| runs(reader, child)).sum();
    below * times(reader, element)
}

/// How often an element runs what is below it. A loop without end counts as one.
fn times(reader: &Reader<'_>, element: &Element<'_>) -> f64 {
    if element.class != "LoopController" {
        return 1.0;
    }
    let loops = reader.number::<i64>(element, "LoopController.loops", "");
    match loops.ok().flatten() {
        Some(loops) if loops >= 0 => loops as f64,
        _ => 1.0,
    }
}

fn millis(reader: &Reader<'_>, element: &Element<'_>, property: &str) -> Result<Duration, Fault> {
    let expected = "milliseconds from 0 to 86400000";
    let ms: f64 = reader.number(element, property, expected)?.unwrap_or(0.0);
    if !(0.0..=MAX_MILLIS).contains(&ms) {
        return Err(reader.wrong(element, property, &ms.to_string(), expected));
    }
    Ok(Duration::from_secs_f64(ms / 1e3))
}

fn positive(reader: &Reader<'_>, element: &Element<'_>, property: &str) -> Result<f64, Fault> {
    let expected = "a number greater than 0";
    let number: f64 = reader.number(element, property, expected)?.unwrap_or(0.0);
    if number > 0.0 && number.is_finite() {
        return Ok(number);
    }
    Err(reader.wrong(element, property, &number.to_string(), expected))
}

const RANDOM: [&str; 4] =
    ["ConstantTimer", "UniformRandomTimer", "GaussianRandomTimer", "PoissonRandomTimer"];
const THROUGHPUT: [&str; 2] = ["ConstantThroughputTimer", "PreciseThroughputTimer"];
const DEFAULT_PERIOD_SECONDS: f64 = 3600.0;
/// A day.
const MAX_MILLIS: f64 = 86_400_000.0;

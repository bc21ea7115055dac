//! Test Plan and Thread Group.
//!
//! A thread group is a closed group: its threads come at equal distances over the ramp-up period,
//! and the scheduler's duration, which includes the ramp, ends them. Without one they go when they
//! have done their loops.

use std::time::Duration;

use super::reader::{Fault, Reader, unsupported};
use super::steps;
use super::tree::Element;
use crate::plan::limits::{MAX_DURATION, MAX_USERS};
use crate::plan::{Group, Load, OnError, PlanError, UserStage};

/// What is refused of the plan itself.
pub(super) fn check_plan(reader: &mut Reader<'_>, tree: &Element<'_>, groups: usize) {
    if groups > 1 && tree.flag("TestPlan.serialize_threadgroups", false) {
        reader.refuse(format!("{}: thread groups one after another", tree.path()));
    }
    for element in tree.runs.iter().filter(|element| element.class != "ThreadGroup") {
        reader.refuse(format!("{}: it is outside of a thread group", element.path()));
    }
}

/// Reads a thread group; `None` if it is refused or does nothing.
pub(super) fn read(
    reader: &mut Reader<'_>,
    tree: &Element<'_>,
    element: &Element<'_>,
    groups: usize,
) -> Result<Option<Group>, PlanError> {
    let read = without_steps(reader, element);
    let Some(mut group) = reader.accept(element, read)? else { return Ok(None) };
    group.steps = steps::below(reader, &mut vec![tree, element], groups)?;
    if group.steps.is_empty() {
        reader.note(element, "it has no HTTP Request, so it does nothing");
        return Ok(None);
    }
    Ok(Some(group))
}

fn without_steps(reader: &Reader<'_>, element: &Element<'_>) -> Result<Group, Fault> {
    let users = users(reader, element)?;
    let ramp = seconds(reader, element, "ThreadGroup.ramp_time")?.unwrap_or(Duration::ZERO);
    let scheduled = element.flag("ThreadGroup.scheduler", false);
    let (mut delay, mut duration) = (Duration::ZERO, None);
    if scheduled {
        delay = seconds(reader, element, "ThreadGroup.delay")?.unwrap_or(Duration::ZERO);
        let given = seconds(reader, element, "ThreadGroup.duration")?;
        let given = given.filter(|duration| !duration.is_zero()).ok_or_else(|| {
            let expected = "seconds greater than 0, because the scheduler is on";
            let written = element.text("ThreadGroup.duration").unwrap_or_default();
            reader.wrong(element, "ThreadGroup.duration", &written, expected)
        })?;
        duration = Some(given);
    }
    Ok(Group {
        name: reader.label(element)?,
        load: Load::Closed {
            stages: stages(users, ramp, duration),
            iterations: iterations(reader, element)?,
        },
        delay,
        steps: Vec::new(),
        on_error: on_error(reader, element)?,
    })
}

/// Up, then as many until the end.
fn stages(users: u32, ramp: Duration, duration: Option<Duration>) -> Vec<UserStage> {
    match duration {
        // It ends while users still come: only so many have come by then.
        Some(duration) if duration < ramp => {
            let part = duration.as_secs_f64() / ramp.as_secs_f64();
            let users = (f64::from(users) * part).ceil().max(1.0) as u32;
            vec![UserStage { duration, users }]
        }
        duration => {
            // Without one, until the loops are done.
            let hold = duration.map_or(MAX_DURATION, |duration| duration - ramp);
            vec![UserStage { duration: ramp, users }, UserStage { duration: hold, users }]
        }
    }
}

fn users(reader: &Reader<'_>, element: &Element<'_>) -> Result<u32, Fault> {
    let property = "ThreadGroup.num_threads";
    let expected = "1 to 1000000 threads";
    let users: u64 = reader.number(element, property, expected)?.unwrap_or(0);
    match u32::try_from(users) {
        Ok(users @ 1..=MAX_USERS) => Ok(users),
        _ => Err(reader.wrong(element, property, &users.to_string(), expected)),
    }
}

/// `None`: without end.
fn iterations(reader: &Reader<'_>, element: &Element<'_>) -> Result<Option<u64>, Fault> {
    let (controller, property) = ("ThreadGroup.main_controller", "LoopController.loops");
    if element.inner_class(controller).is_some_and(|class| class != "LoopController") {
        return unsupported("a main controller other than a Loop Controller");
    }
    let forever = element.inner_text(controller, "LoopController.continue_forever");
    let text = element.inner_text(controller, property).unwrap_or_default();
    let text = reader.fixed_of(element, property, &text)?;
    let expected = "a number of loops, or -1 for no end";
    let loops: i64 = reader.parsed(element, property, &text, expected)?.unwrap_or(0);
    match u64::try_from(loops) {
        _ if loops == -1 || forever.is_some_and(|text| text.trim() == "true") => Ok(None),
        Ok(loops @ 1..) => Ok(Some(loops)),
        _ => Err(reader.wrong(element, property, &text, expected)),
    }
}

fn on_error(reader: &Reader<'_>, element: &Element<'_>) -> Result<OnError, Fault> {
    let property = "ThreadGroup.on_sample_error";
    Ok(match reader.fixed(element, property)?.as_str() {
        "continue" | "" => OnError::Continue,
        "startnextloop" => OnError::NextIteration,
        "stopthread" => OnError::StopUser,
        "stoptest" | "stoptestnow" => OnError::StopRun,
        other => {
            let expected = "continue, startnextloop, stopthread, stoptest or stoptestnow";
            return Err(reader.wrong(element, property, other, expected));
        }
    })
}

fn seconds(
    reader: &Reader<'_>,
    element: &Element<'_>,
    property: &str,
) -> Result<Option<Duration>, Fault> {
    let expected = "seconds from 0 to 604800";
    match reader.number::<u64>(element, property, expected)? {
        Some(seconds) if seconds > MAX_DURATION.as_secs() => {
            Err(reader.wrong(element, property, &seconds.to_string(), expected))
        }
        seconds => Ok(seconds.map(Duration::from_secs)),
    }
}

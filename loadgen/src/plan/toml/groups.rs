//! Groups: how much load, and what an iteration is.
//!
//! Invariant: a group is open or closed, never both, and does something.
//!
//! Deliberately absent: the steps themselves (`steps`).

use super::raw::{RawGroup, RawStage};
use super::read::Reader;
use super::steps::steps;
use crate::plan::element::Element;
use crate::plan::{Arrivals, Group, Load, OnError, PlanError, RateStage, UserStage, limits::*};

/// A group from its table.
pub(super) fn group(
    r: &Reader<'_>,
    at: &Element<'_>,
    index: usize,
    raw: &RawGroup,
) -> Result<Group, PlanError> {
    let name = r.name(at, "name", &raw.name)?;
    Ok(Group {
        name: name.unwrap_or_else(|| format!("group-{}", index + 1)),
        load: load(r, at, raw)?,
        delay: r.time(at, "delay", &raw.delay)?.unwrap_or_default(),
        steps: steps(r, at, 0, &raw.steps)?,
        on_error: r.word(at, "on_error", &raw.on_error, OnError::Continue)?,
    })
}

/// The names of fields, and whether they are there.
type Given<'n> = [(&'n str, bool)];

fn load(r: &Reader<'_>, at: &Element<'_>, raw: &RawGroup) -> Result<Load, PlanError> {
    let of_open = [
        ("rate", raw.rate.is_some()),
        ("duration", raw.duration.is_some()),
        ("arrivals", raw.arrivals.is_some()),
        ("max_in_flight", raw.max_in_flight.is_some()),
    ];
    let of_closed = [
        ("users", raw.users.is_some()),
        ("hold", raw.hold.is_some()),
        ("iterations", raw.iterations.is_some()),
    ];
    if raw.stages.is_empty() {
        if raw.rate.is_some() {
            refuse(at, &of_closed, "it belongs to a group with `users`; this one has a `rate`")?;
            return open(r, at, raw, simple_rates(r, at, raw)?);
        }
        if raw.users.is_none() {
            return Err(at.contradiction(
                "expected `rate` and `duration` (an open group), `users` and `hold` or \
                 `iterations` (a closed one), or `stages`",
            ));
        }
        refuse(at, &of_open, "it belongs to a group with a `rate`; this one has `users`")?;
        return closed(r, at, raw, simple_users(r, at, raw)?);
    }
    at.key("stages").at_most("stages", raw.stages.len(), MAX_STAGES)?;
    let simple = [
        ("rate", raw.rate.is_some()),
        ("duration", raw.duration.is_some()),
        ("users", raw.users.is_some()),
        ("hold", raw.hold.is_some()),
        ("ramp_up", raw.ramp_up.is_some()),
        ("ramp_down", raw.ramp_down.is_some()),
    ];
    refuse(at, &simple, "`stages` say it already")?;
    if raw.stages.iter().any(|stage| stage.users.is_some()) {
        refuse(at, &of_open, "it belongs to a group with rates; its stages have `users`")?;
        return closed(r, at, raw, user_stages(r, at, &raw.stages)?);
    }
    refuse(at, &of_closed, "it belongs to a group with users; its stages have none")?;
    open(r, at, raw, rate_stages(r, at, &raw.stages)?)
}

/// None of these may be there.
fn refuse(at: &Element<'_>, given: &Given<'_>, reason: &str) -> Result<(), PlanError> {
    match given.iter().find(|(_, given)| *given) {
        Some((name, _)) => Err(at.key(name).contradiction(reason)),
        None => Ok(()),
    }
}

fn open(
    r: &Reader<'_>,
    at: &Element<'_>,
    raw: &RawGroup,
    stages: Vec<RateStage>,
) -> Result<Load, PlanError> {
    if stages.iter().all(|stage| stage.from == 0.0 && stage.to == 0.0) {
        return Err(at.key("stages").contradiction("the rate is 0 all the time"));
    }
    let limit = ("iterations under way", MAX_IN_FLIGHT);
    let in_flight = r.count(at, "max_in_flight", &raw.max_in_flight, limit)?;
    Ok(Load::Open {
        stages,
        arrivals: r.word(at, "arrivals", &raw.arrivals, Arrivals::Constant)?,
        max_in_flight: in_flight.unwrap_or(DEFAULT_IN_FLIGHT),
    })
}

fn closed(
    r: &Reader<'_>,
    at: &Element<'_>,
    raw: &RawGroup,
    stages: Vec<UserStage>,
) -> Result<Load, PlanError> {
    if stages.iter().all(|stage| stage.users == 0) {
        return Err(at.key("stages").contradiction("there are 0 users all the time"));
    }
    if stages.iter().all(|stage| stage.duration.is_zero()) {
        return Err(at.key("stages").contradiction("all stages together take no time"));
    }
    let iterations = r.get(at, "iterations", &raw.iterations)?;
    if iterations == Some(0) {
        return Err(at.key("iterations").value(0, "1 or more"));
    }
    Ok(Load::Closed { stages, iterations })
}

fn simple_rates(
    r: &Reader<'_>,
    at: &Element<'_>,
    raw: &RawGroup,
) -> Result<Vec<RateStage>, PlanError> {
    let rate = r.rate(at, "rate", &raw.rate, false)?.unwrap_or_default();
    let duration = r.some_time(at, "duration", &raw.duration)?;
    let Some(duration) = duration else {
        return Err(at.key("duration").missing(crate::plan::units::DURATION));
    };
    let ramp_up = r.time(at, "ramp_up", &raw.ramp_up)?.unwrap_or_default();
    let ramp_down = r.time(at, "ramp_down", &raw.ramp_down)?.unwrap_or_default();
    let stages = [(ramp_up, 0.0, rate), (duration, rate, rate), (ramp_down, rate, 0.0)];
    let stages = stages.into_iter().filter(|(duration, ..)| !duration.is_zero());
    Ok(stages.map(|(duration, from, to)| RateStage { duration, from, to }).collect())
}

fn simple_users(
    r: &Reader<'_>,
    at: &Element<'_>,
    raw: &RawGroup,
) -> Result<Vec<UserStage>, PlanError> {
    let users = r.count(at, "users", &raw.users, ("users", MAX_USERS))?.unwrap_or_default();
    let ramp_up = r.time(at, "ramp_up", &raw.ramp_up)?.unwrap_or_default();
    let ramp_down = r.time(at, "ramp_down", &raw.ramp_down)?.unwrap_or_default();
    let hold = match r.time(at, "hold", &raw.hold)? {
        Some(hold) => hold,
        None if raw.iterations.is_none() => {
            let expected = "a duration such as \"30s\", or `iterations` beside `users`";
            return Err(at.key("hold").missing(expected));
        }
        None if !ramp_down.is_zero() => {
            return Err(at.key("ramp_down").contradiction("it needs a `hold` before it"));
        }
        // Until the iterations are done.
        None => MAX_DURATION,
    };
    let stages = [(ramp_up, users), (hold, users), (ramp_down, 0)];
    let mut stages: Vec<UserStage> =
        stages.map(|(duration, users)| UserStage { duration, users }).into();
    stages.retain(|stage| stage.users > 0 || !stage.duration.is_zero());
    Ok(stages)
}

fn rate_stages(
    r: &Reader<'_>,
    at: &Element<'_>,
    raw: &[RawStage],
) -> Result<Vec<RateStage>, PlanError> {
    let mut before = 0.0;
    let stages = at.key("stages");
    let stage = |(index, raw): (usize, &RawStage)| {
        let at = stages.index(index);
        let duration = r.some_time(&at, "duration", &raw.duration)?;
        let duration = duration.ok_or_else(|| at.key("duration").missing("a duration"))?;
        let to = r.rate(&at, "rate", &raw.rate, true)?;
        let to = to.ok_or_else(|| at.key("rate").missing("`rate` or `users` in each stage"))?;
        let from = r.rate(&at, "from", &raw.from, true)?.unwrap_or(before);
        before = to;
        Ok(RateStage { duration, from, to })
    };
    raw.iter().enumerate().map(stage).collect()
}

fn user_stages(
    r: &Reader<'_>,
    at: &Element<'_>,
    raw: &[RawStage],
) -> Result<Vec<UserStage>, PlanError> {
    let stages = at.key("stages");
    let stage = |(index, raw): (usize, &RawStage)| {
        let at = stages.index(index);
        let given = [("rate", raw.rate.is_some()), ("from", raw.from.is_some())];
        refuse(&at, &given, "other stages of the group have `users`: expected `users`")?;
        let duration = r.time(&at, "duration", &raw.duration)?;
        let duration = duration.ok_or_else(|| at.key("duration").missing("a duration"))?;
        let users = r.need(&at, "users", &raw.users)?;
        at.key("users").at_most("users", users, MAX_USERS)?;
        Ok(UserStage { duration, users: users as u32 })
    };
    raw.iter().enumerate().map(stage).collect()
}

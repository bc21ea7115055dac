//! What a plan would do, in words: the answer of `--check`.

use std::fmt::Write;
use std::time::Duration;

use thalweg_loadgen::plan::{Group, Load, Plan, SamplerKind, Step, StreamSet, UserStage};
use thalweg_loadgen::result::thresholds;
use thalweg_loadgen::result::units::{count, rate};

use super::plan::Ready;

/// Some lines, one thing in each.
pub(super) fn describe(ready: &Ready) -> String {
    let plan = &ready.plan;
    let mut out = Table::default();
    out.row("plan", &format!("{}, {}", plan.name, ready.source.file.display()));
    out.row("hash", &ready.hash);
    out.row("seed", &plan.seed.to_string());
    out.row("target", &plan.target);
    plan.streams.iter().for_each(|set| out.row("streams", &streams(set)));
    for data in &plan.data {
        let rows = count(data.rows.len() as u64);
        out.row("data", &format!("{}: {rows} rows", data.file.display()));
    }
    plan.groups.iter().for_each(|group| out.row("groups", &self::group(group)));
    out.row("length", &length(plan));
    thresholds::of(plan).iter().for_each(|threshold| out.row("thresholds", &threshold.text));
    out.0
}

/// Rows whose first column is shown once.
#[derive(Default)]
struct Table(String);

impl Table {
    fn row(&mut self, name: &str, text: &str) {
        let again = self.0.lines().rev().find(|line| !line.starts_with(' '));
        let shown = if again.is_some_and(|line| line.starts_with(name)) { "" } else { name };
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "{shown:<12}{text}");
    }
}

fn streams(set: &StreamSet) -> String {
    let what = [(set.create, ", created before"), (set.delete, ", deleted after")];
    let what: String = what.iter().filter(|(is, _)| *is).map(|(_, text)| *text).collect();
    format!("{}: {} at {}, {}{what}", set.name, count(set.count.into()), set.path, set.content_type)
}

fn group(group: &Group) -> String {
    let load = match &group.load {
        Load::Open { stages, .. } => {
            let most = stages.iter().map(|stage| stage.from.max(stage.to)).fold(0.0, f64::max);
            let least = stages.iter().map(|stage| stage.from.min(stage.to)).fold(most, f64::min);
            let from = if least < most { format!("{} to ", rate(least)) } else { String::new() };
            format!("open, {from}{} per second for {:?}", rate(most), of_group(group))
        }
        Load::Closed { stages, iterations } => {
            let users = stages.iter().map(|stage| stage.users).max().unwrap_or(0);
            let users = format!("closed, {} users", count(users.into()));
            match (iterations, stages_length(stages)) {
                (Some(times), _) => format!("{users}, {} iterations each", count(*times)),
                (None, length) => format!("{users} for {length:?}"),
            }
        }
    };
    format!("{}: {load}: {}", group.name, steps(&group.steps).join(", "))
}

/// Labels of the operations, with what is around them.
fn steps(all: &[Step]) -> Vec<String> {
    let one = |step: &Step| match step {
        Step::Sample(sampler) => {
            let live = if matches!(sampler.kind, SamplerKind::Tail(_)) { " (live)" } else { "" };
            format!("{}{live}", sampler.label)
        }
        Step::Pause(_) => "pause".to_owned(),
        Step::Loop { times: Some(times), steps: inner } => {
            format!("{} times [{}]", count((*times).into()), steps(inner).join(", "))
        }
        Step::Loop { times: None, steps: inner } => format!("again [{}]", steps(inner).join(", ")),
        Step::If { steps: inner, .. } => format!("if [{}]", steps(inner).join(", ")),
        Step::Transaction { label, steps: inner, .. } => {
            format!("{label} [{}]", steps(inner).join(", "))
        }
    };
    all.iter().map(one).collect()
}

fn length(plan: &Plan) -> String {
    let without_end =
        |group: &&Group| matches!(group.load, Load::Closed { iterations: Some(_), .. });
    let ends = plan.groups.iter().map(|group| group.delay + of_group(group));
    let longest = ends.max().unwrap_or_default();
    let mut text = match plan.groups.iter().find(without_end) {
        Some(group) => format!("until {} has made its iterations", group.name),
        None => format!("{longest:?}"),
    };
    if !plan.warm_up.is_zero() {
        text.push_str(&format!(", of it {:?} of warm-up", plan.warm_up));
    }
    format!("{text}; then at most {:?} for late deliveries", plan.drain)
}

fn of_group(group: &Group) -> Duration {
    match &group.load {
        Load::Open { stages, .. } => stages.iter().map(|stage| stage.duration).sum(),
        Load::Closed { stages, .. } => stages_length(stages),
    }
}

fn stages_length(stages: &[UserStage]) -> Duration {
    stages.iter().map(|stage| stage.duration).sum()
}

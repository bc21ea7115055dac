//! The example plans of `configs/load`, made small: each does what it says it does.

use std::time::Duration;

use thalweg_loadgen::plan::{Load, Plan, SamplerKind, Step, TailMode, Timer};

use crate::runs::{errors, example, is_whole, passed, run, side_by_side};
use crate::stub::Stub;

/// A thirtieth of the time, and few of everything.
fn small(mut plan: Plan) -> Plan {
    plan.warm_up /= PART;
    plan.drain = plan.drain.max(Duration::from_secs(10));
    // How fast the stub is says nothing.
    plan.thresholds.retain(|threshold| threshold.text.ends_with(" == 0"));
    plan.streams.iter_mut().for_each(|set| set.count = set.count.min(20));
    for group in &mut plan.groups {
        group.delay /= PART;
        match &mut group.load {
            Load::Open { stages, .. } => stages.iter_mut().for_each(|stage| {
                stage.duration /= PART;
                (stage.from, stage.to) = (stage.from.min(100.0), stage.to.min(100.0));
            }),
            Load::Closed { stages, iterations } => {
                *iterations = iterations.map(|iterations| iterations.min(3));
                stages.iter_mut().for_each(|stage| {
                    stage.duration /= PART;
                    stage.users = stage.users.min(10);
                });
            }
        }
        group.steps.iter_mut().for_each(small_step);
    }
    plan
}

fn small_step(step: &mut Step) {
    match step {
        Step::Sample(sampler) => {
            if let SamplerKind::Tail(tail) = &mut sampler.kind {
                let behaviour = &mut tail.behaviour;
                for time in [&mut behaviour.stay, &mut behaviour.storm_every].into_iter().flatten()
                {
                    *time /= PART;
                }
                behaviour.away /= PART;
                if let TailMode::CatchUp { pause } = &mut tail.mode {
                    *pause /= PART;
                }
            }
        }
        Step::Pause(Timer::Uniform { max, .. }) => *max /= PART,
        Step::Pause(_) => {}
        Step::Loop { steps, .. } | Step::If { steps, .. } | Step::Transaction { steps, .. } => {
            steps.iter_mut().for_each(small_step);
        }
    }
}

fn check(name: &str, properties: &[(&str, &str)], labels: &[&str]) {
    let stub = Stub::start();
    let result = run(&small(example(&stub, name, properties)));
    assert_eq!(errors(&result), [], "{name}: {:?}", result.errors);
    for operation in &result.operations {
        assert!(labels.contains(&operation.label.as_str()), "{name}: {}", operation.label);
        assert!(operation.succeeded > 0, "{name}: no {}", operation.label);
    }
    for delivery in &result.deliveries {
        assert!(labels.contains(&delivery.label.as_str()), "{name}: {}", delivery.label);
        is_whole(&result, &delivery.label);
    }
    assert_eq!(result.operations.len() + result.deliveries.len(), labels.len(), "{name}");
    assert!(passed(&result), "{name}: {:?}", result.verdicts);
}

#[test]
fn fanout() {
    side_by_side(["sse", "long-poll", "catch-up"], |mode| {
        check("fanout.toml", &[("rate", "50"), ("mode", mode)], &["append", "deliver"]);
    });
}

#[test]
fn append_rate() {
    check("append-rate.toml", &[], &["append"]);
}

#[test]
fn producers() {
    check("producers.toml", &[], &["producer-append", "deliver"]);
}

#[test]
fn churn() {
    let labels = ["append", "steady", "churning", "storm", "slow", "polling"];
    check("churn.toml", &[], &labels);
}

#[test]
fn mixed() {
    let operations = ["append", "append-batch", "look", "catch-up", "create", "upload", "fork"];
    check("mixed.toml", &[], &[&operations[..], &["upload-and-fork", "live"]].concat());
}

#[test]
fn browse() {
    let labels = ["find", "say", "hear", "visit", "own echo", "again"];
    check("browse.toml", &[("base", "/s"), ("users", "4")], &labels);
}

const PART: u32 = 30;

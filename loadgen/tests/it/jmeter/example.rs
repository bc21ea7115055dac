//! `configs/load/append-and-read.jmx`, which the documentation shows.

use std::path::PathBuf;

use thalweg_loadgen::plan::{Load, Plan, Step};

use super::{Counts, check_both, read};

#[test]
fn it_is_read() {
    let (plan, skipped) = read(&example(), &[("port", "1"), ("users", "3"), ("loops", "2")]);
    assert_eq!(skipped, Vec::<String>::new());
    let named = (plan.name.as_str(), plan.target.as_str());
    assert_eq!(named, ("Append and read", "http://127.0.0.1:1"));
    assert_eq!(plan.data[0].variables, ["room", "text"]);
    assert_eq!(plan.data[0].rows[1], ["library", "Quiet, please"]);
    let counts: Vec<_> =
        expected(&plan).into_iter().map(|(label, count)| (label, count.samples)).collect();
    let want =
        [("Append", 18), ("Create", 6), ("Delete", 6), ("Read", 6), ("Read on", 6), ("Round", 6)];
    assert_eq!(counts, want.map(|(label, samples)| (label.to_owned(), samples)));
}

#[test]
fn both_programs_run_it() {
    let (plan, _) = read(&example(), &[]);
    check_both(&example(), &[("loops", "5")], &expected(&plan));
}

fn example() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../configs/load/append-and-read.jmx")
}

/// How often each label is sampled when every condition holds.
fn expected(plan: &Plan) -> Counts {
    let mut out = Counts::new();
    for group in &plan.groups {
        let Load::Closed { stages, iterations: Some(iterations) } = &group.load else {
            panic!("without end: {group:?}")
        };
        let users = u64::from(stages.last().expect("a stage").users);
        count(&group.steps, users * iterations, &mut out);
    }
    out
}

fn count(steps: &[Step], times: u64, out: &mut Counts) {
    let mut add = |label: &str| out.entry(label.to_owned()).or_default().samples += times;
    for step in steps {
        match step {
            Step::Sample(sampler) => add(&sampler.label),
            Step::Transaction { label, .. } => add(label),
            Step::Pause(_) | Step::Loop { .. } | Step::If { .. } => {}
        }
    }
    for step in steps {
        match step {
            Step::Loop { times: more, steps } => {
                count(steps, times * u64::from(more.expect("an end")), out);
            }
            Step::If { steps, .. } | Step::Transaction { steps, .. } => count(steps, times, out),
            Step::Sample(_) | Step::Pause(_) => {}
        }
    }
}

//! A few seeds of the simulation, and that a run is a function of its seed. The long runs are
//! `./test --only simulation` and the command in docs/testing.md.

use thalweg_sim::{Options, run};

const STEPS: u64 = 8_000;

#[test]
fn one_seed_twice_is_one_run() {
    for seed in [3, 16, 77] {
        let hash = || run(Options { seed, steps: STEPS, trace: false }).hash;
        assert_eq!(hash(), hash(), "seed {seed} differs from itself");
    }
    let hash = |seed| run(Options { seed, steps: STEPS, trace: false }).hash;
    assert_ne!(hash(3), hash(4), "the trace says nothing");
}

#[test]
fn no_promise_is_broken() {
    let (mut crashes, mut acknowledged, mut errors) = (0, 0, 0);
    for seed in 1..=20 {
        let outcome = run(Options { seed, steps: STEPS, trace: false });
        if let Some(violation) = outcome.violation {
            let last = outcome.last.join("\n");
            panic!("seed {seed}, {STEPS} steps: {violation:?}\n{last}");
        }
        crashes += outcome.totals.power_cuts + outcome.totals.kills;
        acknowledged += outcome.totals.checked.acknowledged;
        errors += outcome.totals.disk.errors;
    }
    // A simulation that never gets where it hurts proves nothing.
    assert!(crashes > 20 && acknowledged > 500 && errors > 0, "{crashes} {acknowledged} {errors}");
}

//! A stall of the server is seen by an open loop, and hidden by a closed one.

use std::time::Duration;

use thalweg_loadgen::result::RunResult;

use crate::runs::{delivery, is_whole, ms, operation, plan, run};
use crate::stub::{Faults, Stub};

const STALL: Duration = Duration::from_secs(1);

/// With a stall at an append.
fn stalled(at: u64, groups: &str) -> RunResult {
    let faults = Faults { stall: Some((at, STALL)), ..Faults::default() };
    let stub = Stub::with(faults);
    let text = format!("[[streams]]\nname = \"x\"\n{groups}");
    run(&plan(&stub, &text))
}

/// One in ten operations was due during the stall: the 99th percentile lies within it.
#[test]
fn an_open_loop_sees_a_stall() {
    let result = stalled(
        200,
        r#"
        [[groups]]
        rate = 50
        duration = "10s"
        steps = [{ append = {} }]

        [[groups]]
        users = 5
        hold = "10s"
        steps = [{ label = "deliver", tail = {} }]
        "#,
    );
    is_whole(&result, "deliver");
    let (append, deliver) = (operation(&result, "append"), delivery(&result, "deliver"));
    assert_eq!((append.succeeded, append.failed), (500, 0), "{:?}", result.errors);
    assert_eq!(deliver.delivered, 5 * 500);
    for times in [&append.times, &deliver.times, &deliver.last_reader] {
        assert!(ms(times, 99.0) >= 800.0, "p99 = {} ms", ms(times, 99.0));
        assert!(ms(times, 100.0) >= 980.0, "max = {} ms", ms(times, 100.0));
        // Half of what was hit waited for half of the stall: all of it is counted, once each.
        let over = times.count() - times.count_up_to(500_000_000);
        let part = over as f64 / times.count() as f64;
        assert!((0.04..0.2).contains(&part), "{over} of {}", times.count());
    }
    // It is not the generator that was late.
    let late: Vec<_> = result.notes.iter().filter(|note| note.code == "generator-behind").collect();
    assert!(late.is_empty(), "{late:?}");
}

/// The same server and the same rate: one user that waits for each answer meets the stall once.
#[test]
fn a_closed_loop_hides_it() {
    let result = stalled(
        100,
        r#"
        [[groups]]
        users = 1
        hold = "10s"
        steps = [{ append = {} }, { pause = "20ms" }]
        "#,
    );
    let append = operation(&result, "append");
    assert!(append.succeeded > 100 && append.failed == 0, "{:?}", result.errors);
    assert!(ms(&append.times, 100.0) >= 980.0, "it was there");
    assert!(ms(&append.times, 99.0) < 500.0, "p99 = {} ms", ms(&append.times, 99.0));
    assert!(result.notes.iter().any(|note| note.warning && note.code == "closed-loop"));
}

//! Live readers with habits: they come late, leave and come back, all at once or one by one, and
//! read slowly; none of it loses or repeats a message.

use std::time::{Duration, Instant};

use crate::runs::{delivery, errors, faults, is_whole, ms, operation, passed, plan, run, run_on};
use crate::stub::{Faults, Stub};

/// They have more to get than what was published since they came, and the drain waits for it.
#[test]
fn readers_that_come_late() {
    let visible_after = Duration::from_millis(300);
    let stub = Stub::with(Faults { visible_after, ..Faults::default() });
    let text = r#"
        [[streams]]
        name = "x"

        [[groups]]
        rate = 100
        duration = "1s"
        steps = [{ append = {} }]

        [[groups]]
        users = 20
        delay = "500ms"
        hold = "500ms"
        steps = [{ label = "from the beginning", tail = { from = "beginning" } }]

        [[groups]]
        users = 10
        ramp_up = "500ms"
        hold = "500ms"
        steps = [{ label = "from now", tail = {} }]
    "#;
    let begin = Instant::now();
    let result = run(&plan(&stub, text));
    is_whole(&result, "from now");
    is_whole(&result, "from the beginning");
    assert_eq!(delivery(&result, "from the beginning").delivered, 20 * 100);
    // Nobody waits when everything is there.
    assert!(begin.elapsed() < Duration::from_secs(4), "{:?}", begin.elapsed());
}

//! The generator's own limits are its lateness, and no part of what is said about the server.

use crate::runs::{operation, plan, run};
use crate::stub::Stub;

#[test]
fn waiting_for_the_connect_rate_is_no_latency() {
    let stub = Stub::start();
    let text = r#"
        connect_rate = 20

        [[groups]]
        users = 20
        iterations = 3
        steps = [{ head = { stream = "x" } }]

        [[streams]]
        name = "x"
    "#;
    let result = run(&plan(&stub, text));
    let head = operation(&result, "head");
    assert_eq!((head.succeeded, head.failed), (60, 0));
    // The last of the users waits for most of a second. Of 60 operations a third are the first of
    // their connections.
    let p90_ns = head.times.percentile(90.0);
    assert!(p90_ns < 200_000_000, "{p90_ns} ns");
}

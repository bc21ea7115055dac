//! Open groups: which of them have users, what times out, what was never sent, and how they end.

use std::collections::BTreeSet;
use std::time::Duration;

use thalweg_loadgen::result::RunResult;

use crate::runs::{delivery, errors, ms, operation, passed, plan, run, side_by_side, with_data};
use crate::stub::{Faults, Harm, Reply, Stub, Target, Then};

fn codes(result: &RunResult) -> Vec<&str> {
    result.notes.iter().map(|note| note.code.as_str()).collect()
}

fn refusing(status: &str) -> Stub {
    let bytes = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").into_bytes();
    let reply = Some((Target::Appends, Reply { bytes, then: Then::Stay }));
    Stub::with(Faults { reply, ..Faults::default() })
}

fn bodies(stub: &Stub) -> BTreeSet<String> {
    let log = stub.log();
    let appends = log.requests.iter().filter(|request| request.method == "POST");
    appends.map(|request| String::from_utf8_lossy(&request.body).into_owned()).collect()
}

/// One append that needs a row, a variable or a number of a user has one; the group ends with its
/// rows, and the others go on.
#[test]
fn a_group_ends_with_its_data() {
    let stub = Stub::start();
    let text = r#"
        variables = { greeting = "hello" }

        [[streams]]
        name = "x"

        [[data]]
        file = "names.csv"
        recycle = false

        [[groups]]
        rate = 50
        duration = "600ms"
        steps = [{ append = { body = '"${greeting} ${name}"' } }]

        [[groups]]
        users = 1
        iterations = 3
        steps = [{ label = "other", head = {} }]
    "#;
    let result = run(&with_data(&stub, text, &[("names.csv", "name\nada\ngrace\njoan\n")]));
    assert_eq!(errors(&result), []);
    let want = ["ada", "grace", "joan"].map(|name| format!("\"hello {name}\""));
    assert_eq!(bodies(&stub), want.into());
    let group = &result.groups[0];
    assert_eq!((group.intended, group.started), (3, 3));
    assert_eq!(operation(&result, "other").succeeded, 3);
    assert!(!result.meta.interrupted && passed(&result), "{:?}", result.verdicts);
    assert!(codes(&result).contains(&"data-ran-out"));
    assert!(!codes(&result).contains(&"generator-behind"));
}

#[test]
fn users_of_an_open_group_have_numbers() {
    let answer_after = Duration::from_millis(200);
    let stub = Stub::with(Faults { answer_after, ..Faults::default() });
    let text = r#"
        [[streams]]
        name = "x"

        [[groups]]
        rate = 50
        duration = "500ms"
        steps = [{ append = { body = '${__threadNum}' } }]
    "#;
    assert_eq!(errors(&run(&plan(&stub, text))), []);
    assert!(bodies(&stub).contains("2"), "{:?}", bodies(&stub));
}

/// The plan ends the run: that is a failure, and nobody's interruption.
#[test]
fn an_error_ends_the_run() {
    let stub = refusing("500 No");
    let text = r#"
        [[streams]]
        name = "x"

        [[groups]]
        rate = 20
        duration = "5s"
        on_error = "stop-run"
        steps = [{ append = {} }]
    "#;
    let result = run(&plan(&stub, text));
    assert!(operation(&result, "append").failed < 50);
    assert!(!result.meta.interrupted && !passed(&result));
    assert!(codes(&result).contains(&"stopped-by-plan"));
    assert!(!codes(&result).contains(&"generator-behind"));
}

/// Each request fails when its own time is over, and those after it go over another connection.
#[test]
fn pipelined_appends_time_out() {
    let answer_after = Duration::from_millis(1500);
    let stub = Stub::with(Faults { answer_after, ..Faults::default() });
    let text = r#"
        timeout = "300ms"

        [[streams]]
        name = "x"

        [[groups]]
        rate = 50
        duration = "2s"
        steps = [{ append = {} }]
    "#;
    let result = run(&plan(&stub, text));
    assert_eq!(errors(&result), [("append", "timeout", 100)]);
    let times = &operation(&result, "append").times;
    assert!(ms(times, 0.0) >= 299.0, "{}", ms(times, 0.0));
    assert!(ms(times, 50.0) < 1000.0, "{}", ms(times, 50.0));
    let log = stub.log();
    assert_eq!(log.appends, 100, "each was sent once");
    // One to create the stream, one at first, and others.
    assert!(log.accepted > 3, "{}", log.accepted);
}

/// What the plan wants of an answer does not decide what readers should have got.
#[test]
fn only_2xx_acknowledges() {
    let open = "rate = 50\nduration = \"500ms\"";
    let closed = "users = 1\niterations = 25";
    let text = |load: &str, assertion: &str| {
        format!(
            r#"
            drain = "500ms"

            [[streams]]
            name = "x"

            [[groups]]
            {load}
            steps = [{{ append = {{}}, assert = [{assertion}] }}]

            [[groups]]
            users = 2
            hold = "700ms"
            steps = [{{ label = "deliver", tail = {{}} }}]
            "#
        )
    };
    side_by_side([open, closed], |load| {
        let stub = refusing("404 Not Found");
        let result = run(&plan(&stub, &text(load, "{ status = 404 }")));
        assert_eq!(errors(&result), [], "{load}");
        assert_eq!(delivery(&result, "deliver").expected, 0, "{load}");

        let stub = Stub::with(Faults { harm: Some((10, Harm::Drop)), ..Faults::default() });
        let result = run(&plan(&stub, &text(load, "{ body = { contains = \"never\" } }")));
        assert_eq!(operation(&result, "append").failed, 25, "{load}");
        let deliver = delivery(&result, "deliver");
        assert_eq!((deliver.expected, deliver.lost), (50, 1), "{load}");
    });
}

/// Groups that end before the run have the rate that they had, not that of the whole run.
#[test]
fn rates_are_of_the_group() {
    let stub = Stub::start();
    let text = r#"
        [[streams]]
        name = "x"

        [[groups]]
        rate = 100
        duration = "500ms"
        steps = [{ append = {} }]

        [[groups]]
        rate = 10
        duration = "1500ms"
        steps = [{ head = {} }]
    "#;
    let result = run(&plan(&stub, text));
    let group = &result.groups[0];
    assert_eq!((group.intended, group.started), (50, 50));
    assert!((group.intended_rate - group.achieved_rate).abs() < 1e-6, "{group:?}");
}

/// A server that never answers: what was due and could not be sent has failed all the same.
#[test]
fn what_was_never_sent_has_failed() {
    let one = "steps = [{ append = {} }]";
    let several = "steps = [{ append = {} }, { head = {} }]";
    side_by_side([one, several], |steps| {
        let answer_after = Duration::from_secs(3);
        let stub = Stub::with(Faults { answer_after, ..Faults::default() });
        let text = format!(
            r#"
            timeout = "2s"

            [[streams]]
            name = "x"
            count = 4

            [[groups]]
            rate = 100
            duration = "1s"
            max_in_flight = 5
            {steps}
            "#
        );
        let result = run(&plan(&stub, &text));
        let group = &result.groups[0];
        assert_eq!((group.intended, group.started, group.not_sent), (100, 5, 95), "{steps}");
        let append = operation(&result, "append");
        assert_eq!((append.succeeded, append.failed), (0, 100), "{steps}");
        assert_eq!(stub.log().appends, 5);
        let codes = codes(&result);
        assert!(codes.contains(&"in-flight-limit"), "{codes:?}");
        assert!(!codes.contains(&"generator-behind"), "{codes:?}");
    });
}

//! Virtual users: ramps, iterations, what an error does, transactions, loops, conditions, data and
//! values taken out of answers; and what a plan says about time.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use thalweg_loadgen::engine::{self, RunOptions};
use thalweg_loadgen::result::RunResult;

use crate::runs::{
    delivery, errors, is_whole, ms, operation, passed, plan, run, side_by_side, with_data,
};
use crate::stub::{Faults, Reply, Stub, Target, Then};

/// Of an operation: good and failed ones.
fn counts(result: &RunResult, label: &str) -> (u64, u64) {
    let operation = operation(result, label);
    (operation.succeeded, operation.failed)
}

fn bodies(stub: &Stub, method: &str) -> Vec<String> {
    let log = stub.log();
    let requests = log.requests.iter().filter(|request| request.method == method);
    requests.map(|request| String::from_utf8_lossy(&request.body).into_owned()).collect()
}

#[test]
fn users_ramp_up_and_down() {
    let stub = Stub::start();
    let text = r#"
        [[streams]]
        name = "x"

        [[groups]]
        users = 20
        ramp_up = "600ms"
        hold = "600ms"
        ramp_down = "600ms"
        steps = [{ append = { body = '{"u":${__threadNum}}' } }, { pause = "20ms" }]
    "#;
    let result = run(&plan(&stub, text));
    assert_eq!(errors(&result), []);
    assert_eq!(result.groups[0].users, 20);
    let log = stub.log();
    let appends: Vec<_> = log.requests.iter().filter(|request| request.method == "POST").collect();
    let begin = appends[0].at;
    // Who was there when: user 20 came last and left first.
    let span = |user: u32| {
        let body = format!("{{\"u\":{user}}}").into_bytes();
        let mut of = appends.iter().filter(|request| request.body == body);
        let first = of.next().expect("an append").at - begin;
        (first, of.next_back().expect("more").at - begin)
    };
    let (first, last) = (span(1), span(20));
    assert!(last.0 >= first.0 + Duration::from_millis(300), "{first:?} {last:?}");
    assert!(last.1 < first.1, "{last:?} {first:?}");
    let gap = first.1 - last.1;
    assert!(gap >= Duration::from_millis(150), "{gap:?}");
}

#[test]
fn users_stop_after_their_iterations() {
    let stub = Stub::start();
    let text = r#"
        [[streams]]
        name = "x"
        count = 4
        choice = "per-user"

        [[groups]]
        users = 8
        iterations = 5
        steps = [
            { transaction = { steps = [
                { loop = { times = 3, steps = [{ append = {} }, { pause = "1ms" }] } },
                { read = { from = "now" } },
            ] }, label = "visit" },
            { if = { condition = "${__threadNum} > 6", steps = [{ head = {} }] } },
        ]
    "#;
    let result = run(&plan(&stub, text));
    assert_eq!(counts(&result, "append"), (8 * 5 * 3, 0));
    assert_eq!(counts(&result, "read"), (8 * 5, 0));
    assert_eq!(counts(&result, "visit"), (8 * 5, 0));
    assert_eq!(counts(&result, "head"), (2 * 5, 0));
    assert_eq!(result.groups[0].started, 8 * 5);
    assert!(result.meta.duration_ms < 5000 && !result.meta.interrupted);
    assert!(passed(&result));
}

/// The end of the load cuts transactions short; that is nobody's failure.
#[test]
fn the_end_is_no_failure() {
    let stub = Stub::with(Faults { answer_after: Duration::from_millis(30), ..Faults::default() });
    let text = r#"
        [[streams]]
        name = "x"

        [[groups]]
        users = 20
        hold = "500ms"
        steps = [{ transaction = { steps = [
            { append = {} }, { pause = "10ms" }, { append = {} }, { append = {} },
        ] }, label = "visit" }]

        [[groups]]
        rate = 50
        duration = "500ms"
        steps = [{ transaction = { steps = [
            { append = {} }, { append = {} }, { pause = "10s" }, { append = {} },
        ] }, label = "arrival" }]
    "#;
    let result = run(&plan(&stub, text));
    assert_eq!(errors(&result), []);
    assert!(passed(&result), "{:?}", result.verdicts);
    let (visits, _) = counts(&result, "visit");
    assert!((20..20 * 6).contains(&visits), "{visits}");
    assert_eq!(counts(&result, "arrival"), (0, 0));
    assert_eq!(result.groups[1].started, 25);
}

/// What an error does to its user, seen in the operations that follow.
#[test]
fn on_error() {
    let check = |on_error: &str, want: [u64; 3], started: u64| {
        let reply = Reply {
            bytes: b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n".to_vec(),
            then: Then::Stay,
        };
        let reply = Some((Target::Appends, reply));
        let stub = Stub::with(Faults { reply, ..Faults::default() });
        let text = format!(
            r#"
            [[streams]]
            name = "x"

            [[groups]]
            users = 1
            iterations = 4
            on_error = "{on_error}"
            steps = [{{ label = "before", head = {{}} }}, {{ append = {{}} }}, {{ label = "after", head = {{}} }}]
            "#
        );
        let result = run(&plan(&stub, &text));
        let got =
            ["before", "append", "after"].map(|label| operation(&result, label).times.count());
        assert_eq!(got, want, "{on_error}");
        assert_eq!(errors(&result), [("append", "status 500", want[1])], "{on_error}");
        assert_eq!(result.groups[0].started, started, "{on_error}");
        assert!(!result.meta.interrupted, "the plan said so");
        assert!(!passed(&result));
    };
    check("continue", [4, 4, 4], 4);
    check("next-iteration", [4, 4, 0], 4);
    check("stop-user", [1, 1, 0], 1);
    check("stop-run", [1, 1, 0], 1);
}

#[test]
fn data_variables_and_extractions() {
    let stub = Stub::start();
    let text = r#"
        headers = { X-Name = "${name}" }

        [variables]
        greeting = "hello"
        name = "nobody" # until there is a row: the stream is created with it

        [[streams]]
        name = "x"

        [[data]]
        file = "names.csv"
        recycle = false

        [[groups]]
        users = 2
        iterations = 100
        steps = [
            { append = { body = '{"id":${id},"text":"${greeting}, ${name}"}' }, extract = [
                { variable = "next", header = "Stream-Next-Offset" },
            ] },
            { label = "last", http = { path = "x?offset=-1" }, assert = [
                { status = 200 },
                { json_path = { path = "$[0].id", equals = "1" } },
                { body = { contains = "hello, ${name}" } },
            ], extract = [
                { variable = "first", json_path = "$[0].text" },
                { variable = "digits", regex = "\"id\":([0-9]+)" },
            ] },
            { if = { condition = "'${first}' == 'hello, ada'", steps = [
                { label = "on", read = { from = "${next}" }, headers = { X-Digits = "${digits}" } },
            ] } },
        ]
    "#;
    let data = [("names.csv", "id,name\n1,ada\n2,grace\n3,\"joan, too\"\n")];
    let result = run(&with_data(&stub, text, &data));
    assert_eq!(errors(&result), []);
    // Users end with the data.
    for label in ["append", "last", "on"] {
        assert_eq!(counts(&result, label), (3, 0), "{label}");
    }
    let bodies: BTreeSet<_> = bodies(&stub, "POST").into_iter().collect();
    let want =
        ["1,\"text\":\"hello, ada", "2,\"text\":\"hello, grace", "3,\"text\":\"hello, joan, too"];
    assert_eq!(bodies, want.map(|body| format!("{{\"id\":{body}\"}}")).into());
    let log = stub.log();
    let gets: Vec<_> = log.requests.iter().filter(|request| request.method == "GET").collect();
    assert!(gets.iter().all(|request| request.fields.contains("X-Name: ")));
    let on = gets.iter().filter(|request| request.fields.contains("X-Digits: 1"));
    let offsets: BTreeSet<_> = on.map(|request| request.query.clone()).collect();
    assert_eq!(offsets, ["offset=1", "offset=2", "offset=3"].map(str::to_owned).into());
}

/// All that happens is done, and only what comes after the warm-up is counted.
#[test]
fn a_warm_up_is_not_counted() {
    let stub = Stub::start();
    let text = r#"
        warm_up = "800ms"

        [[streams]]
        name = "x"

        [[groups]]
        rate = 100
        duration = "1300ms"
        steps = [{ append = {} }]

        [[groups]]
        users = 4
        hold = "1300ms"
        steps = [{ label = "deliver", tail = {} }]
    "#;
    let result = run(&plan(&stub, text));
    is_whole(&result, "deliver");
    assert_eq!(stub.log().appends, 130);
    assert_eq!(counts(&result, "append"), (50, 0));
    let deliver = delivery(&result, "deliver");
    assert_eq!((deliver.delivered, deliver.times.count()), (4 * 50, 4 * 50));
    assert_eq!(deliver.last_reader.count(), 50);
    let group = &result.groups[0];
    assert_eq!((group.intended, group.started), (50, 50));
    assert!((450..1000).contains(&result.meta.duration_ms), "{}", result.meta.duration_ms);
}

/// A timeout counts with all of its time, and the message is not expected by anybody.
#[test]
fn slow_answers_time_out() {
    let answer_after = Duration::from_millis(600);
    let stub = Stub::with(Faults { answer_after, ..Faults::default() });
    let text = r#"
        timeout = "200ms"

        [[streams]]
        name = "x"

        [[groups]]
        users = 3
        iterations = 2
        steps = [{ append = {} }]
    "#;
    let result = run(&plan(&stub, text));
    assert_eq!(errors(&result), [("append", "timeout", 6)]);
    let times = &operation(&result, "append").times;
    assert!(ms(times, 0.0) >= 199.0, "{}", ms(times, 0.0));
    assert_eq!(stub.log().appends, 6, "each was sent once");
}

/// Too much under way: arrivals wait, their waiting counts, and the result says so.
#[test]
fn max_in_flight_is_reached() {
    let one = "steps = [{ append = {} }]";
    let several = "steps = [{ append = {} }, { head = {} }]";
    side_by_side([one, several], |steps| {
        let answer_after = Duration::from_millis(100);
        let stub = Stub::with(Faults { answer_after, ..Faults::default() });
        let text = format!(
            r#"
            [[streams]]
            name = "x"

            [[groups]]
            name = "publish"
            rate = 200
            duration = "1s"
            max_in_flight = 5
            {steps}
            "#
        );
        let result = run(&plan(&stub, &text));
        // 5 at a time, 0.1 s each: 50 a second. The rest has failed.
        let group = &result.groups[0];
        assert!((5..80).contains(&group.started), "{}", group.started);
        assert_eq!(group.started + group.not_sent, 200);
        assert_eq!(operation(&result, "append").succeeded, group.started);
        assert_eq!(errors(&result), [("append", "not sent", group.not_sent)]);
        assert!(ms(&operation(&result, "append").times, 99.0) > 300.0);
        let codes: Vec<_> = result.notes.iter().map(|note| note.code.as_str()).collect();
        assert!(codes.contains(&"in-flight-limit"), "{codes:?}");
        assert!(!codes.contains(&"generator-behind"), "{codes:?}");
        // It is the server that was slow.
        assert!(ms(&result.lateness, 50.0) < 150.0, "{} ms", ms(&result.lateness, 50.0));
        let text = result.notes.iter().find(|note| note.code == "in-flight-limit");
        assert!(text.is_some_and(|note| note.warning && note.text.contains("group publish")));
    });
}

/// Whoever sleeps, waits or has not come yet ends with a run that is stopped.
#[test]
fn a_run_that_is_stopped() {
    let stub = Stub::start();
    let text = r#"
        drain = "100ms"

        [[streams]]
        name = "x"

        [[groups]]
        rate = 100
        duration = "60s"
        steps = [{ append = {} }]

        [[groups]]
        users = 2
        hold = "60s"
        steps = [{ head = {} }, { pause = "60s" }]

        [[groups]]
        delay = "30s"
        users = 5
        hold = "30s"
        steps = [{ label = "late", tail = {} }]

        [[groups]]
        users = 5
        hold = "60s"
        steps = [{ label = "away", tail = { stay = "10ms", away = "60s", gap_free = false } }]

        [[groups]]
        users = 5
        hold = "60s"
        steps = [{ label = "polling", tail = { mode = "catch-up", pause = "60s", gap_free = false } }]
    "#;
    let options = RunOptions::default();
    let stop = options.stop.clone();
    let begin = Instant::now();
    let result = std::thread::scope(|scope| {
        scope.spawn(|| {
            // By a panic too: the run takes a minute else.
            scopeguard::defer! { stop.stop() }
            while stub.log().appends < 30 {
                assert!(begin.elapsed() < Duration::from_secs(9), "too few appends");
                std::thread::yield_now();
            }
        });
        engine::run(&plan(&stub, text), &options).expect("a result")
    });
    assert!(begin.elapsed() < Duration::from_secs(9), "{:?}", begin.elapsed());
    assert!(result.meta.interrupted);
    assert_eq!(errors(&result), []);
    assert_eq!(counts(&result, "head"), (2, 0));
    let readers = ["late", "away", "polling"].map(|label| delivery(&result, label).readers);
    assert_eq!(readers, [0, 5, 5]);
}

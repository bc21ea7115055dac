//! Live readers with habits: they come late, leave and come back, all at once or one by one, and
//! read slowly; none of it loses or repeats a message.

use std::time::{Duration, Instant};

use thalweg_loadgen::plan::Plan;
use thalweg_loadgen::result::RunResult;

use crate::runs::{
    delivery, errors, faults, is_whole, ms, operation, passed, plan, run, run_on, side_by_side,
};
use crate::stub::{Faults, Reply, Stub, Target, Then};

/// They have more to get than what was published since they came, and the drain waits for it.
#[test]
fn readers_that_come_late() {
    let visible_after = Duration::from_millis(300);
    let stub = Stub::with(Faults { visible_after, ..Faults::default() });
    let text = r#"
        drain = "30s"

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
    assert!(begin.elapsed() < Duration::from_secs(15), "{:?}", begin.elapsed());
}

/// Every message has a last reader, whoever else follows its stream, and with how many lives.
#[test]
fn the_last_reader_is_one_of_its_label() {
    let stub = Stub::start();
    let text = r#"
        [[streams]]
        name = "x"

        [[groups]]
        rate = 100
        duration = "1s"
        steps = [{ append = {} }]

        [[groups]]
        users = 3
        hold = "1s"
        steps = [{ label = "one", tail = {} }]

        [[groups]]
        users = 5
        hold = "1s"
        steps = [{ label = "other", tail = {} }]

        [[groups]]
        stages = [
            { users = 4, duration = "200ms" },
            { users = 2, duration = "200ms" },
            { users = 4, duration = "200ms" },
            { users = 4, duration = "400ms" },
        ]
        steps = [{ label = "ramps", tail = { from = "beginning" } }]
    "#;
    let result = run(&plan(&stub, text));
    for label in ["one", "other", "ramps"] {
        is_whole(&result, label);
        assert_eq!(delivery(&result, label).last_reader.count(), 100, "{label}");
    }
}

/// Of one publisher and two readers, who come after half a second.
const LATE: &str = r#"
    drain = "100ms"

    [[streams]]
    name = "x"

    [[groups]]
    rate = 50
    duration = "1500ms"
    steps = [{ append = {} }]

    [[groups]]
    users = 2
    delay = "500ms"
    hold = "1s"
    steps = [{ label = "deliver", tail = {} }]
"#;

/// An SSE answer that says where it begins, and nothing more.
fn confirmation(end: &str, then: Then) -> Faults {
    let event = "event: control\ndata:{\"streamNextOffset\":\"0\"}\n\n";
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n";
    let answer =
        format!("{head}transfer-encoding: chunked\r\n\r\n{:x}\r\n{event}\r\n{end}", event.len());
    let reply = Reply { bytes: answer.into_bytes(), then };
    Faults { reply: Some((Target::Live, reply)), ..Faults::default() }
}

/// The server has confirmed that they follow: they are owed what is published from then on.
#[test]
fn late_readers_that_get_nothing() {
    let stub = Stub::with(confirmation("", Then::Stay));
    let result = run(&plan(&stub, LATE));
    let deliver = delivery(&result, "deliver");
    // All that was due from 0.6 s after the begin, unless they were slow to come.
    assert_eq!((deliver.readers, deliver.delivered), (2, 0));
    assert!((2..=2 * 45).contains(&deliver.lost), "{}", deliver.lost);
    assert_eq!(deliver.expected, deliver.lost);
    assert!(!passed(&result));
}

/// Nobody hammers a server that does not want him.
#[test]
fn a_server_that_confirms_and_closes() {
    let stub = Stub::with(confirmation("0\r\n\r\n", Then::Close));
    let text = LATE.replace("        delay = \"500ms\"\n", "");
    let result = run(&plan(&stub, &text));
    // One publisher, and two readers that wait for 250 ms each time, for less than 10 s.
    let accepted = stub.log().accepted;
    assert!((4..80).contains(&accepted), "{accepted}");
    assert!(!passed(&result), "all is lost");
}

/// What nobody can judge does not pass.
#[test]
fn deliveries_that_cannot_be_judged() {
    let unstamped = LATE.replace("append = {}", "append = { body = '\"hello\"' }");
    let too_late = LATE.replace("\"500ms\"", "\"2s\"");
    side_by_side([unstamped, too_late], |text| {
        let stub = Stub::start();
        let result = run(&plan(&stub, &text));
        let deliver = delivery(&result, "deliver");
        assert_eq!((deliver.expected, deliver.unjudged), (0, 75), "{text}");
        assert!(result.notes.iter().any(|note| note.warning && note.code == "no-deliveries"));
        assert!(!passed(&result), "{:?}", result.verdicts);
    });
    let stub = Stub::start();
    let nothing = LATE.replace("append = {}", "head = {}");
    assert!(passed(&run(&plan(&stub, &nothing))), "there was nothing to deliver");
}

/// A publisher, and a reader of the given habits beside one that stays.
fn habits(stub: &Stub, users: u32, habits: &str) -> Plan {
    let text = format!(
        r#"
        connect_rate = 200
        drain = "30s"

        [[streams]]
        name = "x"

        [[groups]]
        rate = 100
        duration = "2s"
        steps = [{{ append = {{}} }}]

        [[groups]]
        users = 10
        hold = "2s"
        steps = [{{ label = "steady", tail = {{}} }}]

        [[groups]]
        users = {users}
        hold = "2s"
        steps = [{{ label = "habit", tail = {{ {habits} }} }}]
        "#
    );
    plan(stub, &text)
}

/// Messages that there were: a machine that stands still for a second sends fewer than planned.
fn sent(result: &RunResult) -> u64 {
    let append = operation(result, "append");
    assert!(append.succeeded > 100 && append.failed == 0, "{:?}", result.errors);
    append.succeeded
}

#[test]
fn churning_readers() {
    side_by_side(["sse", "long-poll", "catch-up"], |mode| {
        let stub = Stub::start();
        let habit = format!(r#"mode = "{mode}", stay = "200ms", away = "50ms""#);
        let result = run(&habits(&stub, 30, &habit));
        is_whole(&result, "steady");
        is_whole(&result, "habit");
        assert_eq!(errors(&result), [], "{mode}");
        let habit = delivery(&result, "habit");
        assert_eq!((habit.readers, habit.delivered), (30, 30 * sent(&result)), "{mode}");
        // Each stays for 250 ms on average, of 2 s.
        assert!(habit.reconnects > 60, "{mode}: {}", habit.reconnects);
        assert_eq!(delivery(&result, "steady").reconnects, 0, "{mode}");
    });
}

/// Who has left once is not kept from coming back by an answer that takes its time.
#[test]
fn churning_readers_of_a_slow_server() {
    let follow_after = Duration::from_millis(60);
    let stub = Stub::with(Faults { follow_after, ..Faults::default() });
    let result = run(&habits(&stub, 30, r#"stay = "300ms", away = "20ms""#));
    is_whole(&result, "habit");
    let habit = delivery(&result, "habit");
    assert_eq!(habit.delivered, 30 * sent(&result));
    // Each is there for 300 of 380 ms.
    assert!(habit.reconnects >= 60, "{}", habit.reconnects);
}

/// All leave at 0.8 s and 1.6 s, and come back one by one.
#[test]
fn a_reconnect_storm() {
    const READERS: u64 = 60;
    side_by_side(["sse", "long-poll"], |mode| {
        let stub = Stub::start();
        let habit = format!(r#"mode = "{mode}", storm_every = "800ms""#);
        let began = Instant::now();
        let result = run_on(&habits(&stub, READERS as u32, &habit), 2);
        is_whole(&result, "steady");
        is_whole(&result, "habit");
        assert_eq!(errors(&result), [], "{mode}");
        let habit = delivery(&result, "habit");
        assert_eq!(habit.delivered, READERS * sent(&result), "{mode}");
        // A slow machine makes the drain so long that there is a third one.
        assert!(habit.reconnects >= 2 * READERS, "{mode}: {}", habit.reconnects);
        let most = (began.elapsed().as_millis() as u64 / 800) * READERS;
        assert!(habit.reconnects <= most, "{mode}: {}", habit.reconnects);
        // They come back at the connect rate: the last after 60 / 200 s.
        let longest = ms(&habit.reader_max, 100.0);
        assert!(longest >= 250.0, "{mode}: {longest} ms");
        assert!(stub.log().accepted >= 3 * READERS, "{mode}");
    });
}

/// Their sockets fill up, and only theirs.
#[test]
fn slow_readers() {
    let stub = Stub::with(Faults { send_buffer: Some(16 * 1024), ..Faults::default() });
    let text = r#"
        drain = "2s"

        [[streams]]
        name = "x"

        [[groups]]
        rate = 50
        duration = "1500ms"
        steps = [{ append = { size = "16KiB" } }]

        [[groups]]
        users = 5
        hold = "1500ms"
        steps = [{ label = "steady", tail = {} }]

        [[groups]]
        users = 3
        hold = "1500ms"
        steps = [{ label = "slow", tail = { bytes_per_second = "4KiB", gap_free = false } }]
    "#;
    let result = run(&plan(&stub, text));
    is_whole(&result, "steady");
    let (steady, slow) = (delivery(&result, "steady"), delivery(&result, "slow"));
    assert_eq!(steady.delivered, 5 * 75);
    assert_eq!(slow.readers, 3);
    assert!(slow.bytes_received < 3 * 16 * 1024, "{}", slow.bytes_received);
    assert_eq!(slow.lost, slow.expected - slow.delivered);
    assert!(slow.lost > 3 * 60, "{}", slow.lost);
    assert_eq!(faults(slow)[1..], [0; 4]);
    assert!(passed(&result), "the plan does not ask for all of it: {:?}", result.verdicts);
    let behind = stub.log().most_behind.clone();
    let behind: Vec<_> = behind.values().filter(|messages| **messages > 20).collect();
    assert_eq!(behind.len(), 3, "the server held messages back for them alone: {behind:?}");
}

/// Readers of several streams each get theirs alone, whatever way they read.
#[test]
fn every_way_of_reading() {
    side_by_side(["sse", "long-poll", "catch-up"], |mode| {
        for from in ["now", "beginning"] {
            let stub = Stub::start();
            let text = format!(
                r#"
                [[streams]]
                name = "x"
                count = 7
                choice = "round-robin"

                [[groups]]
                rate = 200
                duration = "500ms"
                steps = [{{ append = {{}} }}]

                [[groups]]
                users = 20
                hold = "500ms"
                steps = [{{ label = "deliver", tail = {{ mode = "{mode}", from = "{from}" }} }}]
                "#
            );
            let result = run(&plan(&stub, &text));
            is_whole(&result, "deliver");
            // The first six streams have three readers each, the seventh two; the first two have
            // 15 messages each, the others 14.
            let delivery = delivery(&result, "deliver");
            assert_eq!(delivery.delivered, 3 * (2 * 15 + 4 * 14) + 2 * 14, "{mode}, {from}");
            assert_eq!((delivery.readers, delivery.mode.as_str()), (20, mode));
        }
    });
}

/// A stream that is closed ends its readers, and the run does not wait for more.
#[test]
fn a_stream_is_closed() {
    side_by_side(["sse", "long-poll", "catch-up"], |mode| {
        let stub = Stub::start();
        let text = format!(
            r#"
            [[streams]]
            name = "x"

            [[groups]]
            users = 1
            iterations = 1
            steps = [{{ loop = {{ times = 20, steps = [{{ append = {{}} }}] }} }}, {{ close = {{}} }}]

            [[groups]]
            users = 5
            hold = "300ms"
            steps = [{{ label = "deliver", tail = {{ mode = "{mode}" }} }}]
            "#
        );
        let result = run(&plan(&stub, &text));
        is_whole(&result, "deliver");
        let deliver = delivery(&result, "deliver");
        assert_eq!((deliver.delivered, deliver.reconnects), (5 * 20, 0), "{mode}");
        assert_eq!(operation(&result, "close").succeeded, 1);
        assert_eq!(errors(&result), [], "{mode}");
    });
}

//! One message in 100,000 that is dropped, repeated, delayed or damaged on its way to one reader
//! is counted, named, and fails the run.

use thalweg_loadgen::output::text;
use thalweg_loadgen::result::RunResult;

use crate::runs::{delivery, faults, is_whole, passed, plan, run, side_by_side};
use crate::stub::{Cut, Faults, Harm, Stub};

const READERS: u64 = 200;
const MESSAGES: u64 = 1000;

/// 200,000 deliveries, of which the 100,000th comes to harm.
fn check(harm: Harm, want: [u64; 5], named: &str, code: &str) {
    let stub = Stub::with(Faults { harm: Some((100_003, harm)), ..Faults::default() });
    // It ends when everybody has everything; what is dropped is waited for until the end.
    let drain = if harm == Harm::Drop { "5s" } else { "30s" };
    let text = format!(
        r#"
        drain = "{drain}"

        [[streams]]
        name = "x"

        [[groups]]
        rate = 50
        duration = "2s"
        steps = [{{ append_batch = {{ messages = 10 }} }}]

        [[groups]]
        users = {READERS}
        hold = "2s"
        steps = [{{ label = "deliver", tail = {{}} }}]
        "#
    );
    let result = run(&plan(&stub, &text));
    let log = stub.log();
    assert!(log.deliveries >= READERS * MESSAGES - 1 && log.harmed.len() == 1);
    let sequence = sequence(&log.harmed[0].message);
    let deliver = delivery(&result, "deliver");
    assert_eq!(faults(deliver), want, "{:?}", deliver.faults);
    assert_eq!(deliver.expected, READERS * MESSAGES);
    assert_eq!(deliver.delivered, deliver.expected - want[0]);
    let named = named.replace("#", &sequence);
    let found = deliver.faults.iter().find(|fault| fault.ends_with(&named));
    let Some(found) = found else { panic!("{named} is not in {:?}", deliver.faults) };
    assert_eq!(deliver.faults.len(), 1, "{:?}", deliver.faults);
    says_so(&result, code, found);
}

/// The run failed, and its note and its text name what happened.
fn says_so(result: &RunResult, code: &str, fault: &str) {
    assert!(!passed(result), "{:?}", result.verdicts);
    let note = result.notes.iter().find(|note| note.code == code).expect(code);
    assert!(note.warning && note.text.contains(fault), "{}", note.text);
    let text = text::text(result);
    // It breaks lines where there is room.
    let words: Vec<&str> = text.split_whitespace().collect();
    assert!(words.join(" ").contains(fault), "{text}");
}

/// Of a message.
fn sequence(message: &[u8]) -> String {
    String::from_utf8_lossy(message).split('.').nth(2).expect("a stamp").to_owned()
}

#[test]
fn a_dropped_message() {
    check(Harm::Drop, [1, 0, 0, 0, 0], " of stream 0 lost message # of source 0", "lost");
}

#[test]
fn a_repeated_message() {
    let named = " of stream 0 got message # of source 0 again";
    check(Harm::Repeat, [0, 1, 0, 0, 0], named, "duplicated");
}

#[test]
fn a_delayed_message() {
    let named = " of stream 0 got message # of source 0 out of order";
    check(Harm::Delay, [0, 0, 1, 0, 0], named, "reordered");
}

/// The message is there, but nobody can read its stamp: it is lost as well.
#[test]
fn a_damaged_message() {
    let stub = Stub::with(Faults { harm: Some((77, Harm::Damage)), ..Faults::default() });
    let result = run(&plan(&stub, FEW));
    let deliver = delivery(&result, "deliver");
    assert_eq!(faults(deliver), [1, 0, 0, 1, 0], "{:?}", deliver.faults);
    assert!(deliver.faults[0].contains(" lost message "), "{:?}", deliver.faults);
    assert!(deliver.faults[1].ends_with(" got a damaged message"), "{:?}", deliver.faults);
    says_so(&result, "damaged", &deliver.faults[1]);
}

/// A message that says that it is another one, of which there is none: it is lost as well.
#[test]
fn a_number_that_nobody_sent() {
    let stub = Stub::with(Faults { harm: Some((77, Harm::Number)), ..Faults::default() });
    let result = run(&plan(&stub, FEW));
    let deliver = delivery(&result, "deliver");
    assert_eq!(faults(deliver), [1, 0, 0, 1, 0], "{:?}", deliver.faults);
    assert_eq!((deliver.expected, deliver.delivered), (120, 119));
    let want = " got a damaged message: nobody sent message 4000000000 of source 0";
    assert!(deliver.faults[1].ends_with(want), "{:?}", deliver.faults);
    says_so(&result, "damaged", &deliver.faults[1]);
}

/// The first ten messages are of the warm-up.
#[test]
fn what_happens_during_the_warm_up_is_left_out() {
    let all = [Harm::Drop, Harm::Repeat, Harm::Delay, Harm::Damage, Harm::Number];
    side_by_side(all, |harm| {
        let stub = Stub::with(Faults { harm: Some((3, harm)), ..Faults::default() });
        let text = r#"
            warm_up = "500ms"

            [[streams]]
            name = "x"

            [[groups]]
            rate = 20
            duration = "1s"
            steps = [{ append = {} }]

            [[groups]]
            users = 1
            hold = "1s"
            steps = [{ label = "deliver", tail = {} }]
        "#;
        let result = run(&plan(&stub, text));
        assert_eq!(stub.log().harmed.len(), 1);
        is_whole(&result, "deliver");
        let deliver = delivery(&result, "deliver");
        assert_eq!((deliver.delivered, deliver.faults.len()), (10, 0), "{harm:?}");
        assert!(deliver.bytes_received < 10 * 400, "{}", deliver.bytes_received);
        assert!(passed(&result), "{harm:?}: {:?}", result.verdicts);
    });
}

/// Each reader has a stream of its own, so that its path says who it is.
#[test]
fn the_right_reader_is_named() {
    side_by_side([Harm::Drop, Harm::Repeat, Harm::Delay, Harm::Damage], |harm| {
        let stub = Stub::with(Faults { harm: Some((47, harm)), ..Faults::default() });
        let result = run(&plan(&stub, FEW));
        let harmed = stub.log().harmed[0].clone();
        let stream: u32 = harmed.stream.rsplit('/').next().unwrap().parse().unwrap();
        let want = format!("reader {} of stream {stream} ", stream + 1);
        let deliver = delivery(&result, "deliver");
        assert!(!deliver.faults.is_empty());
        for fault in &deliver.faults {
            assert!(fault.starts_with(&want), "{harm:?}: {fault}, not {want}");
        }
    });
}

const FEW: &str = r#"
    drain = "2s"

    [[streams]]
    name = "x"
    count = 10
    choice = "round-robin"

    [[groups]]
    rate = 400
    duration = "300ms"
    steps = [{ append = {} }]

    [[groups]]
    users = 10
    hold = "300ms"
    steps = [{ label = "deliver", tail = {} }]
"#;

/// A server that speaks another protocol: its readers are elsewhere, and events carry the messages.
#[test]
fn events_of_another_protocol() {
    side_by_side([Cut::Proper, Cut::Data], |cut| {
        // By then each reader has an event, and so the `id` with which it comes back.
        let stub = Stub::with(Faults { cut: Some((50, cut)), ..Faults::default() });
        let text = r#"
            drain = "30s"

            [[streams]]
            name = "x"
            live_path = "/live/x"

            [[groups]]
            rate = 100
            duration = "1s"
            steps = [{ append = {} }]

            [[groups]]
            users = 20
            hold = "1s"
            steps = [{ label = "deliver", tail = { mode = "events" } }]
        "#;
        let result = run(&plan(&stub, text));
        is_whole(&result, "deliver");
        let deliver = delivery(&result, "deliver");
        assert_eq!((deliver.mode.as_str(), deliver.readers), ("events", 20));
        assert!(stub.log().cuts > 0 && deliver.reconnects > 0, "{cut:?}");
        let log = stub.log();
        let mut live = log.requests.iter().filter(|request| request.path == "/live/x");
        assert!(live.all(|request| request.query.is_empty()));
    });
}

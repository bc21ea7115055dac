use super::*;
use crate::output::jtl::HEADER;

fn read(text: &str) -> Result<RunResult, ReadError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("results.jtl");
    std::fs::write(&path, text).unwrap();
    read_jtl(&path)
}

fn codes(result: &RunResult) -> Vec<&str> {
    result.notes.iter().map(|note| note.code.as_str()).collect()
}

#[test]
fn a_log_of_jmeter() {
    // Columns in another order, none of ours, and one that is not known.
    let text = "label,elapsed,timeStamp,success,responseCode,failureMessage,Filename,allThreads\n\
                Home,12,1700000000500,true,200,,,3\n\
                \"Search, all\",40,1700000001100,false,503,,,4\n\
                Home,3,1700000002000,false,200,\"Test failed: text expected to contain\n/x/\",,4\n\
                Home,5,1700000002900,false,Non HTTP response code: java.net.ConnectException,,,2\n";
    let result = read(text).unwrap();
    let counts: Vec<(&str, u64, u64)> = result
        .operations
        .iter()
        .map(|operation| (operation.label.as_str(), operation.succeeded, operation.failed))
        .collect();
    assert_eq!(counts, [("Home", 1, 2), ("Search, all", 0, 1)]);
    assert_eq!(result.operations[0].times.max() / 1_000_000, 12);
    assert_eq!((result.meta.started_unix_ms, result.meta.duration_ms), (1_700_000_000_500, 2405));
    let seconds: Vec<u64> = result.intervals.iter().map(|interval| interval.at_ms).collect();
    assert_eq!(seconds, [0, 1000, 2000]);
    assert_eq!(result.gauges.iter().map(|gauge| gauge.users).collect::<Vec<_>>(), [3, 4, 4]);
    let kinds: Vec<&str> = result.errors.iter().map(|error| error.kind.as_str()).collect();
    assert_eq!(
        kinds,
        ["Non HTTP response code: java.net.ConnectException", "assertion", "status 503"]
    );
}

#[test]
fn our_microseconds_are_taken() {
    let text = format!(
        "{HEADER}1700000000500,1,a,200,OK,g 1-1,text,true,,10,20,1,1,http://x,1,0,0,0001234\n"
    );
    let operation = &read(&text).unwrap().operations[0];
    assert_eq!(operation.times.count(), 1);
    assert!(operation.times.max().abs_diff(1_234_000) < 2000, "{}", operation.times.max());
    assert_eq!((operation.bytes_received, operation.bytes_sent), (10, 20));
}

#[test]
fn rows_that_cannot_be_read_are_named() {
    let head = "timeStamp;elapsed;label;success\n1000;5;a;true\n";
    let check = |rest: &str, count: u64, code: &str, said: &str| {
        let result = read(&format!("{head}{rest}")).unwrap();
        assert_eq!(result.operations[0].succeeded, count, "{rest}");
        let note = result.notes.iter().find(|note| note.code == code);
        assert!(note.is_some_and(|note| note.text.contains(said)), "{rest}: {:?}", result.notes);
    };
    check("2000;6;a;tr", 1, "cut-row", "cut");
    check("2000;6;a;true", 1, "cut-row", "cut");
    check("2000;6;\"a", 1, "cut-row", "cut");
    check("2000;x;a;true\n3000;6;a;true\n", 2, "unreadable-rows", "line 3: elapsed has to be");
    check("2000\n3000;6;a;true\n", 2, "unreadable-rows", "it has 1 columns, not 4");
    assert!(!codes(&read(head).unwrap()).contains(&"cut-row"));
}

#[test]
fn other_files_are_refused() {
    let check = |text: &str, said: &str| {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    };
    check("", "has to name the column timeStamp");
    check("1000,5,a,true\n", "has to name the column timeStamp, but is: 1000,5,a,true");
    check("timeStamp,label\n", "has to name the column elapsed");
    check("<?xml version=\"1.0\"?>\n<testResults>", "output_format=csv");
}

proptest::proptest! {
    #[test]
    fn no_file_makes_it_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..400)) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("results.jtl");
        let mut text = b"timeStamp,elapsed,label,latency_us\n18446744073709551615,5,a,1\n".to_vec();
        text.extend(bytes);
        std::fs::write(&path, text).unwrap();
        let _ = read_jtl(&path);
    }
}

//! JMeter's report over the log of a real run has our counts.

use std::path::Path;

use thalweg_loadgen::engine::{self, JtlDeliveries, RunOptions};
use thalweg_loadgen::output::jtl::{JtlSink, JtlWriter};
use thalweg_loadgen::plan::Plan;
use thalweg_loadgen::result::RunResult;

use super::judge::{Count, judge};
use super::{Counts, counts};
use crate::runs;
use crate::stub::{Faults, Stub};

/// Three runs write one log: with all deliveries, with those of every other reader, and without a
/// server.
#[test]
fn the_dashboard_counts_as_we_do() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("results.jtl");
    let (writer, sink) = JtlWriter::create(&file).unwrap();
    let stub = Stub::with(Faults { refuse_one_in: Some(7), ..Faults::default() });
    let plan = |readers| runs::plan(&stub, &MIXED.replace("READERS", readers));
    let all = run(&plan("all"), &sink, JtlDeliveries::All);
    let some = run(&plan("every other"), &sink, JtlDeliveries::OneIn(2));
    let mut refused = runs::plan(&stub, REFUSED);
    refused.target = format!("http://127.0.0.1:{}", free_port());
    let refused = run(&refused, &sink, JtlDeliveries::None);
    let rows = writer.finish().unwrap();

    let mut want = Counts::new();
    for (result, part) in [(&all, 1), (&some, 2), (&refused, 1)] {
        for (label, count) in counts(result).into_iter().chain(deliveries(result, part)) {
            let sum = want.entry(label).or_default();
            sum.samples += count.samples;
            sum.errors += count.errors;
        }
    }
    check_variety(&want);
    let total = want.values().map(|count| count.samples).sum::<u64>();
    assert_eq!(rows, total, "{want:?}");
    check_columns(&file, rows);

    let Some(verdict) = judge(&["dashboard".as_ref(), file.as_os_str()]) else { return };
    assert_eq!(verdict.labels, want);
    // JMeter knows transactions by their message, and leaves them out of the total.
    want.remove(VISIT);
    let total = want.values().fold(Count::default(), |sum, count| Count {
        samples: sum.samples + count.samples,
        errors: sum.errors + count.errors,
    });
    assert_eq!(verdict.total, total);
}

fn run(plan: &Plan, sink: &JtlSink, deliveries: JtlDeliveries) -> RunResult {
    let options =
        RunOptions { jtl: Some(sink.clone()), jtl_deliveries: deliveries, ..RunOptions::default() };
    engine::run(plan, &options).expect("a result")
}

/// Deliveries to one reader in `part`; all readers got all messages.
fn deliveries(result: &RunResult, part: u64) -> Counts {
    let all = result.deliveries.iter().map(|delivery| {
        runs::is_whole(result, &delivery.label);
        let each = delivery.delivered / delivery.readers;
        assert_eq!(each * delivery.readers, delivery.delivered, "{}", delivery.label);
        let samples = each * delivery.readers.div_ceil(part);
        (delivery.label.clone(), Count { samples, errors: 0 })
    });
    all.collect()
}

/// The log has in it what it should have.
fn check_variety(want: &Counts) {
    let errors: Vec<&str> = want
        .iter()
        .filter(|(_, count)| count.errors > 0)
        .map(|(label, _)| label.as_str())
        .collect();
    assert_eq!(errors, ["append", "kann, \"nicht\"", "missing", "refused", VISIT], "{want:?}");
    assert!(want.values().all(|count| count.samples > 0), "{want:?}");
    assert_eq!(want["missing"], Count { samples: 120, errors: 120 });
    assert_eq!(want["refused"], Count { samples: 4, errors: 4 });
    assert_eq!(want[VISIT], Count { samples: 120, errors: 120 });
}

fn check_columns(file: &Path, rows: u64) {
    let mut reader = csv::Reader::from_path(file).unwrap();
    assert_eq!(reader.headers().unwrap().len(), 18);
    let (mut kinds, mut threads) = (Vec::new(), Vec::new());
    let mut count = 0;
    for row in reader.records() {
        let row = row.unwrap();
        count += 1;
        kinds.push(row[3].to_owned());
        threads.push(row[5].split_once('-').unwrap().0.to_owned());
        let number = |column: usize| row[column].parse::<u64>().unwrap();
        assert!(number(1) == number(17) / 1000, "{row:?}");
        assert!(number(14) <= number(1) && number(16) <= number(1), "{row:?}");
        assert!(number(11) >= 1 && number(12) >= number(11), "{row:?}");
        assert_eq!(&row[7] == "true", row[8].is_empty(), "{row:?}");
    }
    assert_eq!(count, rows);
    for (list, want) in [
        (&mut kinds, &["", "200", "204", "404", "503", "connect"][..]),
        (&mut threads, &["Bücher, \"alle\" 2", "late 1", "readers 3", "waiting 4", "writers 1"]),
    ] {
        list.sort_unstable();
        list.dedup();
        assert_eq!(list, want);
    }
}

/// Nobody listens there.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

const VISIT: &str = "visit, „ganz“ – größer";

const MIXED: &str = r#"
warm_up = "300ms"

[[streams]]
name = "news"

[[groups]]
name = "writers"
rate = 100
duration = "1500ms"
steps = [{ append = { size = 200 } }]

[[groups]]
name = 'Bücher, "alle"'
delay = "400ms"
users = 3
iterations = 20

[[groups.steps]]
label = "visit, „ganz“ – größer"
transaction = { include_pauses = true, steps = [
    { label = "read, all", read = { from = "beginning" } },
    { pause = "2ms" },
    { label = "missing", http = { path = "none?a='b',c" } },
    { label = 'kann, "nicht"', http = { path = "news?offset=-1" }, assert = [
        { body = { contains = ['was "nie", kommt'] } },
    ] },
] }

[[groups]]
name = "readers"
users = 6
hold = "1500ms"
steps = [{ label = "live, READERS", tail = { mode = "sse" } }]

[[groups]]
name = "waiting"
users = 4
hold = "1500ms"
steps = [{ label = "long-poll, READERS", tail = { mode = "long-poll" } }]
"#;

const REFUSED: &str = r#"
[[groups]]
name = "late"
users = 2
iterations = 2
steps = [{ label = "refused", http = { path = "/none" } }]
"#;

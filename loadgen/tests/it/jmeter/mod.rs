//! The real JMeter as the judge: it opens our logs, and it runs the plans that we run.
//!
//! It comes from PyPI (`tests/jmeter/setup.sh`). Where it cannot be had, the tests that need it say
//! why and pass.

mod judge;
mod stub;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use judge::{Count, judge};
use stub::Stub;
use thalweg_loadgen::plan::{Load, Plan, PlanSource, Step};

fn example() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../configs/load/append-and-read.jmx")
}

fn read(properties: &[(&str, &str)]) -> Plan {
    let properties = properties.iter().map(|&(name, value)| (name.into(), value.into())).collect();
    let source = PlanSource::read(&example(), properties, false).expect("readable");
    let resolved = source.resolve().expect("supported");
    assert_eq!(resolved.skipped, Vec::<String>::new());
    resolved.plan
}

/// How often each label is sampled when every condition holds.
fn expected(plan: &Plan) -> BTreeMap<String, Count> {
    let mut out = BTreeMap::new();
    for group in &plan.groups {
        let Load::Closed { stages, iterations: Some(iterations) } = &group.load else {
            panic!("without end: {group:?}")
        };
        let users = u64::from(stages.last().expect("a stage").users);
        count(&group.steps, users * iterations, &mut out);
    }
    out
}

fn count(steps: &[Step], times: u64, out: &mut BTreeMap<String, Count>) {
    let mut add = |label: &str| out.entry(label.to_owned()).or_default().samples += times;
    for step in steps {
        match step {
            Step::Sample(sampler) => add(&sampler.label),
            Step::Transaction { label, .. } => add(label),
            Step::Pause(_) | Step::Loop { .. } | Step::If { .. } => {}
        }
    }
    for step in steps {
        match step {
            Step::Loop { times: more, steps } => {
                count(steps, times * u64::from(more.expect("an end")), out);
            }
            Step::If { steps, .. } | Step::Transaction { steps, .. } => count(steps, times, out),
            Step::Sample(_) | Step::Pause(_) => {}
        }
    }
}

#[test]
fn the_example_is_read() {
    let plan = read(&[("port", "1"), ("users", "3"), ("loops", "2")]);
    assert_eq!(
        (plan.name.as_str(), plan.target.as_str()),
        ("Append and read", "http://127.0.0.1:1")
    );
    assert_eq!(plan.data[0].variables, ["room", "text"]);
    assert_eq!(plan.data[0].rows[1], ["library", "Quiet, please"]);
    let counts: Vec<_> =
        expected(&plan).into_iter().map(|(label, count)| (label, count.samples)).collect();
    let want =
        [("Append", 18), ("Create", 6), ("Delete", 6), ("Read", 6), ("Read on", 6), ("Round", 6)];
    assert_eq!(counts, want.map(|(label, samples)| (label.to_owned(), samples)));
}

#[test]
fn jmeter_runs_the_example() {
    let stub = Stub::start();
    let port = format!("port={}", stub.port());
    let plan = example();
    let arguments = ["run".as_ref(), plan.as_os_str(), "-J".as_ref(), port.as_ref()];
    let Some(verdict) = judge(&arguments) else { return };
    assert_eq!(verdict.labels, expected(&read(&[])));
}

/// JMeter's own columns, then one of ours: its name is in quotes, as JMeter has those of variables,
/// or the header is not one for JMeter. The last columns are as different as ours may be.
#[test]
fn jmeter_opens_a_log_like_ours() {
    let mut log = String::from(
        "timeStamp,elapsed,label,responseCode,responseMessage,threadName,dataType,success,\
         failureMessage,bytes,sentBytes,grpThreads,allThreads,URL,Latency,IdleTime,Connect,\
         \"latency_us\"\n",
    );
    let rows = [
        "12,append,200,OK,users 1-1,text,true,,200,100,2,3,http://h/a,11,0,1,12345",
        "0,append,204,No Content,users 1-2,,true,,0,0,2,3,http://h/a,0,0,0,000000000017",
        "9,\"read, all\",200,OK,readers 2-1,text,true,,1,1,1,3,\"http://h/a?b=c,d\",9,0,0,1",
        "9,\"read, all\",500,\"a \"\"b\"\"\",readers 2-1,text,false,\"x,\ny\",1,1,1,3,http://h/a,9,0,0,1",
        "5,append,Non HTTP response code: timeout,,users 1-1,,false,,0,9,2,3,http://h/a,0,0,0,5000",
        "30,round,200,\"Number of samples in transaction : 2, number of failing samples : 0\",users \
         1-1,,true,,1,1,2,3,null,0,0,0,30000",
    ];
    for (index, row) in rows.iter().enumerate() {
        let _ = writeln!(log, "{},{row}", 1_700_000_000_000_u64 + index as u64);
    }
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("results.jtl");
    std::fs::write(&file, log).expect("written");
    let Some(verdict) = judge(&["dashboard".as_ref(), file.as_os_str()]) else { return };
    let count = |samples, errors| Count { samples, errors };
    let labels = [("append", 3, 1), ("read, all", 2, 1), ("round", 1, 0)];
    let labels = labels.map(|(label, samples, errors)| (label.to_owned(), count(samples, errors)));
    assert_eq!(verdict.labels, BTreeMap::from(labels));
    // JMeter knows transactions by their message, and leaves them out of the total.
    assert_eq!(verdict.total, count(5, 2));
}

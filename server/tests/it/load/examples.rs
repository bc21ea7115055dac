//! The example plans, made short, against the real server.

use super::{Files, load, root, target};
use crate::support::Server;

#[track_caller]
fn check(file: &str, properties: &[&str]) {
    let server = Server::start(&[]);
    let files = Files::new();
    let (plan, summary) = (root("configs/load").join(file), files.path("s.json"));
    // A busy machine is slow: only what does not depend on time is looked at.
    let mut words = vec!["run", plan.to_str().expect("text"), "-q", "--summary", &summary];
    let of_jmx = ["-J", &format!("port={}", server.address().port())];
    let of_toml = ["-J", &format!("target={}", target(&server))];
    words.extend(if file.ends_with(".jmx") { of_jmx } else { of_toml });
    words.extend(properties.iter().flat_map(|property| ["-J", property]));
    let ran = load(&words);
    assert!(matches!(ran.code, Some(0 | 1)), "{file}: {}", ran.stderr);
    let summary = files.json("s.json");
    let failed = |operation: &serde_json::Value| operation["failed"] != 0;
    let operations = summary["operations"].as_array().expect("an array");
    assert!(!operations.iter().any(failed), "{file}: {}", ran.stdout);
    for fault in ["lost", "duplicated", "reordered", "damaged", "failed_readers"] {
        assert_eq!(summary[fault], 0, "{file}: {}", ran.stdout);
    }
    let done = operations.iter().all(|operation| operation["succeeded"].as_u64() > Some(0));
    assert!(done && !operations.is_empty(), "{file}: {}", ran.stdout);
    let deliveries = summary["deliveries"].as_array().expect("an array");
    let got = deliveries.iter().all(|delivery| delivery["delivered"].as_u64() > Some(0));
    assert!(got, "{file}: {}", ran.stdout);
}

#[test]
fn fanout() {
    check("fanout.toml", &["readers=20", "rate=20", "duration=2s", "warm_up=500ms"]);
}

#[test]
fn append_rate() {
    let stages = ["start=500ms", "climb=1s", "stay=500ms", "end=500ms"];
    check("append-rate.toml", &[&stages[..], &["peak=600", "warm_up=500ms"]].concat());
}

#[test]
fn producers() {
    check("producers.toml", &["streams=5", "hold=1s", "per_user=20/s"]);
}

#[test]
fn mixed() {
    check("mixed.toml", &["ramp=1s", "duration=2s", "rooms=50", "watchers=50", "slow=1m"]);
}

#[test]
fn churn() {
    check("churn.toml", &["readers=20", "duration=3s", "warm_up=500ms"]);
}

#[test]
fn browse() {
    check("browse.toml", &["users=3", "slow=1m"]);
}

#[test]
fn append_and_read() {
    check("append-and-read.jmx", &["users=2", "loops=2", "ramp=0"]);
}

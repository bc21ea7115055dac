//! What is refused, with which words, and with which exit code.

use super::{Files, load, target};
use crate::support::Server;

/// A plan, right but for what a test changes in it.
const PLAN: &str = r#"target = "http://127.0.0.1:1/v1/stream"

[[streams]]
name = "s"

[[groups]]
rate = 5
duration = "1s"
steps = [{ append = {} }]
"#;

#[track_caller]
fn check(words: &[&str], code: i32, want: &str) {
    let ended = load(words);
    assert_eq!(ended.code, Some(code), "{words:?}: {}", ended.stderr);
    assert!(ended.stderr.contains(want), "{words:?}: {}", ended.stderr);
    assert_eq!(ended.stdout, "", "{words:?}");
}

#[test]
fn wrong_words() {
    let files = Files::new();
    let plan = files.write("p.toml", PLAN);
    let fanout = |more: &[&str], want: &str| {
        check(&[&["fanout", "--url", "http://127.0.0.1:1/x"], more].concat(), 2, want);
    };
    fanout(&["-e"], "--output <DIR>");
    fanout(&["--readers=0"], "readers = 0: expected 1 to 1000000");
    fanout(&["--rate=NaN"], "rate = NaN: expected");
    fanout(&["--duration=60"], "expected a duration such as");
    fanout(&["--duration=0s"], "duration = 0s: expected more than nothing");
    fanout(&["--warm-up=60s"], "expected less than the duration");
    fanout(&["--jtl-deliveries=all"], "--log <FILE.jtl>");
    fanout(&["-l", "/no/such/r.jtl"], "--log /no/such/r.jtl: there is no directory /no/such");
    fanout(&["--junit", "/tmp"], "--junit /tmp: it is a directory");
    fanout(&["-o", &plan], "it is a file; expected a directory");
    let same = format!("{}/./r.json", files.path(""));
    let twice = ["-l", &files.path("r.json"), "--summary", &same];
    fanout(&twice, "--log writes there too; expected another file");
    fanout(&["--threshold", "p99"], "--threshold \"p99\": ");
    fanout(&["--threshold", "read: p99 < 1s"], "there is no label \"read\"");
    fanout(&["--metrics", "nowhere"], "--metrics nowhere: ");
    fanout(&["--bearer", "a\nb"], "--bearer: expected a token");
    fanout(&["--workers=127.0.0.1:1", "--cores=2"], "cannot be used with");
    fanout(&["--cores=2", "--pin=1"], "cannot be used with");
    fanout(&["--token-file", &plan], "--workers");
    fanout(&["--pin=99999"], "--pin 99999: expected processors that this process may use: ");
    fanout(&["--workers="], "--workers \"\": expected HOST:PORT");
    fanout(&["--workers=a:1,a:1"], "--workers \"a:1\": it is given twice");
    check(&["fanout", "--url", "http://127.0.0.1:1"], 2, "a URL that ends in the name of a stream");

    check(&["run"], 2, "<PLAN>");
    check(&["run", &plan, "-t", &plan], 2, "cannot be used with");
    check(&["run", &plan, "-J", "rate"], 2, "expected name=value");
    check(&["run", &plan, "-J", "a=1", "-J", "a=2"], 2, "-J a is given twice");
    check(&["run", &plan, "-J", "ratte=1"], 2, "does not use a property of this name");

    let capacity = |more: &[&str], want: &str| {
        check(&[&["capacity", &plan, "--slo=p99<1s"], more].concat(), 2, want);
    };
    check(&["capacity", &plan], 2, "--slo <CONDITIONS>");
    check(&["capacity", &plan, "--slo=p99"], 2, "--slo \"p99\": ");
    capacity(&["--knob=readers"], "no closed group with a tail step");
    capacity(&["--from=0"], "--from: 0 is not a number of per second");
    capacity(&["--to=1"], "--to 1: expected at least 5, the first value");
    capacity(&["--factor=1"], "--factor 1: expected more than 1");
    capacity(&["--tolerance=0"], "--tolerance 0: expected more than 0");
    capacity(&["--server-pid=4194305"], "--server-pid 4194305: expected a process");
    capacity(&["--hardware=cores"], "\"cores\" in hardware");

    check(&["compare", "a", "b", "--tolerance=-1"], 2, "");
    check(&["worker", "--listen=0.0.0.0:0"], 2, "--token-file");
    check(&["worker", "--listen=7437"], 2, "--listen 7437: ");
    let empty = files.write("token", " \n");
    check(&["worker", "--listen=127.0.0.1:0", "--token-file", &empty], 2, "it is empty");
}

#[test]
fn wrong_plans_are_named_with_their_line() {
    let files = Files::new();
    let check = |change: (&str, &str), want: &str| {
        let plan = files.write("p.toml", &PLAN.replace(change.0, change.1));
        check(&["run", &plan], 2, &format!("{plan}:{want}"));
    };
    check(("rate = 5", "rate = 0"), "7: groups[0].rate = 0: expected");
    check(("append = {}", "apend = {}"), "9: ");
    check(("duration = \"1s\"", "duration = \"1s"), "8:");
    super::refusals::check(&["run", "/no/such.toml"], 2, "/no/such.toml cannot be read");
    super::refusals::check(&["run", "/no/such.txt"], 2, "ends in .toml or .jmx");
}

#[test]
fn runs_that_cannot_be_made() {
    let files = Files::new();
    let plan = files.write("p.toml", PLAN);
    check(&["run", &plan, "-q"], 3, "no connection to 127.0.0.1:1: Connection refused");
    let log = files.write("r.jtl", "of yesterday");
    check(&["run", &plan, "-q", "-l", &log], 3, "refused");
    assert_eq!(files.read("r.jtl"), "of yesterday");
    let log = files.path("new.jtl");
    check(&["run", &plan, "-q", "-l", &log], 3, "refused");
    assert_eq!(files.list("."), ["p.toml", "r.jtl"]);
    check(&["run", &plan, "-q", "--workers=127.0.0.1:1"], 3, "worker 127.0.0.1:1: no connection");
    check(&["capacity", &plan, "-q", "--slo=p99<1s"], 3, "refused");
    check(&["fanout", "-q", "--url=http://127.0.0.1:1/x"], 3, "refused");
    check(&["report", "/no/such"], 3, "/no/such");
    check(&["report", &plan], 3, "not a sample log");
    check(&["compare", "/no/a", "/no/b"], 3, "/no/a");
    let server = Server::start(&[]);
    let url = format!("{}/x", target(&server));
    // More than any limit of descriptors.
    check(&["fanout", "-q", "--url", &url, "--readers=1000000"], 3, "RLIMIT_NOFILE");
}

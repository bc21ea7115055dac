//! Runs that are made, and the files that come of them.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Child;

use super::{Files, Outcome, command, load, root, target};
use crate::support::{Server, wait_for};

const HEADER: &str = "timeStamp,elapsed,label,responseCode,responseMessage,threadName,dataType,\
                      success,failureMessage,bytes,sentBytes,grpThreads,allThreads,URL,Latency,\
                      IdleTime,Connect,\"latency_us\"";

/// Two seconds of it: 40 messages to 5 readers.
fn fanout(server: &Server, more: &[&str]) -> Outcome {
    let url = format!("{}/fanout", target(server));
    let words = ["fanout", "--url", &url, "--readers=5", "--rate=20", "--duration=2s", "--quiet"];
    load(&[&words, more].concat())
}

#[test]
fn a_run_leaves_everything_that_was_asked_for() {
    let server = Server::start(&[]);
    let files = Files::new();
    let (report, log) = (files.path("new/report"), files.path("r.jtl"));
    let (summary, junit) = (files.path("s.json"), files.path("j.xml"));
    let outputs = ["-e", "-o", &report, "-l", &log, "--summary", &summary, "--junit", &junit];
    let more = ["--jtl-deliveries=1/5", "--threshold", "deliver: p50 < 1m", "--seed=7"];
    let ran = fanout(&server, &[&outputs[..], &more].concat()).expect(0);
    assert!(ran.stdout.contains("200 of 200 to 5 sse readers"), "{}", ran.stdout);
    assert!(ran.stdout.contains("pass     deliver: p50 < 1m: "), "{}", ran.stdout);
    assert!(ran.stdout.ends_with("passed\n"), "{}", ran.stdout);
    assert!(ran.stderr.contains("index.html"), "{}", ran.stderr);

    let names = files.list("new/report");
    for name in ["index.html", "result.json", "summary.json", "junit.xml", "results.hlog"] {
        assert!(names.contains(&name.to_owned()), "{name} is not in {names:?}");
    }
    assert!(files.read("new/report/index.html").starts_with("<!DOCTYPE html>"));
    assert!(files.read("j.xml").contains("<testcase name=\"deliver: p50 &lt; 1m\""));
    assert_eq!(
        files.read("new/report/junit.xml").lines().count(),
        files.read("j.xml").lines().count()
    );
    let summary = files.json("s.json");
    assert_eq!(summary, files.json("new/report/summary.json"));
    assert_eq!((&summary["expected"], &summary["delivered"]), (&200.into(), &200.into()));
    assert_eq!((&summary["lost"], &summary["seed"]), (&0.into(), &7.into()));
    assert_eq!(summary["plan_hash"].as_str().expect("text").len(), 64);

    let rows = files.read("r.jtl");
    let labels =
        |label: &str| rows.lines().filter(|row| row.split(',').nth(2) == Some(label)).count();
    assert_eq!(rows.lines().next(), Some(HEADER));
    assert!(rows.ends_with('\n'));
    // The set-up is in neither.
    assert_eq!((labels("append"), labels("deliver")), (40, 40), "{rows}");

    again(&files, &report, &log);
}

#[test]
fn secrets_are_in_no_report() {
    let server = Server::start(&[]);
    let files = Files::new();
    let plan = format!(
        "target = \"{}\"\nbearer = \"hunter1\"\nheaders = {{ \"x-api-key\" = \"hunter2\" }}\n\
         [variables]\nword = \"${{__P(my_token,hunter3)}}\"\n[[streams]]\nname = \"s\"\n\
         [[groups]]\nrate = 5\nduration = \"1s\"\nsteps = [{{ append = {{}} }}]\n",
        target(&server)
    );
    let (plan, report) = (files.write("p.toml", &plan), files.path("report"));
    load(&["run", &plan, "-q", "-J", "my_token=hunter4", "-o", &report]).expect(0);
    for name in ["result.json", "index.html", "summary.json", "junit.xml"] {
        assert!(!files.read(&format!("report/{name}")).contains("hunter"), "{name}");
    }
    assert!(files.read("report/result.json").contains("***"));
}

#[test]
fn what_cannot_be_written_does_not_take_the_rest_with_it() {
    let server = Server::start(&[]);
    let files = Files::new();
    let (report, junit) = (files.path("report"), files.path("j.xml"));
    let full = files.path("full");
    std::os::unix::fs::symlink("/dev/full", &full).expect("linked");
    let outputs = ["--summary", &full, "--junit", &junit, "-o", &report];
    let ran = fanout(&server, &outputs).expect(3);
    assert!(ran.stderr.contains("/full: No space left on device"), "{}", ran.stderr);
    assert!(ran.stdout.ends_with("passed\n"), "{}", ran.stdout);
    assert!(files.read("j.xml").contains("<testcase"));
    assert!(files.list("report").contains(&"index.html".to_owned()));

    let mut full = command(&["schema"]);
    full.stdout(std::fs::File::options().write(true).open("/dev/full").expect("a device"));
    let ended = super::outcome(&mut full).expect(3);
    assert!(ended.stderr.contains("stdout: No space left on device"), "{}", ended.stderr);
}

/// What is made of a result afterwards.
fn again(files: &Files, report: &str, log: &str) {
    let html = files.read("new/report/index.html");
    std::fs::remove_file(files.path("new/report/index.html")).expect("removed");
    let shown = load(&["report", report]).expect(0);
    assert!(shown.stdout.contains("200 of 200 to 5 sse readers"), "{}", shown.stdout);
    assert_eq!(files.read("new/report/index.html"), html);

    let copy = files.path("copy");
    load(&["report", &files.path("new/report/result.json"), "-o", &copy]).expect(0);
    assert_eq!(files.list("copy"), files.list("new/report"));
    assert_eq!(files.json("copy/result.json"), files.json("new/report/result.json"));
    let refused = load(&["report", report, "-o", &copy]).expect(2);
    assert!(refused.stderr.contains("it is not empty"), "{}", refused.stderr);

    let of_log = files.path("of-log");
    let shown = load(&["report", "-g", log, "-o", &of_log]).expect(0);
    assert!(shown.stdout.contains("append"), "{}", shown.stdout);
    assert_eq!(files.json("of-log/summary.json")["operations"][0]["succeeded"], 40);

    let compared = load(&["compare", report, &copy, "--resamples=200"]).expect(0);
    assert!(compared.stdout.contains("nothing is worse by more than 5.0 %"), "{}", compared.stdout);
}

#[test]
fn what_became_worse() {
    let server = Server::start(&[]);
    let files = Files::new();
    let (good, bad) = (files.path("good"), files.path("bad"));
    fanout(&server, &["-o", &good]).expect(0);
    // A loss is never chance.
    let mut result = files.json("good/result.json");
    result["deliveries"][0]["lost"] = 3.into();
    std::fs::create_dir(&bad).expect("made");
    files.write("bad/result.json", &result.to_string());
    let compared = load(&["compare", &good, &bad]).expect(1);
    assert!(compared.stdout.contains("WORSE"), "{}", compared.stdout);
    load(&["compare", &bad, &good]).expect(0);
}

#[test]
fn thresholds_decide() {
    let server = Server::start(&[]);
    let ran =
        fanout(&server, &["--threshold", "append: p50 < 1us", "--mode", "long-poll"]).expect(1);
    assert!(ran.stdout.contains("FAIL     append: p50 < 1us: p50 = "), "{}", ran.stdout);
    assert!(ran.stdout.ends_with("FAILED\n"), "{}", ran.stdout);
}

#[test]
fn a_summary_on_stdout_is_alone_there() {
    let server = Server::start(&[]);
    let ran = fanout(&server, &["--summary", "-", "--mode", "catch-up"]).expect(0);
    let summary: serde_json::Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!((&summary["delivered"], &summary["passed"]), (&200.into(), &true.into()));
    assert!(ran.stderr.contains("200 of 200 to 5 catch-up readers"), "{}", ran.stderr);
}

#[test]
fn a_plan_that_was_printed_is_the_run() {
    let server = Server::start(&[]);
    let files = Files::new();
    let printed = fanout(&server, &["--print-plan", "--bearer=secret"]).expect(0).stdout;
    assert!(!printed.contains("secret"), "{printed}");
    let plan = files.write("p.toml", &printed);
    let (of_file, of_flags) = (files.path("a.json"), files.path("b.json"));
    // As JMeter's users write it.
    load(&["run", "-n", "-t", &plan, "--quiet", "--summary", &of_file]).expect(0);
    fanout(&server, &["--summary", &of_flags]).expect(0);
    let (a, b) = (files.json("a.json"), files.json("b.json"));
    assert_eq!(a["plan_hash"], b["plan_hash"]);
    assert_eq!((&a["plan"], &a["delivered"]), (&"p".into(), &200.into()));
}

#[test]
fn a_check_says_what_a_plan_is() {
    let plan = root("configs/load/mixed.toml");
    let plan = plan.to_str().expect("text");
    let words = ["run", plan, "--check", "-J", "rooms=7", "-Jwatchers=9", "--threshold=p50 < 1s"];
    let shown = load(&words).expect(0).stdout;
    for line in [
        "seed        42",
        "streams     rooms: 7 at mixed/rooms, application/json, created before",
        "            watchers: closed, 9 users for 70s: live (live)",
        "            live: last_reader_p99 < 500ms",
        "            p50 < 1s",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line} is not in\n{shown}");
    }
    let schema = load(&["schema"]).expect(0).stdout;
    assert_eq!(schema, std::fs::read_to_string(root("configs/load/schema.json")).expect("there"));
}

#[test]
fn elements_that_are_left_out_are_named() {
    let files = Files::new();
    let known = std::fs::read_to_string(root("configs/load/append-and-read.jmx")).expect("there");
    files.write("append-and-read.csv", "room,text\na,b\n");
    let end = known.rfind("</hashTree>").expect("an end");
    let end = known[..end].rfind("</hashTree>").expect("another one");
    let foreign = "<JSR223Sampler testclass=\"JSR223Sampler\" testname=\"Script\"/><hashTree/>";
    let plan = files.write("p.jmx", &[&known[..end], foreign, &known[end..]].concat());
    let refused = load(&["run", &plan, "--check"]).expect(2);
    assert!(refused.stderr.contains("--skip-unknown"), "{}", refused.stderr);
    let shown = load(&["run", &plan, "--check", "--skip-unknown"]).expect(0);
    assert!(shown.stderr.contains("left out: ") && shown.stderr.contains("Script"), "{shown:?}");
}

#[test]
fn prometheus_is_answered_while_it_runs() {
    let server = Server::start(&[]);
    let url = format!("{}/x", target(&server));
    let words = ["fanout", "--url", &url, "--readers=3", "--duration=1m", "--metrics=127.0.0.1:0"];
    let mut running = command(&words).spawn().expect("the binary");
    let mut stderr = std::io::BufReader::new(running.stderr.take().expect("piped"));
    let mut line = String::new();
    std::io::BufRead::read_line(&mut stderr, &mut line).expect("a line");
    let address = line.split("http://").nth(1).and_then(|rest| rest.split('/').next());
    let address = address.unwrap_or_else(|| panic!("no address in {line:?}")).to_owned();
    wait_for("three readers", || {
        let text = scrape(&address)?;
        text.contains("thalweg_load_readers 3.0\n").then_some(())
    });
    end(&mut running);
}

/// What the endpoint answers, if it does.
fn scrape(address: &str) -> Option<String> {
    let mut connection = TcpStream::connect(address).ok()?;
    connection.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").ok()?;
    let mut text = String::new();
    connection.read_to_string(&mut text).ok()?;
    Some(text)
}

fn end(running: &mut Child) {
    running.kill().expect("killed");
    running.wait().expect("its end");
}

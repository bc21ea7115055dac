//! TLS and HTTP/2: the same load, spoken differently, against the real server.

use super::{Files, load, target};
use crate::support::{Authority, BASE, Server};

/// A server with a certificate for its address.
struct Secure {
    server: Server,
    files: Files,
}

impl Secure {
    fn start() -> Secure {
        let files = Files::new();
        let authority = Authority::new("the test's authority");
        let pair = authority.sign(&["127.0.0.1"]);
        let cert = files.write("cert.pem", &pair.cert);
        let key = files.write("key.pem", &pair.key);
        files.write("authority.pem", &authority.pem);
        let arguments = [format!("--tls-cert={cert}"), format!("--tls-key={key}")];
        let server = Server::start(&arguments.each_ref().map(String::as_str));
        Secure { server, files }
    }

    fn target(&self) -> String {
        format!("https://{}{BASE}", self.server.address())
    }
}

/// Each reader gets every message once, and the summary says over what.
#[track_caller]
fn fanout(files: &Files, url: &str, more: &[&str], protocol: &str, connections: u64) {
    let summary = files.path("summary.json");
    let words = ["fanout", "--url", url, "--readers=12", "--rate=20", "--duration=1s"];
    let words = [&words[..], &["--summary", &summary], more].concat();
    load(&words).expect(0);
    let summary = files.json("summary.json");
    assert_eq!(summary["protocol"], protocol, "{summary}");
    assert_eq!(summary["connections"], connections, "{summary}");
    assert_eq!((&summary["lost"], &summary["failed_readers"]), (&0.into(), &0.into()), "{summary}");
    // One stream: each of its messages goes to every reader.
    let delivered = summary["delivered"].as_u64().expect("a count");
    assert!(delivered > 0 && delivered.is_multiple_of(12), "{summary}");
}

#[test]
fn readers_share_connections_of_http2() {
    let server = Server::start(&[]);
    let files = Files::new();
    let url = format!("{}/x", target(&server));
    let five = ["--http2", "--readers-per-connection=5"];
    // Three for the readers, one for the publisher.
    fanout(&files, &url, &five, "HTTP/2", 4);
    fanout(&files, &url, &[&five[..], &["--mode=long-poll"]].concat(), "HTTP/2", 4);
    fanout(&files, &url, &[&five[..], &["--mode=catch-up"]].concat(), "HTTP/2", 4);
    fanout(&files, &url, &["--http2"], "HTTP/2", 2);
    fanout(&files, &url, &[], "HTTP/1.1", 13);
}

#[test]
fn readers_over_tls() {
    let secure = Secure::start();
    let url = format!("{}/x", secure.target());
    let ca = secure.files.path("authority.pem");
    let files = Files::new();
    fanout(&files, &url, &["--ca", &ca], "HTTP/1.1 over TLS", 13);
    let shared = ["--insecure-skip-verify", "--http2", "--readers-per-connection=6"];
    fanout(&files, &url, &shared, "HTTP/2 over TLS", 3);
    fanout(&files, &url, &[&shared[..], &["--mode=long-poll"]].concat(), "HTTP/2 over TLS", 3);
}

const PLAN: &str = r#"
[[streams]]
name = "s"
count = 4
delete = true

[[groups]]
name = "append"
users = 3
hold = "1s"
steps = [{ producer_append = {} }, { pause = "5ms" }]

[[groups]]
name = "read"
users = 2
hold = "1s"
steps = [{ read = {} }, { pause = "20ms" }, { head = {} }]

[[groups]]
name = "batches"
rate = 50
duration = "1s"
steps = [{ append_batch = { messages = 3 } }]
"#;

#[test]
fn appends_and_reads() {
    let secure = Secure::start();
    let plain = Server::start(&[]);
    let tls = "insecure_skip_verify = true\n";
    let check = |target: &str, more: &str| {
        let files = Files::new();
        let plan = files.write("p.toml", &format!("target = \"{target}\"\n{more}{PLAN}"));
        load(&["run", &plan, "--summary", &files.path("s.json")]).expect(0);
        let summary = files.json("s.json");
        for operation in summary["operations"].as_array().expect("a list") {
            assert_eq!(operation["failed"], 0, "{more}: {operation}");
            assert!(operation["succeeded"].as_u64() > Some(0), "{more}: {operation}");
        }
    };
    check(&target(&plain), "http2 = true\n");
    check(&secure.target(), &format!("http2 = true\n{tls}"));
    check(&secure.target(), tls);
}

/// A reader that takes its time has a window of its own.
#[test]
fn a_slow_reader_holds_no_other_of_its_connection() {
    let server = Server::start(&[]);
    let files = Files::new();
    let plan = format!(
        r#"target = "{}"
http2 = true
drain = "20s"

[[streams]]
name = "s"

[[groups]]
name = "publish"
rate = 40
duration = "2s"
steps = [{{ append = {{ size = 20000 }} }}]

[[groups]]
name = "slow"
users = 1
hold = "2s"
steps = [{{ label = "slow", tail = {{ bytes_per_second = "20KiB", gap_free = false }} }}]

[[groups]]
name = "quick"
users = 5
hold = "2s"
steps = [{{ label = "quick", tail = {{}} }}]
"#,
        target(&server)
    );
    let plan = files.write("p.toml", &plan);
    // The slow one loses most of it, which fails the run; the others lose nothing.
    load(&["run", &plan, "--summary", &files.path("s.json")]);
    let summary = files.json("s.json");
    let of = |label: &str| {
        let all = summary["deliveries"].as_array().expect("a list").iter();
        all.into_iter().find(|one| one["label"] == label).expect("a label").clone()
    };
    assert_eq!(of("quick")["lost"], 0, "{summary}");
    assert_eq!(of("quick")["delivered"], 5 * 80, "{summary}");
}

#[test]
fn what_cannot_be() {
    let server = Server::start_configured("[limits]\nhttp2_streams = 3", &[]);
    let url = format!("{}/x", target(&server));
    let run = ["fanout", "--url", &url, "--readers=6", "--duration=1s"];
    let refused = |more: &[&str], code: i32, want: &str| {
        let ended = load(&[&run[..], more].concat()).expect(code);
        assert!(ended.stderr.contains(want) || ended.stdout.contains(want), "{ended:?}");
    };
    let many = ["--http2", "--readers-per-connection=6"];
    refused(&many, 1, "the server takes 3 requests at once");
    refused(&["--readers-per-connection=2"], 2, "--http2");
    refused(&["--ca=/no/such.pem"], 2, "ca: the target is no https:// URL");
    let secure = Secure::start();
    let url = format!("{}/x", secure.target());
    let run = ["fanout", "--url", &url, "--readers=1", "--duration=1s"];
    let ended = load(&run);
    assert_ne!(ended.code, Some(0), "nobody knows its authority: {ended:?}");
    let ended = load(&[&run[..], &["--ca=/no/such.pem"]].concat());
    assert!(ended.stderr.contains("/no/such.pem"), "{ended:?}");
}

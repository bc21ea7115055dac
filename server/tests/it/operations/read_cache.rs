//! History out of the log: what readers get, and how often it is read for them.

use super::metrics::{scrape, value};
use crate::support::{Request, Server, wait_until};

const CONFIG: &str = r#"
[storage]
hot_tail_bytes = "1MiB"
read_cache_bytes = "16MiB"
"#;
const STREAM: &str = "history";
const APPENDS: usize = 100;

/// JSON messages of all sizes, 40 KB in each append: about 4 MB in all.
fn append(number: usize) -> String {
    let message = |index: usize| format!("\"{number}-{index}-{}\"", "x".repeat(index * 7));
    (0..100).map(message).collect::<Vec<_>>().join(",")
}

/// A server with a stream that was written, as it is stored.
fn server(config: &str) -> (Server, String) {
    let mut server = Server::start_configured(config, &["--admin=127.0.0.1:0"]);
    server.put(STREAM, "application/json", "").expect_status(201);
    let mut client = server.connect();
    let mut content = String::new();
    for number in 0..APPENDS {
        let messages = append(number);
        let post = Request::post(STREAM).with("content-type", "application/json");
        client.ask(&post.body(format!("[{messages}]"))).expect_status(204);
        content += &messages;
        content.push(',');
    }
    drop(client);
    // Nothing is in memory after a restart.
    server.crash();
    (server, content)
}

/// Everything from an offset on, page by page, and the offsets of the pages.
fn read_from(server: &Server, offset: &str) -> (String, Vec<String>) {
    let mut client = server.connect();
    let (mut got, mut offsets) = (String::new(), vec![offset.to_owned()]);
    loop {
        let offset = offsets.last().expect("one").clone();
        let page = client.ask(&Request::get(&format!("{STREAM}?offset={offset}")));
        let page = page.expect_status(200);
        let text = page.text();
        got += text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).expect("an array");
        got.push(',');
        if page.field("stream-up-to-date").is_some() {
            return (got, offsets);
        }
        offsets.push(page.next_offset().to_owned());
    }
}

fn counted(server: &Server, name: &str) -> f64 {
    value(&scrape(server), &format!("thalweg_read_cache_{name}"), &[])
}

#[test]
fn readers_that_come_together_cause_one_read() {
    let (server, content) = server(CONFIG);
    assert!(content.len() > 3 << 20);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert!(read_from(&server, "-1").0 == content));
        }
    });
    // A chunk holds 1 MiB, and what of its last record lies beyond.
    let chunks = (content.len() >> 20) as f64 + 1.0;
    let misses = counted(&server, "misses_total");
    assert!((1.0..=chunks).contains(&misses), "{misses} of {chunks}");
    assert!(counted(&server, "bytes") >= content.len() as f64);
    let hits = counted(&server, "hits_total");
    assert!(read_from(&server, "-1").0 == content);
    assert_eq!(counted(&server, "misses_total"), misses);
    assert!(counted(&server, "hits_total") > hits);
    server.delete(STREAM).expect_status(204);
    wait_until("its memory is given up", || counted(&server, "bytes") == 0.0);
}

/// Whatever is in the cache, a reader that begins at any append gets what follows it.
#[test]
fn readers_begin_anywhere() {
    let (server, content) = server(CONFIG);
    let end = server.head(STREAM).next_offset().to_owned();
    let epoch = end.split_once('_').expect("an offset").0;
    let mut starts = vec![0];
    for number in 1..APPENDS {
        starts.push(starts[number - 1] + append(number - 1).len() + 1);
    }
    // From the end to the begin, so that most pieces are read by who begins within them.
    for start in starts.iter().rev().step_by(7) {
        let (got, _) = read_from(&server, &format!("{epoch}_{start:016}"));
        assert!(got == content[*start..], "from {start}: {} bytes", got.len());
        let inside = format!("{STREAM}?offset={epoch}_{:016}", start + 1);
        server.get(&inside).expect_status(400);
    }
}

#[test]
fn pages_are_the_same_without_a_cache() {
    let (server, content) = server(CONFIG);
    let with = read_from(&server, "-1");
    assert!(with.0 == content && read_from(&server, "-1") == with);
    let (server, content) = self::server(&CONFIG.replace("16MiB", "0"));
    let without = read_from(&server, "-1");
    assert!(without.0 == content);
    let positions = |offsets: &[String]| -> Vec<String> {
        offsets.iter().map(|offset| offset.rsplit('_').next().unwrap_or_default().into()).collect()
    };
    assert_eq!(positions(&with.1), positions(&without.1));
    assert_eq!(counted(&server, "misses_total"), 0.0);
}

//! Every program that serves, driven by the generator and byte by byte.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use thalweg::fanout::batch::LiveBatch;
use thalweg_loadgen::engine::{self, RunOptions};
use thalweg_loadgen::plan::{FanoutOptions, TailMode, Transport, fanout};
use thalweg_proto::content_type::ContentType;
use thalweg_proto::json;
use thalweg_proto::offset::Offset;
use thalweg_proto::path::StreamPath;
use thalweg_proto::stream::record::StreamId;

use super::{
    ProgramArgs, fanout as floors, fanout_h2, http_static, long_poll, on_monoio, on_tokio, sendfile,
};
use crate::Failure;

type Serve = fn(TcpListener) -> Result<(), Failure>;

const FANOUTS: &[(&str, Serve)] = &[
    ("fanout-uring", floors::uring),
    ("fanout-epoll", floors::epoll),
    ("fanout-monoio", on_monoio::fanout),
    ("fanout-tokio", on_tokio::fanout),
    #[cfg(feature = "glommio")]
    ("fanout-glommio", super::on_glommio::fanout),
];
const LONG_POLLS: &[(&str, Serve)] =
    &[("long-poll-uring", long_poll::uring), ("long-poll-epoll", long_poll::epoll)];

/// It serves until the tests end.
fn start(serve: impl Fn(TcpListener) -> Result<(), Failure> + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || serve(listener).map_err(|error| panic!("{error}")));
    address
}

fn everybody_gets_everything(name: &str, serve: Serve, mode: TailMode, http2: bool) {
    const READERS: u32 = 50;
    let url = format!("http://{}/v1/stream/x", start(serve));
    let duration = Duration::from_secs(1);
    let plan = fanout(&FanoutOptions {
        url,
        readers: READERS,
        rate: 50.0,
        duration,
        // On a machine that does much else, everything takes long. What has come ends the wait.
        drain: Duration::from_secs(60),
        mode,
        transport: Transport { http2, readers_per_connection: 7, ..Transport::default() },
        ..FanoutOptions::default()
    });
    let result = engine::run(&plan, &RunOptions::default()).unwrap();
    let (append, deliver) = (&result.operations[0], &result.deliveries[0]);
    assert_eq!((append.failed, &result.errors[..]), (0, &[][..]), "{name}");
    assert_eq!(deliver.delivered, append.succeeded * u64::from(READERS), "{name}");
    let faults = [deliver.lost, deliver.duplicated, deliver.reordered, deliver.damaged];
    assert_eq!((faults, deliver.failed_readers), ([0; 4], 0), "{name}");
    assert!(append.succeeded > 10, "{name}: {}", append.succeeded);
}

#[test]
fn fanouts_deliver_once_and_in_order() {
    for (name, serve) in FANOUTS {
        everybody_gets_everything(name, *serve, TailMode::Sse, false);
    }
    everybody_gets_everything("fanout-h2-uring", fanout_h2::uring, TailMode::Sse, true);
}

#[test]
fn long_polls_deliver_once_and_in_order() {
    for (name, serve) in LONG_POLLS {
        everybody_gets_everything(name, *serve, TailMode::LongPoll, false);
    }
}

/// The server's own frame for a message at a position.
fn server_frame(from: u64, message: &str, cursor: u64) -> Vec<u8> {
    let stored = json::flatten(message.as_bytes()).unwrap().bytes;
    let next = Offset { epoch: 1, position: from + stored.len() as u64 };
    let path = StreamPath::new("x").unwrap();
    let json = ContentType::parse("application/json").unwrap();
    LiveBatch::new(path, StreamId(1), json, from, next, stored, false).frame(cursor).to_vec()
}

type Client = BufReader<TcpStream>;

fn connect(address: SocketAddr) -> Client {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    BufReader::new(stream)
}

fn send(client: &mut Client, request: &str) {
    client.get_mut().write_all(request.as_bytes()).unwrap();
}

/// Reads on until `end` has come.
fn until(client: &mut Client, end: &str) -> String {
    let mut got = Vec::new();
    let last = end.as_bytes()[end.len() - 1];
    while !got.ends_with(end.as_bytes()) {
        let read = client.read_until(last, &mut got);
        assert!(matches!(read, Ok(1..)), "{read:?} instead of {end:?} after {} bytes", got.len());
    }
    String::from_utf8(got).unwrap()
}

fn post(message: &str) -> String {
    format!("POST /x HTTP/1.1\r\nhost: h\r\ncontent-length: {}\r\n\r\n{message}", message.len())
}

#[test]
fn frames_are_the_servers_own() {
    for (name, serve) in FANOUTS {
        let address = start(serve);
        let (mut publisher, mut reader) = (connect(address), connect(address));
        send(&mut reader, "GET /x?offset=now&live=sse HTTP/1.1\r\nhost: h\r\n\r\n");
        let head = until(&mut reader, "\r\n\r\n");
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{name}: {head}");
        assert!(head.contains("transfer-encoding: chunked\r\n"), "{name}: {head}");
        let first = until(&mut reader, "}\n\n\r\n");
        assert!(first.contains("event: control\n") && !first.contains("event: data"), "{first}");
        let mut from = 0;
        for message in [r#"{"a":1}"#, "\"x\"", &format!("[{}]", "1".repeat(3000))] {
            send(&mut publisher, &post(message));
            let answer = until(&mut publisher, "\r\n\r\n");
            assert!(answer.starts_with("HTTP/1.1 204 "), "{name}: {answer}");
            let got = until(&mut reader, "}\n\n\r\n");
            let cursor = got.split("streamCursor\":\"").nth(1).unwrap().split('"').next().unwrap();
            let want = server_frame(from, message, cursor.parse().unwrap());
            assert_eq!(got.as_bytes(), want, "{name}");
            from += json::flatten(message.as_bytes()).unwrap().bytes.len() as u64;
            let next = format!("stream-next-offset: {}\r\n", Offset { epoch: 1, position: from });
            assert!(answer.contains(&next), "{name}: {answer}");
        }
    }
}

/// A reader that takes nothing for a while loses nothing, and holds up nobody.
#[test]
fn a_slow_reader_gets_everything_late() {
    const MESSAGES: usize = 40;
    for (name, serve) in FANOUTS {
        let address = start(serve);
        let (mut publisher, mut slow, mut quick) =
            (connect(address), connect(address), connect(address));
        for reader in [&mut slow, &mut quick] {
            send(reader, "GET /x?offset=now&live=sse HTTP/1.1\r\nhost: h\r\n\r\n");
            until(reader, "}\n\n\r\n");
        }
        let message = |index: usize| format!("\"{index} {}\"", "y".repeat(100_000));
        let take = |reader: &mut Client, index: usize| {
            let got = until(reader, "}\n\n\r\n");
            assert!(got.contains(&format!("data:[{}]\n", message(index))), "{name}: {index}");
        };
        for index in 0..MESSAGES {
            send(&mut publisher, &post(&message(index)));
            until(&mut publisher, "\r\n\r\n");
            take(&mut quick, index);
        }
        (0..MESSAGES).for_each(|index| take(&mut slow, index));
    }
}

#[test]
fn readers_come_and_go() {
    for (name, serve) in FANOUTS {
        let address = start(serve);
        let mut publisher = connect(address);
        for round in 0..5 {
            let mut readers: Vec<_> = (0..20).map(|_| connect(address)).collect();
            for reader in &mut readers {
                send(reader, "GET /x?offset=now&live=sse HTTP/1.1\r\nhost: h\r\n\r\n");
                until(reader, "}\n\n\r\n");
            }
            readers.truncate(10);
            send(&mut publisher, &post(&format!("\"round {round}\"")));
            until(&mut publisher, "\r\n\r\n");
            for reader in &mut readers {
                let got = until(reader, "}\n\n\r\n");
                assert!(got.contains(&format!("data:[\"round {round}\"]")), "{name}: {got}");
            }
        }
    }
}

#[test]
fn long_polls_catch_up_at_once() {
    for (name, serve) in LONG_POLLS {
        let mut client = connect(start(serve));
        send(&mut client, &[post("1"), post("2")].concat());
        let answers = until(&mut client, "\r\n\r\n") + &until(&mut client, "\r\n\r\n");
        assert_eq!(answers.matches("HTTP/1.1 204").count(), 2, "{name}");
        let offset = Offset { epoch: 1, position: 2 };
        let get = format!("GET /x?offset={offset}&live=long-poll HTTP/1.1\r\nhost: h\r\n\r\n");
        send(&mut client, &get);
        let answer = until(&mut client, "[2]");
        assert!(answer.contains("content-length: 3\r\n"), "{name}: {answer}");
        assert!(answer.contains("stream-next-offset: 0000000000000001_0000000000000004\r\n"));
    }
}

#[test]
fn static_answers_are_pipelined() {
    let mut client = connect(start(|listener| http_static::epoll(listener, 1000)));
    let get = "GET /x HTTP/1.1\r\nhost: h\r\n\r\n";
    let large = post(&"z".repeat(200_000));
    let requests = [get, &large, get, "PUT /x HTTP/1.1\r\nhost: h\r\n\r\n"].concat();
    send(&mut client, &requests);
    let page = |client: &mut Client| {
        let head = until(client, "\r\n\r\n");
        assert!(head.contains("content-length: 1000\r\n"), "{head}");
        let mut body = vec![0; 1000];
        client.read_exact(&mut body).unwrap();
        assert!(body.starts_with(b"[1") && body.ends_with(b"1]"));
    };
    page(&mut client);
    assert!(until(&mut client, "\r\n\r\n").starts_with("HTTP/1.1 204 "));
    page(&mut client);
    assert!(until(&mut client, "\r\n\r\n").starts_with("HTTP/1.1 201 "));
}

#[test]
fn sendfile_answers_with_the_file() {
    const BYTES: usize = 4 * 1024 * 1024;
    let args = ProgramArgs { port: 0, data_dir: None, page_bytes: BYTES, n: 0 };
    let mut client = connect(start(move |listener| sendfile::epoll(listener, &args)));
    let get = "GET /x HTTP/1.1\r\nhost: h\r\n\r\n";
    send(&mut client, &get.repeat(3));
    for _ in 0..3 {
        let head = until(&mut client, "\r\n\r\n");
        assert!(head.contains(&format!("content-length: {BYTES}\r\n")), "{head}");
        let mut body = vec![0; BYTES];
        client.read_exact(&mut body).unwrap();
        assert!(body.starts_with(b"[1") && body.ends_with(b"1]"));
    }
}

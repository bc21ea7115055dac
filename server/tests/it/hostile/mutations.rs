//! Bytes that nobody meant: garbage, and requests with random changes.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::super::support::Request;
use super::{Target, post_with, shown};

#[test]
fn garbage() {
    let target = Target::start(&[]);
    let mut random = StdRng::seed_from_u64(1);
    let noise: Vec<u8> = (0..64 * 1024).map(|_| random.random()).collect();
    let hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    target.check_refused(hello, 400, "malformed-method");
    target.check_refused(b"SSH-2.0-OpenSSH_9.9\r\n\r\n", 400, "malformed-request-line");
    target.check_refused(vec![0; 20_000], 400, "malformed-method");
    target.check_refused(vec![b'A'; 20_000], 431, "head-too-large");
    target.check_refused(vec![b' '; 20_000], 400, "malformed-method");
    target.check_refused(b"\r\n\r\n\r\n", 400, "malformed-request-line");
    target.check_refused(b"EHLO mail.example\r\n\r\n", 400, "malformed-request-line");
    target.check_refused(b"{\"json\":true}\r\n\r\n", 400, "malformed-method");
    target.check_refused(noise, 400, "malformed-method");
}

#[test]
fn random_mutations() {
    const SEED: u64 = 0x7a1_7e57;
    const ROUNDS: usize = 1000;
    println!("seed {SEED:#x}");
    let mut target = Target::start(&["--long-poll-timeout=100ms", "--sse-lifetime=1s"]);
    let mut random = StdRng::seed_from_u64(SEED);
    let seeds = seeds();
    for round in 0..ROUNDS {
        let mut bytes = seeds.choose(&mut random).expect("a seed").clone();
        for _ in 0..random.random_range(1..6) {
            mutate(&mut bytes, &seeds, &mut random);
        }
        let what = format!("round {round} of seed {SEED:#x}: {}", shown(&bytes));
        let mut client = target.server.connect();
        let timeout = Some(Duration::from_secs(10));
        client.socket().set_read_timeout(timeout).expect("a timeout");
        client.try_send(&bytes);
        client.finish();
        // However many answers there are, they are whole, and then the connection ends.
        loop {
            match client.try_answer_to("GET") {
                Ok(Some(answer)) => assert_ne!(answer.status, 500, "{what}: {answer:?}"),
                Ok(None) => break,
                Err(error) => panic!("{error} in {what}"),
            }
        }
        if round % 100 == 99 {
            assert!(target.server.is_alive(), "{what}");
        }
    }
    let server = &target.server;
    server.put("after", "text/plain", "a").expect_status(201);
    server.post("after", "text/plain", "b").expect_status(204);
    assert_eq!(server.get("after").text(), "ab");
}

fn seeds() -> Vec<Vec<u8>> {
    let chunked = post_with("transfer-encoding: chunked\r\n") + "3\r\nabc\r\n0\r\n\r\n";
    let text = |request: Request| request.with("content-type", "text/plain").body("body");
    let json = |request: Request| request.with("content-type", "application/json").body("[1,{}]");
    let fork = Request::put("fork").with("stream-forked-from", "/v1/stream/kept");
    let subscription = r#"{"type":"pull-wake","pattern":"a/**","wake_stream":"w"}"#;
    let mut seeds: Vec<Vec<u8>> = [
        Request::get("kept?offset=-1"),
        Request::get("kept?offset=now&live=long-poll&cursor=7"),
        Request::get("doc?offset=-1&live=sse"),
        Request::get("__ds/streams?prefix=k&limit=3"),
        Request::get("kept").with("if-none-match", "\"1:0:4\"").with("connection", "close"),
        Request::delete("fork"),
        text(Request::put("made")).with("stream-ttl", 60),
        text(Request::post("kept")).producer("p", 0, 0),
        text(Request::post("kept")).with("stream-seq", "a").with("expect", "100-continue"),
        json(Request::post("doc")).with("stream-closed", "true"),
        json(Request::put("other")).with("stream-expires-at", "2090-01-01T00:00:00Z"),
        fork.with("stream-fork-offset", "-1").with("stream-fork-sub-offset", 2),
        Request::put("__ds/subscriptions/s").body(subscription),
        Request::post("__ds/subscriptions/s/claim").body(r#"{"worker":"w"}"#),
        Request::new("OPTIONS", "kept").with("origin", "null"),
    ]
    .iter()
    .map(Request::encode)
    .collect();
    seeds.push(chunked.into_bytes());
    seeds
}

fn mutate(bytes: &mut Vec<u8>, seeds: &[Vec<u8>], random: &mut StdRng) {
    const SPECIAL: &[&[u8]] =
        &[b"\r\n", b"\r", b"\n", b"\0", b" ", b":", b"%", b"/", b"?", b"\xff", b"0", b"-", b","];
    let at = random.random_range(0..=bytes.len());
    let end = random.random_range(at..=bytes.len().min(at + 40));
    match random.random_range(0..8) {
        0 if at < bytes.len() => bytes[at] ^= 1 << random.random_range(0..8),
        1 => drop(bytes.drain(at..end)),
        2 => {
            let copy = bytes[at..end].to_vec();
            bytes.splice(at..at, copy);
        }
        3 => bytes.truncate(at),
        4 => {
            let special = SPECIAL.choose(random).expect("one").to_vec();
            bytes.splice(at..at, special);
        }
        5 => {
            let other = seeds.choose(random).expect("a seed");
            let from = random.random_range(0..other.len());
            bytes.splice(at..end, other[from..].iter().copied());
        }
        6 => {
            let noise: Vec<u8> = (0..random.random_range(1..64)).map(|_| random.random()).collect();
            bytes.splice(at..end, noise);
        }
        _ => bytes.extend_from_slice(seeds.choose(random).expect("a seed")),
    }
}

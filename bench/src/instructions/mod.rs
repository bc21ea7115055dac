//! Instructions per append and per delivery, counted by callgrind: figures that a busy machine
//! cannot touch. Each is a difference of two runs that do the same but for how often.
//!
//! Invariant: what is counted is exact and done by one client in a fixed order; what the kernel
//! executes is not counted, and neither is waiting.
//!
//! Deliberately absent: time. Valgrind knows no io_uring, so the server runs on epoll here; the
//! runtime's share differs a little.

mod client;
mod count;

use std::path::Path;

use crate::Failure;
use crate::programs::count::{message, request};
use client::Client;
use count::{Counted, Serving, in_program, in_server};

/// Counts everything and prints a table.
pub(crate) fn run(server: &Path) -> Result<(), Failure> {
    println!("{}", count::versions(server)?);
    println!("| what | instructions |\n|---|---|");
    for (name, what) in PROGRAMS {
        let few = in_program(name, FEW)?;
        let many = in_program(name, MANY)?;
        line(what, per(few, many, MANY - FEW));
    }
    let servers = [
        ("HTTP floor, do-nothing answer", Serving::Floor("http-static")),
        ("whole server, memory", Serving::Server(server, "memory")),
        ("whole server, sync", Serving::Server(server, "sync")),
    ];
    for (name, serving) in servers {
        for connections in [1, 64] {
            let figure = |rounds| append(serving, connections, rounds);
            let appends = (MANY_ROUNDS - FEW_ROUNDS) * connections;
            let per = per(figure(FEW_ROUNDS)?, figure(MANY_ROUNDS)?, appends);
            line(&format!("append, {name}, {connections} at a time"), per);
        }
    }
    deliveries("bare epoll loop", Serving::Floor("fanout-epoll"))?;
    deliveries("whole server", Serving::Server(server, "memory"))
}

/// A message's price is a part of its own and a part per reader.
fn deliveries(name: &str, serving: Serving<'_>) -> Result<(), Failure> {
    let [few, many] = READERS;
    let per_message = |readers| -> Result<f64, Failure> {
        let figure = |messages| fanout(serving, readers, messages);
        Ok(per(figure(FEW_ROUNDS)?, figure(MANY_ROUNDS)?, MANY_ROUNDS - FEW_ROUNDS))
    };
    let (less, more) = (per_message(few)?, per_message(many)?);
    let per_delivery = (more - less) / f64::from(many - few);
    line(&format!("delivery to one more SSE reader, {name}"), per_delivery);
    let own = less - per_delivery * f64::from(few);
    line(&format!("message to SSE readers, its part that knows no readers, {name}"), own);
    Ok(())
}

/// So many appends over so many connections, one round after the other: each round is a group.
fn append(serving: Serving<'_>, connections: u32, rounds: u32) -> Result<Counted, Failure> {
    in_server(serving, |port| {
        let mut clients = Client::several(port, connections)?;
        for (stream, client) in (0..).zip(&mut clients) {
            client.exchange(&request("PUT", stream, b""), "201")?;
        }
        for _ in 0..rounds {
            for (stream, client) in (0..).zip(&mut clients) {
                client.send(&request("POST", stream, &message()))?;
            }
            for client in &mut clients {
                client.answer("204")?;
            }
        }
        Ok(())
    })
}

/// So many messages to so many readers, each when all have the one before.
fn fanout(serving: Serving<'_>, readers: u32, messages: u32) -> Result<Counted, Failure> {
    in_server(serving, |port| {
        let mut publisher = Client::connect(port)?;
        publisher.exchange(&request("PUT", 0, b""), "201")?;
        let mut readers = Client::several(port, readers)?;
        for reader in &mut readers {
            reader.send(SUBSCRIBE)?;
            reader.answer("200")?;
            reader.frame()?;
        }
        for _ in 0..messages {
            publisher.exchange(&request("POST", 0, &message()), "204")?;
            for reader in &mut readers {
                reader.frame()?;
            }
        }
        Ok(())
    })
}

fn per(few: Counted, many: Counted, times: u32) -> f64 {
    (many.0 as f64 - few.0 as f64) / f64::from(times)
}

fn line(what: &str, instructions: f64) {
    println!("| {what} | {instructions:.0} |");
}

const PROGRAMS: [(&str, &str); 2] = [
    ("count-append", "append, parse to answer, without runtime and sockets, 64 to a group"),
    ("count-frames", "frame of one message, encoded once for all readers"),
];
const FEW: u32 = 6_400;
const MANY: u32 = 64_000;
const FEW_ROUNDS: u32 = 50;
const MANY_ROUNDS: u32 = 350;
const READERS: [u32; 2] = [20, 220];
const SUBSCRIBE: &[u8] = b"GET /v1/stream/bench/0?offset=now&live=sse HTTP/1.1\r\n\
    host: 127.0.0.1:4437\r\n\r\n";

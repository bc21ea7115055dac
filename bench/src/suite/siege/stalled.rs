//! Readers that are connected and read nothing, in a memory cgroup, and what others get beside
//! them. First as much is sent as the kernel takes for them: up to there a reader that reads nothing
//! costs what any other costs.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use thalweg_loadgen::plan::{self, FanoutOptions, TailMode};

use super::super::cross_core_client::Client;
use super::super::drive::{drive, faults};
use super::super::fanout::millis;
use super::super::plans::WARM_UP;
use super::super::{Part, Setting, Turn};
use super::cgroup::Cgroup;
use crate::Failure;
use crate::contest::{Durability, Running};
use crate::figures::{Metric, written};

pub(super) fn part(setting: &Setting, message_bytes: u32) -> Part {
    let stalled = setting.pick(10_000, 200);
    let readers = setting.pick(100, 20);
    // The kernel asks all stalled sockets at once whether there is room again, each time after twice
    // as long. In a short run the few messages that this delays would be the 99th percentile.
    let seconds = setting.pick(60, 2);
    let served = Served { readers, seconds, message_bytes };
    let title = format!(
        "{} stalled SSE readers beside {readers} others, 5 messages/s of {} bytes, {LIMIT_MIB} MiB",
        written(f64::from(stalled)),
        written(f64::from(message_bytes)),
    );
    let metrics = vec![
        Metric::alone("p99 ms alone"),
        Metric::alone("p99 ms beside"),
        Metric::alone("beside by alone"),
        Metric::alone("p50 ms alone"),
        Metric::alone("p50 ms beside"),
        Metric::alone("RSS MiB"),
        Metric::alone("peak MiB"),
        Metric::alone("faults"),
    ];
    let measure = move |turn: &Turn<'_>| measure(turn, served, stalled);
    let mut part = Part::new(title, metrics, Box::new(measure))
        .note("peak: of the memory cgroup, socket buffers included")
        .note("thalweg-memory: without the disk, whose slowest syncs are the 99th percentile else")
        .with(setting.thalweg())
        .with(setting.thalweg().durability(Durability::Memory));
    part.descriptors = u64::from(stalled) + 1024;
    part
}

/// The readers that read.
#[derive(Clone, Copy)]
struct Served {
    readers: u32,
    seconds: u64,
    message_bytes: u32,
}

fn measure(turn: &Turn<'_>, served: Served, stalled: u32) -> Result<Vec<f64>, Failure> {
    let (alone, ..) = run(turn, served, 0)?;
    let (beside, rss, peak, faults) = run(turn, served, stalled)?;
    Ok(vec![alone[1], beside[1], beside[1] / alone[1], alone[0], beside[0], rss, peak, faults])
}

type Measured = ([f64; 2], f64, f64, f64);

/// Median and 99th percentile of deliveries in milliseconds, memory in MiB, faults.
fn run(turn: &Turn<'_>, served: Served, stalled: u32) -> Result<Measured, Failure> {
    let cgroup = Cgroup::create(LIMIT_MIB << 20);
    let running = turn.start()?;
    match &cgroup {
        Ok(cgroup) => cgroup.add(running.pid())?,
        Err(why) => eprintln!("bench: without a limit of memory, as root only: {why}"),
    }
    Client::connect(&running)?.create(STREAM)?;
    let sockets = stall(&running, stalled)?;
    fill(&running)?;
    let plan = plan::fanout(&FanoutOptions {
        url: running.url(STREAM),
        readers: served.readers,
        rate: 5.0,
        duration: Duration::from_secs(served.seconds) + WARM_UP,
        warm_up: WARM_UP,
        mode: TailMode::Sse,
        payload_bytes: served.message_bytes,
        ..FanoutOptions::default()
    });
    let driven = drive(turn, &running, plan)?;
    let delivery = driven.delivery()?;
    let times = [millis(&delivery.times, 50.0), millis(&delivery.times, 99.0)];
    // It lives: it can be asked.
    running.until_found(&format!("{STREAM}?offset=now"))?;
    let rss = running.meter().rss_bytes() as f64 / MIB;
    let peak = cgroup.as_ref().map_or(f64::NAN, |cgroup| cgroup.peak_bytes() as f64 / MIB);
    let faults = faults(delivery);
    drop(sockets);
    drop(running);
    Ok((times, rss, peak, faults))
}

/// Live readers that read not even the head of their answer.
fn stall(running: &Running, count: u32) -> Result<Vec<TcpStream>, Failure> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, running.port()));
    let path = format!("{}/{STREAM}?offset=-1&live=sse", running.base_path());
    let request = format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n");
    let connect = |_| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
        // What the kernel takes for it is not the server's.
        socket.set_recv_buffer_size(RECEIVE_BYTES)?;
        socket.connect(&address.into())?;
        let mut stream = TcpStream::from(socket);
        stream.write_all(request.as_bytes())?;
        Ok::<_, Failure>(stream)
    };
    let sockets: Result<Vec<_>, Failure> = (0..count).map(connect).collect();
    std::thread::sleep(if count > 0 { WARM_UP } else { Duration::ZERO });
    sockets
}

/// More than the kernel keeps for a reader.
fn fill(running: &Running) -> Result<(), Failure> {
    let body = format!("\"{}\"", "x".repeat(FILL_BYTES));
    let path = format!("{}/{STREAM}", running.base_path());
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    for _ in 0..FILLS {
        let mut connection = running.connect()?;
        connection.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        connection.read_to_end(&mut answer)?;
        if !answer.starts_with(b"HTTP/1.1 204") {
            let answer = String::from_utf8_lossy(&answer);
            return Err(running.trouble(&format!("a message is answered {answer}")));
        }
        std::thread::sleep(FILL_PAUSE);
    }
    Ok(())
}

const LIMIT_MIB: u64 = 512;
const FILL_BYTES: usize = 64 * 1024;
const FILLS: usize = 8;
const FILL_PAUSE: Duration = Duration::from_millis(250);
const STREAM: &str = "bench";
const RECEIVE_BYTES: usize = 4096;
const MIB: f64 = 1024.0 * 1024.0;

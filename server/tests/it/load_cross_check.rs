//! The load generator against an independent witness: a small epoll program with its own parser
//! and its own reading of the clock follows the same streams, and both must report the same
//! latencies.
//!
//! What makes it fair: each stream has two readers, one of each, and on half of the streams the
//! witness is the first to connect, on the other half the generator is, so that both have the same
//! places in the server's order. In the middle the server is stopped for a while, so that there
//! is a tail which is more than what the machine itself makes.
//!
//! Deliberately absent: any code of the generator. The format of a stamp is written down in its
//! documentation: `{"m":"<run>.<source>.<sequence>.<intended ns>.<padding>"}`, with the time as
//! `CLOCK_MONOTONIC`.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::process::{Pid, Signal, kill_process};
use rustix::time::{ClockId, clock_gettime};
use thalweg_loadgen::engine::{self, Barrier, RunOptions};
use thalweg_loadgen::plan::{FanoutOptions, fanout};
use thalweg_loadgen::result::RunResult;

use crate::support::{BASE, Server, wait_until};

/// One reader of each kind on each.
const STREAMS: u32 = 300;
/// A debug build on a busy machine keeps up with it.
const RATE: f64 = 300.0;
const DURATION: Duration = Duration::from_secs(5);
const MESSAGES: usize = 1500;
/// The server stands still for so long: 6 % of the messages are due meanwhile.
const STOPPED: Duration = Duration::from_millis(300);

#[test]
fn an_independent_program_sees_the_same_latencies() {
    let server = Arc::new(Server::start(&["--durability=memory"]));
    for stream in 0..STREAMS {
        server.put(&format!("x/{stream}"), "application/json", "").expect_status(201);
    }
    let witness = Arc::new(Witness::start(server.address()));
    witness.follow(0..STREAMS / 2);
    let result = {
        let (witness, pid) = (Arc::clone(&witness), server.pid());
        let plan = fanout(&FanoutOptions {
            url: format!("http://{}{BASE}/x", server.address()),
            readers: STREAMS,
            streams: STREAMS,
            rate: RATE,
            duration: DURATION,
            ..FanoutOptions::default()
        });
        let barrier = Barrier::new(move || {
            witness.follow(STREAMS / 2..STREAMS);
            std::thread::spawn(move || interrupt(pid));
        });
        engine::run(&plan, &RunOptions { barrier: Some(barrier), ..RunOptions::default() })
    };
    let result = result.expect("a result");
    wait_until("the witness to have everything", || witness.count() >= MESSAGES);
    let seen = witness.stop();
    compare(&result, &seen);
}

/// Stops the server's process for a while in the middle of the run.
fn interrupt(pid: u32) {
    std::thread::sleep(DURATION / 2);
    let pid = Pid::from_raw(pid as i32).expect("a process");
    kill_process(pid, Signal::STOP).expect("stopped");
    std::thread::sleep(STOPPED);
    kill_process(pid, Signal::CONT).expect("continued");
}

/// Same messages, once each; p50 and p99 within 5 % or 1 ms of each other.
fn compare(result: &RunResult, seen: &Seen) {
    let [deliver] = result.deliveries.as_slice() else { panic!("{:?}", result.deliveries) };
    assert_eq!((deliver.lost, deliver.duplicated, deliver.reordered), (0, 0, 0));
    assert_eq!(deliver.delivered, MESSAGES as u64, "{:?}", result.errors);
    assert!(seen.latencies.values().all(|times| times.len() == 1), "nothing twice");
    assert_eq!(seen.latencies.len(), MESSAGES);

    let mut latencies: Vec<u64> = seen.latencies.values().flatten().copied().collect();
    latencies.sort_unstable();
    for percentile in [50.0, 99.0] {
        let rank = (percentile / 100.0 * latencies.len() as f64).ceil() as usize;
        let witness = latencies[rank - 1] as f64 / 1e6;
        let generator = deliver.times.percentile(percentile) as f64 / 1e6;
        println!("p{percentile}: generator {generator:.3} ms, witness {witness:.3} ms");
        let off = (generator - witness).abs();
        assert!(off <= f64::max(1.0, 0.05 * witness), "p{percentile}: {generator}, {witness}");
    }
    let stopped_ms = STOPPED.as_secs_f64() * 1e3;
    let p99 = latencies[latencies.len() * 99 / 100] as f64 / 1e6;
    assert!(p99 > stopped_ms / 2.0, "the tail is that of the stopped server: {p99} ms");
}

/// What the witness has seen: latencies by stream and sequence number.
#[derive(Default)]
struct Seen {
    latencies: BTreeMap<(u32, u64), Vec<u64>>,
}

/// The independent program: one thread, one epoll.
struct Witness {
    server: SocketAddr,
    epoll: Arc<OwnedFd>,
    /// New connections for the thread, by their number.
    added: Arc<Mutex<Vec<(u32, TcpStream)>>>,
    /// Readers that have their first control event.
    confirmed: Arc<AtomicUsize>,
    count: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<Seen>>>,
}

impl Witness {
    fn start(server: SocketAddr) -> Witness {
        let epoll = Arc::new(epoll::create(CreateFlags::CLOEXEC).expect("epoll"));
        let witness = Witness {
            server,
            epoll,
            added: Arc::default(),
            confirmed: Arc::default(),
            count: Arc::default(),
            stop: Arc::default(),
            thread: Mutex::default(),
        };
        let watch = Watch {
            epoll: Arc::clone(&witness.epoll),
            added: Arc::clone(&witness.added),
            confirmed: Arc::clone(&witness.confirmed),
            count: Arc::clone(&witness.count),
            stop: Arc::clone(&witness.stop),
            readers: BTreeMap::new(),
            seen: Seen::default(),
        };
        let thread = std::thread::spawn(move || watch.run());
        *witness.thread.lock().expect("sound") = Some(thread);
        witness
    }

    /// Follows these streams; returns when the server has confirmed all of them.
    fn follow(&self, streams: std::ops::Range<u32>) {
        let wanted = self.confirmed.load(Ordering::Acquire) + streams.len();
        for stream in streams {
            let mut socket = TcpStream::connect(self.server).expect("a connection");
            socket.set_nodelay(true).expect("no delay");
            let request = format!(
                "GET {BASE}/x/{stream}?offset=now&live=sse HTTP/1.1\r\nhost: witness\r\n\r\n"
            );
            socket.write_all(request.as_bytes()).expect("sent");
            socket.set_nonblocking(true).expect("non-blocking");
            let waker = socket.try_clone().expect("the same socket");
            self.added.lock().expect("sound").push((stream, socket));
            let data = EventData::new_u64(u64::from(stream));
            epoll::add(&*self.epoll, &waker, data, EventFlags::IN).expect("registered");
        }
        wait_until("the server to confirm", || self.confirmed.load(Ordering::Acquire) >= wanted);
    }

    fn count(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    fn stop(&self) -> Seen {
        self.stop.store(true, Ordering::Release);
        let thread = self.thread.lock().expect("sound").take();
        thread.expect("it runs").join().expect("it ended well")
    }
}

/// The witness's thread.
struct Watch {
    epoll: Arc<OwnedFd>,
    added: Arc<Mutex<Vec<(u32, TcpStream)>>>,
    confirmed: Arc<AtomicUsize>,
    count: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    readers: BTreeMap<u32, WitnessReader>,
    seen: Seen,
}

struct WitnessReader {
    socket: TcpStream,
    text: Vec<u8>,
    confirmed: bool,
}

impl Watch {
    fn run(mut self) -> Seen {
        let wait = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
        let mut events = Vec::with_capacity(64);
        while !self.stop.load(Ordering::Acquire) {
            let buffer = rustix::buffer::spare_capacity(&mut events);
            match epoll::wait(&*self.epoll, buffer, Some(&wait)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => panic!("{error}"),
            }
            let streams: Vec<u32> = events.drain(..).map(|event| event.data.u64() as u32).collect();
            for stream in streams {
                self.receive(stream);
            }
        }
        self.seen
    }

    fn receive(&mut self, stream: u32) {
        for (stream, socket) in self.added.lock().expect("sound").drain(..) {
            let reader = WitnessReader { socket, text: Vec::new(), confirmed: false };
            self.readers.insert(stream, reader);
        }
        let reader = self.readers.get_mut(&stream).expect("a reader");
        let mut bytes = [0; 16 * 1024];
        let read = match reader.socket.read(&mut bytes) {
            Ok(0) => panic!("the server ended stream {stream}"),
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Err(error) => panic!("{error}"),
        };
        // Before anything is looked at.
        let now_ns = monotonic_ns();
        reader.text.extend_from_slice(&bytes[..read]);
        if !reader.confirmed && find(&reader.text, "event: control").is_some() {
            reader.confirmed = true;
            self.confirmed.fetch_add(1, Ordering::Release);
        }
        while let Some(begin) = find(&reader.text, "\"m\":\"") {
            let Some(length) = find(&reader.text[begin..], "\"}") else { break };
            let stamp: Vec<u8> = reader.text.drain(..begin + length).skip(begin + 5).collect();
            let stamp = String::from_utf8(stamp).expect("digits");
            let mut parts = stamp.split('.').skip(2).map(|part| part.parse::<u64>());
            let (Some(Ok(sequence)), Some(Ok(intended_ns))) = (parts.next(), parts.next()) else {
                panic!("{stamp}");
            };
            let latency = now_ns.saturating_sub(intended_ns);
            self.seen.latencies.entry((stream, sequence)).or_default().push(latency);
            self.count.fetch_add(1, Ordering::Release);
        }
    }
}

fn find(text: &[u8], what: &str) -> Option<usize> {
    text.windows(what.len()).position(|part| part == what.as_bytes())
}

fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

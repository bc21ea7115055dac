//! Workers on threads, with runs that are made up, and peers that do not keep to the protocol.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::lines::{Lines, Patience, Sender};
use super::message::{ControllerHello, FromController, FromWorker, PROTOCOL, VERSION, WorkerHello};
use super::worker::{Runner, Worker, WorkerOptions};
use super::{Job, Overrides, Token, controller};
use crate::engine::{JtlDeliveries, RunOptions, Share, Stop};
use crate::live::Phase;
use crate::plan::{PlanFormat, PlanSource};
use crate::result::fixture::example;
use crate::result::{Machine, RunResult};
use crate::{Cause, LoadError};

fn job() -> Job {
    Job {
        source: PlanSource {
            file: "plan.toml".into(),
            format: PlanFormat::Toml,
            text: "x".to_owned(),
            properties: BTreeMap::new(),
            data: BTreeMap::new(),
            skip_unknown: false,
        },
        overrides: Overrides { seed: Some(7), bearer: None },
        scaling: None,
        share: Share::default(),
        rows: false,
        jtl_deliveries: JtlDeliveries::None,
    }
}

/// A worker on a thread; ends with it.
struct Started {
    address: String,
    stop: Stop,
    log: Arc<Mutex<Vec<String>>>,
    thread: Option<JoinHandle<()>>,
}

impl Started {
    fn logged(&self, part: &str) -> bool {
        self.log.lock().unwrap().iter().any(|line| line.contains(part))
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        self.stop.stop();
        let ended = self.thread.take().unwrap().join();
        assert!(ended.is_ok() || thread::panicking());
    }
}

fn start(token: Option<&str>, runner: Box<Runner>) -> Started {
    let stop = Stop::default();
    let log = Arc::new(Mutex::new(Vec::new()));
    let lines = Arc::clone(&log);
    let options = WorkerOptions {
        token: token.and_then(Token::new),
        run: RunOptions { stop: stop.clone(), ..RunOptions::default() },
        machine: Machine::default(),
        runner,
        log: Box::new(move |line| lines.lock().unwrap().push(line.to_owned())),
    };
    let worker = Worker::bind("127.0.0.1:0", options).unwrap();
    let address = worker.local_addr().unwrap().to_string();
    let thread = Some(thread::spawn(move || worker.serve()));
    Started { address, stop, log, thread }
}

fn made_up(_: &Job, options: &RunOptions) -> Result<RunResult, LoadError> {
    options.board.write(|board| board.readers = 5);
    options.barrier.as_ref().unwrap().wait();
    options.board.write(|board| board.phase = Phase::Done);
    Ok(example())
}

/// Runs until it is stopped.
fn endless(_: &Job, options: &RunOptions) -> Result<RunResult, LoadError> {
    options.barrier.as_ref().unwrap().wait();
    while !options.stop.is_stopped() {
        thread::sleep(Duration::from_millis(1));
    }
    let mut result = example();
    result.meta.interrupted = true;
    Ok(result)
}

fn run(workers: &[&str], token: Option<&str>) -> Result<RunResult, LoadError> {
    let workers: Vec<String> = workers.iter().map(ToString::to_string).collect();
    let token = token.and_then(Token::new);
    controller::run(&workers, token.as_ref(), &job(), &RunOptions::default())
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < end, "{what} did not come");
        thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn two_workers_make_one_result() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let begins = Arc::new(Mutex::new(Vec::new()));
    let [a, b] = [40, 0].map(|set_up_ms| {
        let (seen, begins) = (Arc::clone(&seen), Arc::clone(&begins));
        start(
            Some("secret"),
            Box::new(move |job, options| {
                assert_eq!((options.share, job.overrides.seed), (job.share, Some(7)));
                seen.lock().unwrap().push((job.share.index, job.share.of));
                thread::sleep(Duration::from_millis(set_up_ms));
                let result = made_up(job, options);
                begins.lock().unwrap().push(Instant::now());
                result
            }),
        )
    });
    let merged = run(&[&a.address, &b.address], Some("secret")).unwrap();
    let mut seen = seen.lock().unwrap().clone();
    seen.sort_unstable();
    assert_eq!(seen, [(0, 2), (1, 2)]);
    let begins = std::mem::take(&mut *begins.lock().unwrap());
    let apart = begins[0].max(begins[1]) - begins[0].min(begins[1]);
    assert!(apart < Duration::from_secs(2), "both waited for one another: {apart:?}");

    let one = example();
    assert_eq!(merged.deliveries[0].delivered, 2 * one.deliveries[0].delivered);
    let (times, was) = (&merged.deliveries[0].times, &one.deliveries[0].times);
    assert_eq!(times.count(), 2 * was.count());
    for percentile in [0.1, 50.0, 99.0, 99.99, 100.0] {
        assert_eq!(times.percentile(percentile), was.percentile(percentile), "lossless");
    }
    assert_eq!(merged.meta.workers, [a.address.clone(), b.address.clone()]);
    let names: Vec<String> = merged.cores.iter().map(|core| core.name.clone()).collect();
    assert_eq!(names[0], format!("{}/0", a.address));
    assert!(names.last().unwrap().starts_with(&b.address), "{names:?}");

    let alone = run(&[&a.address], Some("secret")).unwrap();
    assert_eq!(alone.cores[0].name, format!("{}/0", a.address));
}

#[test]
fn a_token_is_needed_where_one_is_set() {
    let worker = start(Some("secret"), Box::new(made_up));
    let check = |token: Option<&str>, want: &str| {
        let error = run(&[&worker.address], token).expect_err("refused").to_string();
        assert!(error.contains(want) && error.contains(&worker.address), "{error}");
        assert!(!error.contains("secret"), "{error}");
    };
    check(None, "it needs a token");
    check(Some("wrong"), "the token is not the right one");
    assert!(run(&[&worker.address], Some("secret")).is_ok(), "it still works");
    assert!(worker.logged("not the right one"));
}

#[test]
fn one_run_at_a_time() {
    let worker = start(None, Box::new(endless));
    let options = RunOptions::default();
    let workers = vec![worker.address.clone()];
    thread::scope(|scope| {
        // By a panic too: the scope waits for the run.
        scopeguard::defer! { options.stop.stop() }
        let first = scope.spawn(|| controller::run(&workers, None, &job(), &options));
        eventually("the first run", || worker.logged("runs plan.toml"));
        let error = run(&[&worker.address], None).expect_err("busy").to_string();
        assert!(error.contains("busy with a run of 127.0.0.1:"), "{error}");
        options.stop.stop();
        let result = first.join().unwrap().unwrap();
        assert!(result.meta.interrupted, "a run that is stopped has a result");
    });
    eventually("the end of the first", || {
        let error = run(&[&worker.address, "127.0.0.1:1"], None).expect_err("nobody there");
        !error.to_string().contains("busy")
    });
}

#[test]
fn a_worker_that_fails_or_ends_too_early_is_named() {
    let other = start(None, Box::new(endless));
    let check = |runner: Box<Runner>, want: &str, cause: Cause| {
        let failing = start(None, runner);
        let error = run(&[&other.address, &failing.address], None).expect_err("fails");
        let text = error.to_string();
        assert!(text.contains(&failing.address) && text.contains(want), "{text}");
        assert_eq!(error.cause(), cause);
    };
    check(Box::new(|_, _| Err(LoadError::Plan("no\u{7} such set"))), "no such set", Cause::Other);
    let descriptors = LoadError::Descriptors { wanted: 9, connections: 8, reserve: 1, limit: 5 };
    let descriptors = Mutex::new(Some(descriptors));
    let runner: Box<Runner> =
        Box::new(move |_, _| Err(descriptors.lock().unwrap().take().unwrap()));
    check(runner, "RLIMIT_NOFILE", Cause::Generator);
    check(Box::new(|_, _| Ok(example())), "before the load began", Cause::Other);
    check(Box::new(|_, _| panic!("a bug in the engine")), "the run panicked", Cause::Other);
    eventually("the other one's end", || {
        !run(&[&other.address, "127.0.0.1:1"], None).unwrap_err().to_string().contains("busy")
    });
}

/// A worker that says what a script says.
fn scripted(script: impl FnOnce(Sender, Lines) + Send + 'static) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let thread = thread::spawn(move || {
        let (sender, lines) = Sender::split(listener.accept().unwrap().0).unwrap();
        script(sender, lines);
    });
    (address, thread)
}

fn hello(version: &str) -> FromWorker {
    let nonce = "nonce".to_owned();
    let (version, protocol) = (version.to_owned(), PROTOCOL);
    FromWorker::Hello(WorkerHello { version, protocol, nonce, needs_token: false })
}

const PATIENCE: Patience = Patience::Silence(Duration::from_secs(10));

#[test]
fn a_worker_that_dies_fails_the_run_and_the_others_are_stopped() {
    let stopped = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&stopped);
    let other = start(
        None,
        Box::new(move |job, options| {
            let result = endless(job, options);
            count.fetch_add(1, Ordering::Relaxed);
            result
        }),
    );
    let (address, thread) = scripted(|sender, mut lines| {
        sender.send(&hello(VERSION)).unwrap();
        lines.receive::<FromController>(4096, PATIENCE).unwrap();
        sender.send(&FromWorker::Welcome(Machine::default())).unwrap();
        let prepare = lines.receive::<FromController>(1 << 20, PATIENCE).unwrap();
        assert!(matches!(prepare, FromController::Prepare(_)), "{prepare:?}");
        sender.send(&FromWorker::Ready).unwrap();
        loop {
            if let FromController::Go { .. } = lines.receive(4096, PATIENCE).unwrap() {
                return;
            }
        }
    });
    let error = run(&[&other.address, &address], None).expect_err("lost").to_string();
    assert!(error.contains(&format!("worker {address}: lost")), "{error}");
    eventually("the end of the other", || stopped.load(Ordering::Relaxed) == 1);
    thread.join().unwrap();
}

#[test]
fn a_share_that_is_none_is_refused() {
    let worker = start(None, Box::new(made_up));
    for (index, of) in [(0, 0), (1, 1), (0, 257), (0, u32::MAX), (u32::MAX, u32::MAX)] {
        let stream = std::net::TcpStream::connect(&worker.address).unwrap();
        let (sender, mut lines) = Sender::split(stream).unwrap();
        lines.receive::<FromWorker>(4096, PATIENCE).unwrap();
        let hello =
            ControllerHello { version: VERSION.to_owned(), protocol: PROTOCOL, proof: None };
        sender.send(&FromController::Hello(hello)).unwrap();
        lines.receive::<FromWorker>(4096, PATIENCE).unwrap();
        let job = Job { share: Share { index, of }, ..job() };
        sender.send(&FromController::Prepare(Box::new(job))).unwrap();
        let answer = lines.receive::<FromWorker>(4096, PATIENCE).unwrap();
        let FromWorker::Refused(reason) = answer else { panic!("{answer:?}") };
        assert!(reason.contains(&format!("part {index} of {of}: expected")), "{reason}");
    }
}

#[test]
fn what_is_no_worker_is_refused() {
    let check = |want: &str, script: fn(Sender, Lines)| {
        let (address, thread) = scripted(script);
        let error = run(&[&address], None).expect_err("refused").to_string();
        assert!(error.contains(want) && error.contains(&address), "{error}");
        thread.join().unwrap();
    };
    check("version 0.0.9 (protocol 1)", |sender, _| sender.send(&hello("0.0.9")).unwrap());
    check("not a worker", |sender, _| sender.send(&"HTTP/1.1 400 Bad Request").unwrap());
    check("not a worker", |sender, _| sender.send(&FromWorker::Ready).unwrap());
    check("not a worker", |_, _| {});
    check("longer than 4096 bytes", |sender, _| {
        let _ = sender.send(&"x".repeat(100_000));
    });
    let none = run(&["127.0.0.1:1"], None).expect_err("nobody is there").to_string();
    assert!(none.contains("worker 127.0.0.1:1: no connection"), "{none}");
    let name = run(&["nowhere"], None).expect_err("no port").to_string();
    assert!(name.contains("host:port"), "{name}");
    assert!(run(&[], None).is_err());
}

#[test]
fn what_is_no_controller_is_sent_away() {
    let worker = start(None, Box::new(made_up));
    let check = |bytes: &[u8], want: &str| {
        let mut stream = TcpStream::connect(&worker.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        // A line that is cut off may end in a reset.
        let _ = stream.read_to_end(&mut answer);
        eventually(want, || worker.logged(want));
    };
    check(b"\x16\x03\x01\x02\0garbage\n", "not a message");
    check(b"GET / HTTP/1.1\r\n\r\n", "not a message");
    check(&[b'x'; 1 << 20], "longer than 4096 bytes");
    check(b"\"ping\"\n", "a hello must come first");
    check(b"", "closed");
    let text = |message: &FromController| serde_json::to_string(message).unwrap() + "\n";
    let greeting = |version: &str| {
        let hello =
            ControllerHello { version: version.to_owned(), protocol: PROTOCOL, proof: None };
        text(&FromController::Hello(hello))
    };
    check(greeting("9.9.9\u{1b}[2J").as_bytes(), "version 9.9.92J (protocol 1)");
    check((greeting(VERSION) + &text(&FromController::Ping)).as_bytes(), "instead of a job");
    let job = text(&FromController::Prepare(Box::new(job())));
    check((greeting(VERSION) + &job + "[]\n").as_bytes(), "the controller is lost");
    assert!(run(&[&worker.address], None).is_ok(), "it still works");
}

#[test]
fn progress_is_shown_as_one() {
    let workers = [start(None, Box::new(endless)), start(None, Box::new(endless))];
    let addresses: Vec<String> = workers.iter().map(|worker| worker.address.clone()).collect();
    let options = RunOptions::default();
    let board = options.board.clone();
    board.write(|board| board.phase = Phase::Done);
    thread::scope(|scope| {
        scopeguard::defer! { options.stop.stop() }
        let run = scope.spawn(|| controller::run(&addresses, None, &job(), &options));
        eventually("progress", || board.phase() == Phase::SettingUp);
        options.stop.stop();
        assert!(run.join().unwrap().is_ok());
    });
}

#[test]
fn rows_of_workers_come_into_one_log() {
    use crate::output::jtl::{DataType, JtlBuffer, JtlRow, JtlWriter, ResponseCode};
    let runner = |job: &Job, options: &RunOptions| {
        let row = JtlRow {
            time_stamp_ms: 1_760_000_000_123,
            elapsed_ns: 12_999_999,
            label: "publish",
            response_code: ResponseCode::Status(204),
            response_message: "No Content",
            group: "publishers",
            group_number: 2,
            user: 17,
            data_type: DataType::None,
            success: true,
            failure_message: "",
            bytes: 180,
            sent_bytes: 340,
            group_threads: 20,
            all_threads: 30,
            url: "http://127.0.0.1:4437/v1/stream/board",
            latency_ns: 11_000_000,
            idle_ns: 0,
            connect_ns: 0,
        };
        let mut buffer = JtlBuffer::new(options.jtl.clone().expect("asked for"));
        (0..1000).for_each(|_| buffer.push(&row));
        drop(buffer);
        made_up(job, options)
    };
    let workers = [start(None, Box::new(runner)), start(None, Box::new(runner))];
    let addresses: Vec<String> = workers.iter().map(|worker| worker.address.clone()).collect();
    let dir = tempfile::tempdir().unwrap();
    let (writer, sink) = JtlWriter::create(&dir.path().join("results.jtl")).unwrap();
    let options = RunOptions { jtl: Some(sink), ..RunOptions::default() };
    let job = Job { rows: true, ..job() };
    controller::run(&addresses, None, &job, &options).unwrap();
    assert_eq!(writer.finish().unwrap(), 2000);
}

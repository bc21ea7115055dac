//! The controller: starts one run on several workers and makes one result of theirs.
//!
//! A thread per worker connects and listens; the calling thread decides.

use std::net::{TcpStream, ToSocketAddrs};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use super::limits;
use super::lines::{Lines, Patience, Sender};
use super::message::{
    ControllerHello, FromController, FromWorker, Job, PROTOCOL, VERSION, check_version,
    worker_error,
};
use super::progress;
use super::token::Token;
use crate::LoadError;
use crate::engine::{RunOptions, Share};
use crate::live::{Board, Progress};
use crate::result::{RunResult, merge};

/// Makes a run on workers, `host:port` each, and merges their results; the thresholds are not
/// judged yet. Of the options, board, stop and sample log count; the job's share is set here.
///
/// # Errors
/// A worker cannot be reached, refuses, fails or is lost. The others are stopped then.
pub fn run(
    workers: &[String],
    token: Option<&Token>,
    job: &Job,
    options: &RunOptions,
) -> Result<RunResult, LoadError> {
    if workers.is_empty() || workers.len() > limits::WORKERS {
        return Err(LoadError::Plan("a distributed run has from 1 to 256 workers"));
    }
    let sessions = connect_all(workers, token, job)?;
    let (senders, listeners): (Vec<Sender>, Vec<Lines>) = sessions.into_iter().unzip();
    let (events, heard) = mpsc::channel();
    thread::scope(|scope| {
        for (index, mut lines) in listeners.into_iter().enumerate() {
            let events = events.clone();
            scope.spawn(move || listen(index, &mut lines, &events));
        }
        drop(events);
        let mut run = Run::new(workers, &senders, options);
        let outcome = run.conduct(&heard);
        if outcome.is_err() {
            run.tell_all(&FromController::Stop);
        }
        // This ends the listeners too.
        senders.iter().for_each(Sender::close);
        outcome
    })?
    .into_one(workers)
}

/// Every worker's result, in the order of the workers.
struct Results(Vec<RunResult>);

impl Results {
    fn into_one(self, workers: &[String]) -> Result<RunResult, LoadError> {
        let mut results = self.0;
        if let [only] = results.as_mut_slice() {
            only.cores.iter_mut().for_each(|core| core.name = format!("0/{}", core.name));
        }
        let none = LoadError::Plan("no worker had a result");
        let mut merged = merge::merge(results).ok_or(none)?;
        for core in &mut merged.cores {
            // `merge` numbers the workers.
            let named = core.name.split_once('/').and_then(|(worker, core)| {
                let worker: usize = worker.parse().ok()?;
                Some(format!("{}/{core}", workers.get(worker)?))
            });
            core.name = named.unwrap_or_else(|| core.name.clone());
        }
        merged.meta.workers = workers.to_vec();
        Ok(merged)
    }
}

/// What a listener hears: a message, or why there are no more.
type Event = (usize, Result<FromWorker, String>);

fn listen(index: usize, lines: &mut Lines, events: &mpsc::Sender<Event>) {
    loop {
        let patience = Patience::Silence(limits::SILENCE);
        let heard = lines.receive(limits::WORKER_LINE_BYTES, patience);
        let heard: Result<FromWorker, String> = heard.map_err(|error| format!("lost: {error}"));
        let last =
            !matches!(heard, Ok(FromWorker::Ready | FromWorker::Progress(_) | FromWorker::Rows(_)));
        if events.send((index, heard)).is_err() || last {
            return;
        }
    }
}

/// A run under way on all workers.
struct Run<'a> {
    workers: &'a [String],
    senders: &'a [Sender],
    options: &'a RunOptions,
    states: Vec<State>,
    progress: Vec<Progress>,
    next_ping: Instant,
    started: bool,
    stopped: bool,
}

enum State {
    SettingUp,
    Ready,
    Done(Box<RunResult>),
}

impl<'a> Run<'a> {
    fn new(workers: &'a [String], senders: &'a [Sender], options: &'a RunOptions) -> Run<'a> {
        Run {
            workers,
            senders,
            options,
            states: workers.iter().map(|_| State::SettingUp).collect(),
            progress: vec![Progress::default(); workers.len()],
            next_ping: Instant::now(),
            started: false,
            stopped: false,
        }
    }

    fn conduct(&mut self, heard: &Receiver<Event>) -> Result<Results, LoadError> {
        loop {
            if self.states.iter().all(|state| matches!(state, State::Done(_))) {
                return Ok(self.take_results());
            }
            self.keep_in_touch();
            match heard.recv_timeout(TICK) {
                Ok((worker, heard)) => self.handle(worker, heard)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(LoadError::Plan("all workers are gone"));
                }
            }
        }
    }

    fn handle(
        &mut self,
        worker: usize,
        heard: Result<FromWorker, String>,
    ) -> Result<(), LoadError> {
        let fail = |reason: &str| Err(worker_error(&self.workers[worker], &reason));
        match heard {
            Err(reason) => fail(&reason),
            Ok(FromWorker::Failed { reason, cause: by }) => {
                let mut error = worker_error(&self.workers[worker], &reason);
                if let LoadError::Worker { cause, .. } = &mut error {
                    *cause = by;
                }
                Err(error)
            }
            Ok(FromWorker::Ready) => {
                self.states[worker] = State::Ready;
                self.start_if_all_are_ready();
                Ok(())
            }
            Ok(FromWorker::Progress(progress)) => {
                self.progress[worker] = *progress;
                self.show(&self.options.board);
                Ok(())
            }
            Ok(FromWorker::Rows(rows)) => match &self.options.jtl {
                Some(sink) if !sink.add(&rows) => fail("it sent rows that are not whole"),
                _ => Ok(()),
            },
            Ok(FromWorker::Result(result)) => {
                if !self.started && !self.stopped {
                    return fail("it ended before the load began");
                }
                self.states[worker] = State::Done(result);
                Ok(())
            }
            Ok(FromWorker::Hello(_) | FromWorker::Welcome(_) | FromWorker::Refused(_)) => {
                fail("it sent a greeting during the run")
            }
        }
    }

    fn start_if_all_are_ready(&mut self) {
        if self.started || self.states.iter().any(|state| matches!(state, State::SettingUp)) {
            return;
        }
        self.started = true;
        // Each counts from when it hears of it; telling them takes less than the delay.
        let start = Instant::now() + limits::START_DELAY;
        for sender in self.senders {
            let left = start.saturating_duration_since(Instant::now());
            let in_ms = u64::try_from(left.as_millis()).unwrap_or(0);
            // Whom this does not reach is lost, and its listener says so.
            let _ = sender.send(&FromController::Go { in_ms });
        }
    }

    fn keep_in_touch(&mut self) {
        if self.options.stop.is_stopped() && !self.stopped {
            self.stopped = true;
            self.tell_all(&FromController::Stop);
        }
        if Instant::now() >= self.next_ping {
            self.next_ping = Instant::now() + limits::PING_EVERY;
            self.tell_all(&FromController::Ping);
        }
    }

    fn tell_all(&self, message: &FromController) {
        // Those that are done too: they wait until all are, and a lost one is its listener's.
        for sender in self.senders {
            let _ = sender.send(message);
        }
    }

    fn show(&self, board: &Board) {
        let workers = self.workers.iter().map(String::as_str).zip(&self.progress);
        let merged = progress::merge(workers);
        board.write(|shown| *shown = merged);
    }

    fn take_results(&mut self) -> Results {
        let states = std::mem::take(&mut self.states).into_iter();
        Results(
            states
                .filter_map(|state| match state {
                    State::Done(result) => Some(*result),
                    State::SettingUp | State::Ready => None,
                })
                .collect(),
        )
    }
}

/// Connects to all at the same time; those that were reached get their job.
fn connect_all(
    workers: &[String],
    token: Option<&Token>,
    job: &Job,
) -> Result<Vec<(Sender, Lines)>, LoadError> {
    let of = u32::try_from(workers.len()).unwrap_or(u32::MAX);
    let sessions: Vec<Result<(Sender, Lines), String>> = thread::scope(|scope| {
        let connecting: Vec<_> =
            workers.iter().map(|worker| scope.spawn(|| connect(worker, token))).collect();
        let joined = connecting
            .into_iter()
            .map(|one| one.join().unwrap_or_else(|_| Err("the connection panicked".to_owned())));
        joined.collect()
    });
    let mut greeted = Vec::new();
    for (worker, session) in workers.iter().zip(sessions) {
        greeted.push(session.map_err(|reason| worker_error(worker, &reason))?);
    }
    // Nobody is set to work before everybody has said welcome.
    for (index, ((sender, _), worker)) in (0..of).zip(greeted.iter().zip(workers)) {
        let job = Job { share: Share { index, of }, ..job.clone() };
        let sent = sender.send(&FromController::Prepare(Box::new(job)));
        sent.map_err(|error| worker_error(worker, &error))?;
    }
    Ok(greeted)
}

fn connect(worker: &str, token: Option<&Token>) -> Result<(Sender, Lines), String> {
    let addresses = worker
        .to_socket_addrs()
        .map_err(|error| format!("{error}: a worker is named by host:port, as in 10.0.0.7:7437"))?;
    let mut failed = "its name has no address".to_owned();
    for address in addresses {
        match TcpStream::connect_timeout(&address, limits::CONNECT) {
            Ok(stream) => return greet(stream, token),
            Err(error) => failed = format!("no connection: {error}"),
        }
    }
    Err(failed)
}

fn greet(stream: TcpStream, token: Option<&Token>) -> Result<(Sender, Lines), String> {
    let (sender, mut lines) = Sender::split(stream).map_err(|error| error.to_string())?;
    let end = Instant::now() + limits::HANDSHAKE;
    let mut hear = || -> Result<FromWorker, String> {
        let line = lines.receive(limits::HANDSHAKE_LINE_BYTES, Patience::Until(end));
        line.map_err(|error| format!("it is not a worker: {error}"))
    };
    let FromWorker::Hello(hello) = hear()? else {
        return Err("it is not a worker: it did not say hello".to_owned());
    };
    check_version(&hello.version, hello.protocol)?;
    if hello.needs_token && token.is_none() {
        return Err("it needs a token (--token-file)".to_owned());
    }
    let proof = token.map(|token| token.prove(&hello.nonce));
    let answer = ControllerHello { version: VERSION.to_owned(), protocol: PROTOCOL, proof };
    sender.send(&FromController::Hello(answer)).map_err(|error| error.to_string())?;
    match hear()? {
        FromWorker::Welcome(_) => Ok((sender, lines)),
        FromWorker::Refused(reason) => Err(format!("refused: {reason}")),
        _ => Err("it is not a worker: something else came instead of a welcome".to_owned()),
    }
}

const TICK: Duration = Duration::from_millis(50);

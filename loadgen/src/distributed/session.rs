//! A worker's side of one connection: handshake, set-up, run, result.

use std::net::{SocketAddr, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use super::limits;
use super::lines::{LineError, Lines, Patience, Sender};
use super::message::{
    ControllerHello, FromController, FromWorker, Job, PROTOCOL, VERSION, WorkerHello, check_version,
};
use super::token;
use super::worker::Shared;
use crate::engine::{Barrier, RunOptions, Stop};
use crate::live::Board;
use crate::output::jtl::JtlRelay;
use crate::{Cause, LoadError};

/// Serves one controller to its end. The error is why it was sent away or lost.
pub(super) fn serve(stream: TcpStream, peer: SocketAddr, shared: &Shared) -> Result<(), String> {
    // Some systems let it inherit the listener's mode.
    stream.set_nonblocking(false).map_err(|error| error.to_string())?;
    let (sender, mut lines) = Sender::split(stream).map_err(|error| error.to_string())?;
    let refuse = |reason: String| {
        let _ = sender.send(&FromWorker::Refused(reason.clone()));
        reason
    };
    shake_hands(&sender, &mut lines, shared).map_err(&refuse)?;
    let claim = shared.claim(peer).map_err(&refuse)?;
    let welcome = FromWorker::Welcome(shared.options.machine.clone());
    sender.send(&welcome).map_err(|error| error.to_string())?;
    let patience = Patience::Silence(limits::SILENCE);
    let job = match lines.receive(limits::CONTROLLER_LINE_BYTES, patience) {
        Ok(FromController::Prepare(job)) => job,
        Ok(_) => return Err(refuse("something else came instead of a job".to_owned())),
        Err(error) => return Err(refuse(error.to_string())),
    };
    job.share.check().map_err(&refuse)?;
    (shared.options.log)(&format!("{peer}: runs {}", job.source.file.display()));
    let ended = run(&job, &sender, &mut lines, shared);
    drop(claim);
    sender.close();
    ended
}

fn shake_hands(sender: &Sender, lines: &mut Lines, shared: &Shared) -> Result<(), String> {
    let nonce = token::nonce().ok_or("this system has no randomness")?;
    let hello = WorkerHello {
        version: VERSION.to_owned(),
        protocol: PROTOCOL,
        nonce: nonce.clone(),
        needs_token: shared.options.token.is_some(),
    };
    sender.send(&FromWorker::Hello(hello)).map_err(|error| error.to_string())?;
    let patience = Patience::Until(Instant::now() + limits::HANDSHAKE);
    let hello: ControllerHello = match lines.receive(limits::HANDSHAKE_LINE_BYTES, patience) {
        Ok(FromController::Hello(hello)) => hello,
        Ok(_) => return Err("a hello must come first".to_owned()),
        Err(error) => return Err(error.to_string()),
    };
    check_version(&hello.version, hello.protocol)?;
    match (&shared.options.token, &hello.proof) {
        (None, _) => Ok(()),
        (Some(_), None) => Err("it needs a token (--token-file)".to_owned()),
        (Some(token), Some(proof)) if token.accepts(&nonce, proof) => Ok(()),
        (Some(_), Some(_)) => Err("the token is not the right one".to_owned()),
    }
}

/// Makes the run beside a thread that reports progress, while this one listens to the controller.
fn run(job: &Job, sender: &Sender, lines: &mut Lines, shared: &Shared) -> Result<(), String> {
    let (go, gone) = mpsc::channel();
    let (stop, board) = (Stop::default(), Board::default());
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let reporting = || report(&board, sender, shared, &stop, &done);
        let options = run_options(job, shared, &board, &stop, sender, gone);
        let running = || {
            let message = make(job, options, sender, shared);
            done.store(true, Ordering::Relaxed);
            sender.send(&message).map_err(|error| error.to_string())
        };
        scope.spawn(reporting);
        let running = scope.spawn(running);
        let heard = listen(lines, &go, &stop, &done);
        // Whatever ended the conversation, the run has no reader any more; a wait for `go` ends.
        stop.stop();
        drop(go);
        let sent = running.join().unwrap_or_else(|_| Err("the session panicked".to_owned()));
        heard.and(sent)
    })
}

/// The run itself, and what is sent about it: the rows of its log first. A panic in it is told to the
/// controller where a build unwinds; a release build aborts, and the controller sees a lost worker.
fn make(job: &Job, mut options: RunOptions, sender: &Sender, shared: &Shared) -> FromWorker {
    let to = sender.clone();
    let relay = job.rows.then(|| {
        JtlRelay::start(move |rows| {
            // A controller that is gone is noticed by whoever listens to it.
            let _ = to.send(&FromWorker::Rows(rows));
        })
    });
    let relay = match relay.transpose() {
        Ok(relay) => relay,
        Err(error) => {
            return FromWorker::Failed { reason: error.to_string(), cause: Cause::Generator };
        }
    };
    options.jtl = relay.as_ref().map(|(_, sink)| sink.clone());
    let run = AssertUnwindSafe(|| (shared.options.runner)(job, &options));
    let result = catch_unwind(run).unwrap_or(Err(LoadError::Plan("the run panicked")));
    if let Some((relay, _)) = relay {
        relay.finish();
    }
    match result {
        Ok(result) => FromWorker::Result(Box::new(result)),
        Err(error) => FromWorker::Failed { reason: error.to_string(), cause: error.cause() },
    }
}

/// Until the controller leaves, which after a run is as it should be.
fn listen(
    lines: &mut Lines,
    go: &mpsc::Sender<Duration>,
    stop: &Stop,
    done: &AtomicBool,
) -> Result<(), String> {
    loop {
        let patience = Patience::Silence(limits::SILENCE);
        match lines.receive(limits::HANDSHAKE_LINE_BYTES, patience) {
            Ok(FromController::Go { in_ms }) => {
                let _ = go.send(Duration::from_millis(in_ms).min(limits::SILENCE));
            }
            Ok(FromController::Stop) => stop.stop(),
            Ok(FromController::Ping) => {}
            Ok(_) => return Err("a second hello or job came during a run".to_owned()),
            Err(LineError::Closed) if done.load(Ordering::Relaxed) => return Ok(()),
            Err(error) => return Err(format!("the controller is lost: {error}")),
        }
    }
}

/// Signs of life, until the run is done.
fn report(board: &Board, sender: &Sender, shared: &Shared, stop: &Stop, done: &AtomicBool) {
    while !done.load(Ordering::Relaxed) {
        if shared.stop.is_stopped() {
            stop.stop();
        }
        if sender.send(&FromWorker::Progress(Box::new(board.read()))).is_err() {
            stop.stop();
            return;
        }
        let end = Instant::now() + limits::PROGRESS_EVERY;
        while !done.load(Ordering::Relaxed) && Instant::now() < end {
            thread::sleep(TICK);
        }
    }
}

fn run_options(
    job: &Job,
    shared: &Shared,
    board: &Board,
    stop: &Stop,
    sender: &Sender,
    gone: Receiver<Duration>,
) -> RunOptions {
    let mut options = shared.options.run.clone();
    options.share = job.share;
    options.board = board.clone();
    options.stop = stop.clone();
    options.jtl_deliveries = job.jtl_deliveries;
    let (sender, stop) = (sender.clone(), stop.clone());
    let gone = Arc::new(std::sync::Mutex::new(gone));
    options.barrier = Some(Barrier::new(move || {
        if sender.send(&FromWorker::Ready).is_err() {
            stop.stop();
        }
        if let Ok(gone) = gone.lock() {
            wait_for_go(&gone, &stop);
        }
    }));
    options
}

/// Returns when the load shall start, or when there shall be none.
fn wait_for_go(gone: &Receiver<Duration>, stop: &Stop) {
    while !stop.is_stopped() {
        match gone.recv_timeout(TICK) {
            Ok(delay) => {
                thread::sleep(delay);
                return;
            }
            Err(RecvTimeoutError::Timeout) => {}
            // The controller is gone.
            Err(RecvTimeoutError::Disconnected) => stop.stop(),
        }
    }
}

const TICK: Duration = Duration::from_millis(10);

//! The view's thread.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::engine::Stop;
use crate::live::terminal::{FullScreen, stop_key_within};
use crate::live::{Board, History, Screen, draw, plain};

/// How a run is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LiveMode {
    /// Full if standard output is a terminal that can, plain otherwise.
    #[default]
    Auto,
    /// A full screen on standard output. Plain if it cannot be had.
    Full,
    /// A line per second on standard error.
    Plain,
    /// Not at all.
    Quiet,
}

/// A run being shown. Dropping it ends that and leaves the terminal as it was before; a program
/// that exits without dropping it does not.
#[derive(Debug)]
pub struct LiveView {
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Shows `board` on a thread of its own until the view is dropped. In a full screen, `q` and
/// Ctrl-C ask `stop` to end the run; Ctrl-C once more leaves the screen for plain lines, where
/// the next one is a signal again.
#[must_use]
pub fn show(board: Board, stop: Stop, mode: LiveMode) -> LiveView {
    let full = match mode {
        LiveMode::Quiet => return LiveView { end: None, thread: None },
        LiveMode::Auto => io::stdout().is_terminal() && !is_set("TERM", Some("dumb")),
        LiveMode::Full => true,
        LiveMode::Plain => false,
    };
    let (end, ended) = channel();
    let run = move || {
        if !full || !show_full(&board, &stop, &ended) {
            show_plain(&board, &ended);
        }
    };
    // Without a thread the run is not shown, which is no reason not to run.
    let thread = std::thread::Builder::new().name("live-view".to_owned()).spawn(run).ok();
    LiveView { end: Some(end), thread }
}

impl LiveView {
    /// Ends it.
    pub fn finish(self) {
        drop(self);
    }
}

impl Drop for LiveView {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // If it panicked its message is out.
            let _ = thread.join();
        }
    }
}

/// Whether it was shown to the end; otherwise plain lines take over.
fn show_full(board: &Board, stop: &Stop, ended: &Receiver<()>) -> bool {
    let Ok(mut terminal) = FullScreen::take() else { return false };
    // See no-color.org: any value but an empty one.
    let colour = !is_set("NO_COLOR", None);
    let mut history = History::default();
    loop {
        if ended.try_recv() == Err(TryRecvError::Disconnected) {
            return true;
        }
        let progress = board.read();
        history.observe(&progress);
        let screen =
            Screen { progress: &progress, history: &history, colour, stopping: stop.is_stopped() };
        let shown = terminal.is_taken()
            && terminal.show(|frame| draw(&screen, frame.area(), frame.buffer_mut())).is_ok();
        if !shown {
            return false;
        }
        match stop_key_within(DRAW_EVERY) {
            Ok(false) => {}
            Ok(true) if stop.is_stopped() => return false,
            Ok(true) => stop.stop(),
            Err(_) => return false,
        }
    }
}

fn show_plain(board: &Board, ended: &Receiver<()>) {
    let mut headed = false;
    while ended.recv_timeout(LINE_EVERY) == Err(RecvTimeoutError::Timeout) {
        let progress = board.read();
        let mut out = io::stderr().lock();
        if !headed && !progress.plan.is_empty() {
            headed = true;
            // A closed pipe does not stop a run.
            let _ = writeln!(out, "{}", plain::heading(&progress));
        }
        let _ = writeln!(out, "{}", plain::line(&progress));
    }
}

/// Whether a variable has this value, or any that is not empty.
fn is_set(name: &str, value: Option<&str>) -> bool {
    let set = std::env::var_os(name).filter(|set| !set.is_empty());
    set.is_some_and(|set| value.is_none_or(|value| set == value))
}

/// Also how long a key waits at most.
const DRAW_EVERY: Duration = Duration::from_millis(200);
const LINE_EVERY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quiet_has_no_thread_and_plain_ends_at_once() {
        assert!(show(Board::default(), Stop::default(), LiveMode::Quiet).thread.is_none());
        let began = std::time::Instant::now();
        show(Board::default(), Stop::default(), LiveMode::Plain).finish();
        assert!(began.elapsed() < LINE_EVERY, "{:?}", began.elapsed());
    }
}

//! Watches the frames of a connection go by: bounds what `h2` does not, and learns what it does
//! not tell.
//!
//! `h2` bounds memory. What it does not bound is work: frames that cost the client a few bytes and
//! bring it nothing (pings, settings, priorities, empty data), and requests that are taken back
//! before they are answered, one after the other. Both have a budget that fills up again with
//! time. What an answer needs is free: each of our frames with data entitles the client to a few
//! window updates or pings, each answer to one reset. Deliberately absent: windows, which are
//! the [lane](super::lane)'s.

use std::cell::{Cell, RefCell};
use std::time::Instant;

use super::frames::{
    ACK, DATA, END_STREAM, Frame, GOAWAY, HEADERS, Head, PING, PREFACE_BYTES, RST_STREAM, SETTINGS,
    Scanner, WINDOW_UPDATE,
};
use super::lane::Lane;
use crate::config::limits::{
    HTTP2_CONTROL_FRAMES, HTTP2_CONTROL_FRAMES_PER_SECOND, HTTP2_FREE_FOR_A_FRAME, HTTP2_RESETS,
    HTTP2_SETTINGS_WEIGHT, HTTP2_USEFUL_FRAME_BYTES,
};

/// See the module.
pub(super) struct Watch {
    incoming: RefCell<Scanner>,
    outgoing: RefCell<Scanner>,
    control: Budget,
    resets: Budget,
    /// Window updates or pings, and resets, that the client is entitled to.
    updates: Cell<u64>,
    answers: Cell<u64>,
    /// What has been sent since somebody asked. Mostly nothing.
    errors: RefCell<Vec<SentError>>,
}

/// More of something than a client may send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Flood {
    /// Frames that bring it nothing.
    ControlFrames,
    /// Requests that it takes back.
    Resets,
}

/// An error that the client was told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum SentError {
    /// RST_STREAM with a code.
    Stream(u32),
    /// GOAWAY with a code that is an error.
    Connection(u32),
}

/// The budget of resets fills up in this time.
const RESETS_SECONDS: u64 = 10;

impl Flood {
    /// As refusals are counted.
    pub(super) fn code(self) -> &'static str {
        match self {
            Flood::ControlFrames => "http2-control-flood",
            Flood::Resets => "http2-reset-flood",
        }
    }
}

impl Watch {
    /// `streams`: requests at once.
    pub(super) fn new(now: Instant, streams: u32) -> Watch {
        // All readers of a connection may leave at once.
        let resets = HTTP2_RESETS.max(u64::from(streams));
        Watch {
            incoming: RefCell::new(Scanner::new(PREFACE_BYTES)),
            outgoing: RefCell::new(Scanner::new(0)),
            control: Budget::new(HTTP2_CONTROL_FRAMES, HTTP2_CONTROL_FRAMES_PER_SECOND, now),
            resets: Budget::new(resets, resets / RESETS_SECONDS, now),
            updates: Cell::new(0),
            answers: Cell::new(0),
            errors: RefCell::default(),
        }
    }

    /// These bytes have come.
    pub(super) fn came(&self, bytes: &[u8], now: Instant) -> Result<(), Flood> {
        self.control.refill(now);
        self.resets.refill(now);
        let mut flood = Ok(());
        self.incoming.borrow_mut().scan(bytes, |frame| {
            flood = flood.and_then(|()| self.charge(frame));
        });
        flood
    }

    fn charge(&self, frame: Frame) -> Result<(), Flood> {
        let head = frame.head;
        let weight = match head.kind {
            HEADERS => 0,
            DATA if head.len > 0 || head.flags & END_STREAM != 0 => 0,
            // Some clients measure the round trip with a ping for what they receive.
            WINDOW_UPDATE | PING if spend(&self.updates) => 0,
            RST_STREAM if spend(&self.answers) => 0,
            RST_STREAM => return self.resets.take(1).ok_or(Flood::Resets),
            // Each may change the window of every stream.
            SETTINGS if head.flags & ACK == 0 => HTTP2_SETTINGS_WEIGHT,
            _ => 1,
        };
        self.control.take(weight).ok_or(Flood::ControlFrames)
    }

    /// These bytes of `h2` go.
    pub(super) fn went(&self, bytes: &[u8], lane: &Lane) {
        self.outgoing.borrow_mut().scan(bytes, |frame| {
            let Head { kind, flags, stream, len } = frame.head;
            match kind {
                HEADERS => {
                    earn(&self.answers, 1);
                    earn(&self.updates, HTTP2_FREE_FOR_A_FRAME);
                }
                DATA => {
                    self.data_went(len);
                    lane.data_of_h2_went(stream, len);
                }
                RST_STREAM => {
                    self.errors.borrow_mut().push(SentError::Stream(frame.code));
                    lane.reset(stream);
                }
                SETTINGS if flags & ACK != 0 => lane.settings_are_answered(),
                GOAWAY if frame.code != 0 => {
                    self.errors.borrow_mut().push(SentError::Connection(frame.code));
                }
                _ => {}
            }
            if matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0 {
                lane.forget(stream);
            }
        });
    }

    /// So much DATA goes in one frame.
    pub(super) fn data_went(&self, len: usize) {
        // A client whose windows are tiny gets no more updates for it.
        if len >= HTTP2_USEFUL_FRAME_BYTES {
            earn(&self.updates, HTTP2_FREE_FOR_A_FRAME);
        }
    }

    /// Whether a frame that is not from `h2` may go now.
    pub(super) fn is_between_frames(&self) -> bool {
        self.outgoing.borrow().is_between_frames()
    }

    /// The errors that the client was told since the last call.
    pub(super) fn take_errors(&self) -> Vec<SentError> {
        self.errors.take()
    }
}

fn earn(credit: &Cell<u64>, more: u64) {
    credit.set(credit.get() + more);
}

fn spend(credit: &Cell<u64>) -> bool {
    let left = credit.get().checked_sub(1);
    left.is_some_and(|left| {
        credit.set(left);
        true
    })
}

/// A number of something that fills up again.
struct Budget {
    most: u64,
    per_second: u64,
    left: Cell<u64>,
    filled: Cell<Instant>,
}

impl Budget {
    fn new(most: u64, per_second: u64, now: Instant) -> Budget {
        Budget { most, per_second, left: Cell::new(most), filled: Cell::new(now) }
    }

    fn refill(&self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.filled.get());
        let more = elapsed.as_millis() as u64 * self.per_second / 1000;
        // What is less than one is counted next time.
        if more > 0 {
            self.left.set(self.most.min(self.left.get() + more));
            self.filled.set(now);
        }
    }

    /// `None`: there is not so much left.
    fn take(&self, count: u64) -> Option<()> {
        self.left.set(self.left.get().checked_sub(count)?);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const PRIORITY: u8 = 2;
    const CONTINUATION: u8 = 9;

    fn frame(kind: u8, flags: u8, len: usize) -> Vec<u8> {
        let bytes = (len as u32).to_be_bytes();
        [&bytes[1..], &[kind, flags, 0, 0, 0, 1], &vec![0; len]].concat()
    }

    /// After so many of these frames it is too much.
    fn check(kind: u8, flags: u8, len: usize, want: Option<(u64, Flood)>) {
        let now = Instant::now();
        let watch = Watch::new(now, 100);
        watch.came(&[0; PREFACE_BYTES], now).unwrap();
        let frame = frame(kind, flags, len);
        let most = 4 * HTTP2_CONTROL_FRAMES;
        let found = (0..most).find_map(|count| Some((count, watch.came(&frame, now).err()?)));
        assert_eq!(found, want, "{kind} {flags} {len}");
    }

    #[test]
    fn what_a_client_may_send() {
        let control = |count| Some((count, Flood::ControlFrames));
        check(PING, 0, 8, control(HTTP2_CONTROL_FRAMES));
        check(PING, ACK, 8, control(HTTP2_CONTROL_FRAMES));
        check(PRIORITY, 0, 5, control(HTTP2_CONTROL_FRAMES));
        check(CONTINUATION, 0, 100, control(HTTP2_CONTROL_FRAMES));
        check(WINDOW_UPDATE, 0, 4, control(HTTP2_CONTROL_FRAMES));
        check(0x77, 0, 0, control(HTTP2_CONTROL_FRAMES));
        check(DATA, 0, 0, control(HTTP2_CONTROL_FRAMES));
        check(SETTINGS, 0, 6, control(HTTP2_CONTROL_FRAMES / HTTP2_SETTINGS_WEIGHT));
        check(SETTINGS, ACK, 0, control(HTTP2_CONTROL_FRAMES));
        check(RST_STREAM, 0, 4, Some((HTTP2_RESETS, Flood::Resets)));
        check(HEADERS, 5, 20, None);
        check(DATA, 0, 1, None);
        check(DATA, END_STREAM, 0, None);
    }

    #[test]
    fn budgets_fill_up_again() {
        let now = Instant::now();
        let watch = Watch::new(now, 100);
        let pings = frame(PING, 0, 8).repeat(HTTP2_CONTROL_FRAMES as usize);
        watch.came(&[&[0; PREFACE_BYTES], &pings[..]].concat(), now).unwrap();
        let later = now + Duration::from_secs(1);
        let more = frame(PING, 0, 8).repeat(HTTP2_CONTROL_FRAMES_PER_SECOND as usize);
        assert_eq!(watch.came(&more, later), Ok(()));
        assert_eq!(watch.came(&frame(PING, 0, 8), later), Err(Flood::ControlFrames));
    }

    #[test]
    fn answers_entitle_to_updates_and_resets() {
        let now = Instant::now();
        let watch = Watch::new(now, 100);
        let lane = Lane::new(200);
        watch.came(&[0; PREFACE_BYTES], now).unwrap();
        let rounds = 4 * HTTP2_CONTROL_FRAMES;
        for _ in 0..rounds {
            watch.went(&frame(HEADERS, 4, 50), &lane);
            watch.went(&frame(DATA, 0, 100), &lane);
            let updates = frame(WINDOW_UPDATE, 0, 4).repeat(HTTP2_FREE_FOR_A_FRAME as usize);
            assert_eq!(watch.came(&updates, now), Ok(()));
            assert_eq!(watch.came(&frame(RST_STREAM, 0, 4), now), Ok(()));
        }
        // Data that trickles entitles to nothing.
        let trickles = (0..rounds).find_map(|_| {
            watch.went(&frame(DATA, 0, 1), &lane);
            let updates = frame(WINDOW_UPDATE, 0, 4).repeat(8);
            watch.came(&updates, now).err()
        });
        assert_eq!(trickles, Some(Flood::ControlFrames));
    }

    #[test]
    fn errors_are_told_once() {
        let watch = Watch::new(Instant::now(), 100);
        let lane = Lane::new(200);
        watch.went(&[0, 0, 4, RST_STREAM, 0, 0, 0, 0, 1, 0, 0, 0, 7], &lane);
        watch.went(&[0, 0, 8, GOAWAY, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 11], &lane);
        watch.went(&[0, 0, 8, GOAWAY, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0], &lane);
        assert_eq!(watch.take_errors(), [SentError::Stream(7), SentError::Connection(11)]);
        assert_eq!(watch.take_errors(), []);
    }
}

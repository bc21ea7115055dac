//! What the tasks of one thread share: the program, the clock, the recorder and the log of
//! requests.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::clock::Turn;
use super::ending::Ending;
use super::http2::{Trunk, Trunks};
use super::options::Share;
use super::owed::{Ledger, Place, owed};
use super::program::Program;
use super::recorder::{Ended, LabelId, Recorder};
use super::sample_log::{Said, SampleLog, Who};
use super::seen::Seen;
use super::shared::Shared;
use super::sse::Scratch;
use super::wire::{Connection, WireError};
use crate::net::{self, Stream};
use crate::result::NOT_SENT;
use crate::user::Counter;

/// What the tasks of one thread share.
pub(crate) struct Core {
    /// Which thread, and of how many of its kind in this process.
    pub(crate) thread: Part,
    /// The same among all workers of a distributed run.
    pub(crate) part: Part,
    /// This worker among all.
    pub(crate) worker: Part,
    pub(crate) program: Arc<Program>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) turn: Turn,
    pub(crate) recorder: RefCell<Recorder>,
    pub(crate) log: Option<RefCell<SampleLog>>,
    /// By stream and source: what was published.
    pub(crate) published: RefCell<Book>,
    /// The next number of each source on each stream, when nobody follows any: nothing else is
    /// kept then, because every request looks it up.
    pub(crate) numbers: RefCell<foldhash::HashMap<(u32, u32), u32>>,
    /// Readers that have not left, each under a number of its own.
    pub(crate) following: RefCell<HashMap<u64, Following>>,
    pub(crate) next_reader: Cell<u64>,
    /// What became of each reader.
    pub(crate) readers: RefCell<Vec<ReaderEnd>>,
    pub(crate) setup: RefCell<HashMap<usize, crate::result::Times>>,
    /// What live readers do is under it.
    pub(crate) ending: Ending,
    /// For one receive after the other.
    pub(crate) scratch: RefCell<Scratch>,
    /// Connections of HTTP/2.
    pub(crate) trunks: Trunks,
    pub(crate) counter: RefCell<Counter>,
    pub(crate) groups: RefCell<Vec<GroupCount>>,
    /// Tasks that have not ended.
    pub(crate) tasks: Cell<u32>,
    pub(crate) connections: Cell<usize>,
    /// The most connections that this process will have, which decides about source addresses.
    pub(crate) most_connections: usize,
    pub(crate) server: RefCell<Option<String>>,
    /// Why this thread cannot make its load.
    pub(crate) failed: RefCell<Option<io::Error>>,
}

/// One of several equal parts of what is numbered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Part {
    pub(crate) index: u32,
    pub(crate) of: u32,
}

impl Part {
    /// A worker among all.
    pub(crate) fn of_share(share: Share) -> Part {
        Part { index: share.index, of: share.of.max(1) }
    }

    /// Whether a number belongs to it: each belongs to one part.
    pub(crate) fn has(self, number: u64) -> bool {
        number % u64::from(self.of) == u64::from(self.index)
    }

    /// How many of the first numbers belong to it.
    pub(crate) fn share(self, count: u64) -> u64 {
        (count + u64::from(self.of - 1 - self.index)) / u64::from(self.of)
    }

    /// This part of that part.
    pub(crate) fn within(self, outer: Part) -> Part {
        Part { index: outer.index * self.of + self.index, of: outer.of * self.of }
    }
}

/// Iterations of a group on one thread.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct GroupCount {
    pub(crate) started: u64,
    /// That had to wait, because as many as may be were under way.
    pub(crate) waited: u64,
    /// That never began, because as many as may be were under way until the end.
    pub(crate) not_sent: u64,
    /// A data set had no more rows, so the group ended early.
    pub(crate) ran_out: bool,
    /// An operation of it failed, and its plan ends the run then.
    pub(crate) stopped: bool,
    pub(crate) users: u32,
    pub(crate) first_ns: u64,
    pub(crate) last_ns: u64,
}

impl GroupCount {
    fn lasts_until(&mut self, at_ns: u64) {
        if self.started + self.not_sent == 1 {
            self.first_ns = at_ns;
        }
        self.last_ns = self.last_ns.max(at_ns);
    }
}

/// By stream and source: what was published.
pub(crate) type Book = foldhash::HashMap<(u32, u32), Published>;

/// Messages of one source on one stream.
#[derive(Clone, Default, Debug)]
pub(crate) struct Published {
    /// One above the highest sequence number that was sent.
    pub(crate) sent: u32,
    /// The first one that is measured.
    pub(crate) first_measured: Option<u32>,
    /// Sequence numbers that were not acknowledged: nobody may expect them.
    pub(crate) refused: Vec<u32>,
    /// Some of the sequence numbers and when they were due, in order: what late readers may expect.
    marks: Vec<(u32, u64)>,
    /// At least between two of them.
    gap_ns: u64,
}

/// Of one source on one stream. When there are more, every second one goes.
const MAX_MARKS: usize = 256;

impl Published {
    /// Counts a message; its number.
    pub(crate) fn add(&mut self, intended_ns: u64, measured: bool) -> u32 {
        let sequence = self.sent;
        self.sent += 1;
        if measured && self.first_measured.is_none() {
            self.first_measured = Some(sequence);
        }
        let last = self.marks.last().map(|mark| mark.1);
        if last.is_none_or(|last| intended_ns > last.saturating_add(self.gap_ns)) {
            self.marks.push((sequence, intended_ns));
        }
        if self.marks.len() > MAX_MARKS {
            let mut keep = false;
            self.marks.retain(|_| {
                keep = !keep;
                keep
            });
            self.gap_ns = (self.gap_ns * 2).max(MIN_GAP_NS);
        }
        sequence
    }

    /// A number from which on all messages were due after `at_ns`: the first, or one soon
    /// after it.
    pub(crate) fn first_due(&self, at_ns: u64) -> Option<u32> {
        let at = self.marks.partition_point(|mark| mark.1 <= at_ns);
        self.marks.get(at).map(|mark| mark.0)
    }
}

const MIN_GAP_NS: u64 = 10_000_000;

/// A reader at its end.
#[derive(Clone, Debug)]
pub(crate) struct ReaderEnd {
    pub(crate) label: usize,
    pub(crate) stream: u32,
    pub(crate) number: u32,
    /// It followed the stream before the first message.
    pub(crate) from_begin: bool,
    /// It stayed until the end of the run.
    pub(crate) to_end: bool,
    pub(crate) seen: Seen,
}

impl ReaderEnd {
    pub(crate) fn place(&self) -> Place {
        Place { from_begin: self.from_begin, to_end: self.to_end }
    }
}

/// A reader that has not left.
#[derive(Debug)]
pub(crate) struct Following {
    pub(crate) stream: u32,
    pub(crate) place: Place,
    pub(crate) seen: Rc<RefCell<Seen>>,
}

impl Following {
    /// Whether it has all that it should have.
    fn is_whole(&self, ledger: &Ledger) -> bool {
        let published = ledger.get(&self.stream);
        let seen = self.seen.borrow();
        published
            .into_iter()
            .flatten()
            .all(|(source, published)| owed(&seen, self.place, *source, published).is_empty())
    }
}

impl Core {
    /// Returns when the connect rate allows another connection.
    pub(crate) async fn connect_slot(&self) {
        self.shared.clock.sleep_until(self.shared.connect_slot()).await;
    }

    /// A new connection, when the connect rate allows it, and how long it took.
    pub(crate) async fn connect(&self) -> Result<(Stream, u64), WireError> {
        self.connect_slot().await;
        self.connect_now().await
    }

    /// A new connection, and how long it took.
    async fn connect_now(&self) -> Result<(Stream, u64), WireError> {
        let clock = self.shared.clock;
        let index = self.connections.get() * self.thread.of as usize + self.thread.index as usize;
        self.connections.set(self.connections.get() + 1);
        let before = clock.now_ns();
        let connecting = net::connect(&self.program.target, index, self.most_connections);
        let timeout = self.program.plan.timeout;
        let stream = match monoio::time::timeout(timeout, connecting).await {
            Ok(stream) => stream.map_err(WireError::Connect)?,
            Err(_) => return Err(WireError::Connect(io::ErrorKind::TimedOut.into())),
        };
        Ok((stream, clock.now_ns() - before))
    }

    pub(crate) async fn open(&self) -> Result<(Connection, u64), WireError> {
        self.connect_slot().await;
        self.open_now().await
    }

    /// The same for who has waited for the connect rate already.
    pub(crate) async fn open_now(&self) -> Result<(Connection, u64), WireError> {
        if self.program.plan.transport.http2 {
            let (trunk, took) = self.open_trunk(1).await?;
            return Ok((Connection::over(trunk), took));
        }
        let (stream, took) = self.connect_now().await?;
        Ok((Connection::new(stream), took))
    }

    /// A new connection that speaks HTTP/2, for so many requests at once, and how long it took.
    pub(crate) async fn open_trunk(&self, streams: u32) -> Result<(Rc<Trunk>, u64), WireError> {
        let (stream, took) = self.connect_now().await?;
        let (clock, timeout) = (self.shared.clock, self.program.plan.timeout);
        let scheme = self.program.target.scheme();
        let opening = Trunk::open(stream, clock, &self.trunks.line, scheme, streams);
        let opened = monoio::time::timeout(timeout, opening).await;
        let trunk = opened.unwrap_or(Err(WireError::Timeout(timeout)))?;
        self.trunks.add(&trunk);
        Ok((trunk, took))
    }

    /// Counts a message that is about to be sent.
    pub(crate) fn publish(&self, stream: u32, source: u32, intended_ns: u64) -> u32 {
        if !self.program.has_readers {
            let mut numbers = self.numbers.borrow_mut();
            let next = numbers.entry((stream, source)).or_default();
            *next += 1;
            return *next - 1;
        }
        let measured = self.recorder.borrow().is_measured(intended_ns);
        let mut published = self.published.borrow_mut();
        self.shared.published.fetch_add(1, Relaxed);
        published.entry((stream, source)).or_default().add(intended_ns, measured)
    }

    /// Counts a message that the server did not acknowledge.
    pub(crate) fn refuse(&self, stream: u32, source: u32, sequence: u32) {
        if let Some(entry) = self.published.borrow_mut().get_mut(&(stream, source)) {
            entry.refused.push(sequence);
        }
    }

    /// Takes note of a reader; its number, and what it has seen.
    pub(crate) fn follow(&self, stream: u32, place: Place) -> (u64, Rc<RefCell<Seen>>) {
        let id = self.next_reader.get();
        self.next_reader.set(id + 1);
        let seen = Rc::default();
        let following = Following { stream, place, seen: Rc::clone(&seen) };
        self.following.borrow_mut().insert(id, following);
        (id, seen)
    }

    /// Whether all readers of this thread have all that they should have.
    pub(crate) fn are_readers_whole(&self, ledger: &Ledger) -> bool {
        self.following.borrow().values().all(|reader| reader.is_whole(ledger))
    }

    /// Ends the run with an error: this thread cannot make its load.
    pub(crate) fn fail(&self, error: io::Error) {
        self.failed.borrow_mut().get_or_insert(error);
        self.shared.stop_by_itself();
    }

    /// Ends the run because an operation of a group failed.
    pub(crate) fn stop_run(&self, group: u32) {
        self.groups.borrow_mut()[group as usize].stopped = true;
        self.shared.stop_by_itself();
    }

    /// Counts an iteration that is due at `intended_ns`, or starts at it.
    pub(crate) fn count(&self, group: u32, intended_ns: u64) {
        if self.recorder.borrow().is_measured(intended_ns) {
            let group = &mut self.groups.borrow_mut()[group as usize];
            let now_ns = self.shared.clock.now_ns();
            group.started += 1;
            group.lasts_until(now_ns);
        }
    }

    /// Counts an iteration that never began, because too much was under way until the end. Its
    /// first operation has failed: who asked for it would still be waiting.
    pub(crate) fn not_sent(&self, who: Who, label: Option<LabelId>, intended_ns: u64) {
        if !self.recorder.borrow().is_measured(intended_ns) {
            return;
        }
        {
            let group = &mut self.groups.borrow_mut()[who.group as usize];
            group.not_sent += 1;
            group.lasts_until(intended_ns);
        }
        let Some(label) = label else { return };
        let ended_ns = self.shared.clock.now_ns().max(intended_ns);
        let ended = Ended {
            label,
            intended_ns,
            sent_ns: intended_ns,
            first_byte_ns: ended_ns,
            ended_ns,
            connect_ns: None,
            bytes_sent: 0,
            bytes_received: 0,
        };
        let (kind, text) = (NOT_SENT, "max_in_flight were under way until the end");
        self.recorder.borrow_mut().ended(&ended, Some((kind, text)));
        let path = || self.program.target.path.clone();
        self.log(who, &ended, Said::nothing(kind, text), Some(text), path);
    }

    /// Counts an iteration that has to wait for others to end.
    pub(crate) fn count_waiting(&self, group: u32, intended_ns: u64) {
        if self.recorder.borrow().is_measured(intended_ns) {
            self.groups.borrow_mut()[group as usize].waited += 1;
        }
    }

    /// The most users of a group at the same time.
    pub(crate) fn count_users(&self, group: u32, users: u32) {
        let group = &mut self.groups.borrow_mut()[group as usize];
        group.users = group.users.max(users);
    }

    /// Live readers of a group: each is a user with one iteration, which lasts as long as it does.
    pub(crate) fn count_readers(&self, group: u32, readers: u32) {
        let group = &mut self.groups.borrow_mut()[group as usize];
        (group.users, group.started) = (readers, u64::from(readers));
    }

    /// Keeps count of a task; dropped when it ends.
    pub(crate) fn task(self: &Rc<Self>) -> Task {
        self.tasks.set(self.tasks.get() + 1);
        Task(Rc::clone(self))
    }
}

/// A task that has not ended.
pub(crate) struct Task(Rc<Core>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.tasks.set(self.0.tasks.get() - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_few_and_tell_what_was_due() {
        const MS: u64 = 1_000_000;
        let mut published = Published::default();
        for at in 0..100_000 {
            assert_eq!(published.add(u64::from(at) * MS, true), at);
        }
        assert!(published.marks.len() <= MAX_MARKS);
        for at_ms in [0, 1, 777, 50_000, 98_000] {
            let first = u64::from(published.first_due(at_ms * MS).unwrap());
            assert!((at_ms..at_ms + 1500).contains(&first), "{first} is due at {at_ms} ms");
        }
        assert_eq!(published.first_due(100_000 * MS), None);
    }

    #[test]
    fn each_number_belongs_to_one_part() {
        let (workers, threads) = (3, 2);
        let parts: Vec<Part> = (0..workers)
            .flat_map(|worker| {
                let outer = Part { index: worker, of: workers };
                (0..threads).map(move |index| Part { index, of: threads }.within(outer))
            })
            .collect();
        for count in [0, 1, 5, 6, 7, 100] {
            let of: Vec<u64> = parts
                .iter()
                .map(|part| (0..count).filter(|number| part.has(*number)).count() as u64)
                .collect();
            assert_eq!(of.iter().sum::<u64>(), count);
            assert_eq!(of, parts.iter().map(|part| part.share(count)).collect::<Vec<_>>());
        }
    }
}

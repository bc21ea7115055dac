//! One writer: a random mix of everything that changes streams, until the server is gone.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::history::Log;
use crate::support::{BASE, Client, Request, Response};

/// A path and what the writer knows of it.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) path: String,
    pub(super) json: bool,
    pub(super) state: State,
    /// How often something was created here.
    pub(super) incarnation: u32,
    /// Forks may hold on to the stream, and then its path stays taken after a deletion.
    pub(super) was_forked: bool,
}

#[derive(Debug)]
pub(super) enum State {
    Absent,
    /// Certainly there.
    Open(Log),
    /// A creation was on its way: there, or absent.
    Creating(Log, Request),
    /// A deletion was on its way: there, or absent.
    Deleting(Log),
}

/// What a writer owns.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) name: String,
    pub(super) slots: Vec<Slot>,
    /// What this writer appends to streams that all writers share. Nobody creates, closes or
    /// deletes those during the load, and their tokens count what the others append too.
    pub(super) shared: Vec<Log>,
    pub(super) counts: Counts,
    /// The appends of all writers in this round.
    pub(super) acknowledged: Arc<AtomicU64>,
    /// How many of a hundred records are large.
    pub(super) large_percent: u32,
    /// What should not have happened.
    pub(super) fault: Option<String>,
}

/// What happened, for the summary.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Counts {
    pub(super) appends: u64,
    pub(super) creates: u64,
    pub(super) closes: u64,
    pub(super) deletes: u64,
    pub(super) forks: u64,
}

/// Appends sent before their answers are read.
const MAX_PIPELINED: usize = 16;

impl Slot {
    pub(super) fn new(path: String, json: bool) -> Slot {
        Slot { path, json, state: State::Absent, incarnation: 0, was_forked: false }
    }

    pub(super) fn open(&mut self) -> Option<&mut Log> {
        match &mut self.state {
            State::Open(log) => Some(log),
            _ => None,
        }
    }

    /// The tag of the next incarnation. A path that forks may hold is given up.
    fn renew(&mut self) -> String {
        self.incarnation += 1;
        if std::mem::take(&mut self.was_forked) {
            self.path = format!("{}x", self.path);
        }
        format!("{}:{}", self.path, self.incarnation)
    }
}

/// The connection is gone, or the server says that it is stopping.
struct Gone;

impl Writer {
    /// Writes until the server is gone.
    pub(super) fn run(mut self, address: SocketAddr, seed: u64) -> Writer {
        let mut random = StdRng::seed_from_u64(seed);
        let mut client = Client::connect(address);
        while self.fault.is_none() && self.step(&mut client, &mut random).is_ok() {}
        self
    }

    fn step(&mut self, client: &mut Client, random: &mut StdRng) -> Result<(), Gone> {
        let at = random.random_range(0..self.slots.len());
        match &self.slots[at].state {
            State::Absent => self.create(client, random, at),
            State::Open(log) if log.closed.is_some() && random.random_bool(0.3) => {
                self.delete(client, at)
            }
            State::Open(_) => match random.random_range(0..100) {
                0..3 => self.delete(client, at),
                3..7 => self.close(client, random, at),
                7..12 => self.fork(client, random, at),
                _ => self.burst(client, random),
            },
            // Only what is left of the previous round, and that was settled after it.
            State::Creating(..) | State::Deleting(_) => unreachable!("settled"),
        }
    }

    fn create(&mut self, client: &mut Client, random: &mut StdRng, at: usize) -> Result<(), Gone> {
        let slot = &mut self.slots[at];
        let tag = slot.renew();
        let mut log = Log::new(&slot.path, slot.json, tag);
        let mut request = Request::put(&slot.path).with("content-type", log.content_type());
        if random.random_bool(0.5) {
            log.frames = log.new_frames(2, 30);
            request = request.body(log.body(&log.frames));
        }
        slot.state = State::Creating(log, request.clone());
        let response = exchange(client, &request, "PUT")?;
        self.created(at, &response);
        Ok(())
    }

    /// The answer to the creation under way in a slot.
    fn created(&mut self, at: usize, response: &Response) {
        let state = std::mem::replace(&mut self.slots[at].state, State::Absent);
        let State::Creating(mut log, request) = state else { unreachable!("just set") };
        if response.status != 201 {
            self.fault = Some(format!("{request:?} was answered with {response:?}"));
            return;
        }
        self.counts.creates += 1;
        log.marks.push((response.next_offset().to_owned(), log.frames.len()));
        self.slots[at].state = State::Open(log);
    }

    fn delete(&mut self, client: &mut Client, at: usize) -> Result<(), Gone> {
        let slot = &mut self.slots[at];
        let state = std::mem::replace(&mut slot.state, State::Absent);
        let State::Open(log) = state else { unreachable!("checked by the caller") };
        slot.state = State::Deleting(log);
        let response = exchange(client, &Request::delete(&slot.path), "DELETE")?;
        if response.status == 204 {
            slot.state = State::Absent;
            self.counts.deletes += 1;
        } else {
            self.fault = Some(format!("DELETE {} was answered with {response:?}", slot.path));
        }
        Ok(())
    }

    fn close(&mut self, client: &mut Client, random: &mut StdRng, at: usize) -> Result<(), Gone> {
        let Some(log) = self.slots[at].open().filter(|log| log.closed.is_none()) else {
            return Ok(());
        };
        let with_data = random.random_bool(0.5);
        let frames = if with_data { log.new_frames(1, 50) } else { Vec::new() };
        let request = log.launch(frames, random.random_bool(0.5), true);
        let response = exchange(client, &request, "POST")?;
        match log.acknowledge(&response) {
            Ok(()) => self.counts.closes += 1,
            Err(fault) => self.fault = Some(fault),
        }
        Ok(())
    }

    fn fork(&mut self, client: &mut Client, random: &mut StdRng, at: usize) -> Result<(), Gone> {
        let free = self.slots.iter().position(|slot| matches!(slot.state, State::Absent));
        let Some(free) = free else { return Ok(()) };
        let tag = self.slots[free].renew();
        let path = self.slots[free].path.clone();
        let Some(source) = self.slots[at].open().filter(|log| log.closed.is_none()) else {
            return Ok(());
        };
        if source.marks.is_empty() {
            return Ok(());
        }
        let mark = random.random_range(0..source.marks.len());
        let log = source.fork(&path, tag, mark);
        let request = Request::put(&path)
            .with("content-type", log.content_type())
            .with("stream-forked-from", format!("{BASE}/{}", source.path))
            .with("stream-fork-offset", &source.marks[mark].0);
        self.slots[at].was_forked = true;
        self.slots[free].json = log.json;
        self.slots[free].state = State::Creating(log, request.clone());
        let response = exchange(client, &request, "PUT")?;
        self.created(free, &response);
        self.counts.forks += 1;
        Ok(())
    }

    /// Appends to a few streams, sent at once, then the answers.
    fn burst(&mut self, client: &mut Client, random: &mut StdRng) -> Result<(), Gone> {
        let count = if random.random_bool(0.3) { 1 } else { random.random_range(2..MAX_PIPELINED) };
        let large_percent = self.large_percent;
        let mut targets = VecDeque::new();
        let mut bytes = Vec::new();
        for _ in 0..count {
            let target = random.random_range(0..self.slots.len() + self.shared.len());
            let Some(log) = self.log(target).filter(|log| log.closed.is_none()) else { continue };
            if log.flight.is_empty() && random.random_bool(0.02) {
                log.next_epoch();
            }
            let size = if log.json { random.random_range(1..5) } else { 1 };
            let padding = match random.random_range(0..100) {
                percent if percent < large_percent => 20_000,
                _ => random.random_range(0..200),
            };
            let frames = log.new_frames(size, padding);
            bytes.extend(log.launch(frames, random.random_bool(0.6), false).encode());
            targets.push_back(target);
        }
        if !client.try_send(&bytes) {
            return Err(Gone);
        }
        while let Some(target) = targets.pop_front() {
            let response = answer(client, "POST")?;
            let Some(log) = self.log(target) else { unreachable!("it was there") };
            match log.acknowledge(&response) {
                Ok(()) => {
                    self.counts.appends += 1;
                    self.acknowledged.fetch_add(1, Ordering::Relaxed);
                }
                Err(fault) => self.fault = Some(fault),
            }
        }
        Ok(())
    }

    fn log(&mut self, target: usize) -> Option<&mut Log> {
        match target.checked_sub(self.slots.len()) {
            Some(shared) => self.shared.get_mut(shared),
            None => self.slots[target].open(),
        }
    }
}

fn exchange(client: &mut Client, request: &Request, method: &str) -> Result<Response, Gone> {
    match client.try_send(request.encode()) {
        true => answer(client, method),
        false => Err(Gone),
    }
}

/// 503 is what a stopping server says; whatever it answers, it may have stored or not.
fn answer(client: &mut Client, method: &str) -> Result<Response, Gone> {
    match client.try_answer_to(method) {
        Ok(Some(response)) if response.status != 503 => Ok(response),
        _ => Err(Gone),
    }
}

//! What the server has promised so far, and whether what it says now agrees with it.
//!
//! The model never decides what the server should do next. It remembers facts: bytes that were
//! seen at an offset, appends that were acknowledged, streams that were said to be gone, and
//! compares every answer with them. Invariant: a fact stays a fact over every restart.
//!
//! An offset names the incarnation of its stream and an entity tag does too, so an answer says by
//! itself which stream it is about, whoever else was at work on the path.

mod audit;
mod facts;
mod judge;
mod message;
mod path;

use std::collections::BTreeMap;

pub(crate) use facts::{Append, AppendState, Stream};
pub(crate) use judge::Tolerance;
pub(crate) use message::{Content, body_of};
pub(crate) use path::{CreateWish, PathState};

/// The first page of a stream.
pub(crate) struct Page {
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// It ends where the stream does.
    pub(crate) up_to_date: bool,
}

/// A broken promise.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// The invariant, as docs/architecture and DESIGN number it.
    pub invariant: &'static str,
    /// What was seen.
    pub what: String,
}

/// See the module.
pub(crate) struct Model {
    pub(crate) streams: BTreeMap<u64, Stream>,
    pub(crate) paths: Vec<PathState>,
    pub(crate) appends: Vec<Append>,
    /// Steps of the run: what was sent before something happened need not know of it.
    pub(crate) now: u64,
    /// The wall clock.
    pub(crate) wall_ms: u64,
    /// It never jumps.
    pub(crate) steady: bool,
    /// How often the server was started.
    pub(crate) life: u64,
    pub(crate) violation: Option<Violation>,
    pub(crate) checked: Checked,
}

/// How much was checked, for the summary.
#[derive(Clone, Copy, Default, Debug)]
pub struct Checked {
    /// Acknowledged appends.
    pub acknowledged: u64,
    /// Repeated appends that were recognized.
    pub repeated: u64,
    /// Bytes that were read and compared.
    pub bytes: u64,
    /// Streams read from end to end.
    pub audits: u64,
}

impl Model {
    pub(crate) fn new(paths: Vec<PathState>) -> Model {
        Model {
            streams: BTreeMap::new(),
            paths,
            appends: Vec::new(),
            now: 0,
            wall_ms: 0,
            steady: false,
            life: 0,
            violation: None,
            checked: Checked::default(),
        }
    }

    /// Notes a broken promise; the first one counts.
    pub(crate) fn broken(&mut self, invariant: &'static str, what: String) {
        if self.violation.is_none() {
            self.violation = Some(Violation { invariant, what });
        }
    }

    /// Everything said so far may have been taken back: an asynchronous server lost power. What
    /// comes now happens at new paths.
    pub(crate) fn start_over(&mut self) {
        self.streams.clear();
        for path in &mut self.paths {
            path.start_over();
        }
        for append in &mut self.appends {
            append.state = AppendState::Forgotten;
        }
    }

    /// A stream, noted when it is first heard of.
    pub(crate) fn stream(&mut self, id: u64, path: usize) -> &mut Stream {
        let wish = self.paths[path].wish.clone();
        let source = wish.as_ref().and_then(|wish| wish.fork);
        let inherited = source.and_then(|(source, point)| {
            self.streams.get(&source).map(|source| source.content.first(point))
        });
        let source_trims = source
            .and_then(|(source, _)| self.streams.get(&source))
            .is_some_and(|source| source.trims);
        let keep_bytes = wish.as_ref().and_then(|wish| wish.keep_bytes);
        let ages = wish.as_ref().is_some_and(|wish| wish.keep_seconds.is_some());
        let state = &mut self.paths[path];
        if state.known != Some(id) && !state.past.contains(&id) {
            state.past.extend(state.known.replace(id));
        }
        let json = state.json;
        self.streams.entry(id).or_insert_with(|| Stream {
            path,
            json,
            start: source.map_or(0, |(_, point)| point),
            content: inherited.unwrap_or_default(),
            earliest: 0,
            trims: keep_bytes.is_some() || ages || source_trims,
            keep_bytes: keep_bytes.filter(|_| !ages),
            min_tail: 0,
            closed_at: None,
            close_sent: false,
            gone: None,
        })
    }

    /// A stream was heard of in answer to something that was sent at step `sent`. False if nothing
    /// can be made of it: it is gone by now, and this is the first that is heard of it.
    pub(crate) fn heard_of(&mut self, id: u64, path: usize, sent: u64) -> bool {
        if sent <= self.paths[path].known_since && !self.streams.contains_key(&id) {
            return false;
        }
        if self.paths[path].past.contains(&id) && self.paths[path].known_since < sent {
            let name = self.paths[path].name();
            self.broken("I6", format!("stream {id} is back at {name}, which has a successor"));
        }
        let state = &self.paths[path];
        let name = state.name();
        let is_stable = state.stable_since.is_some_and(|since| since < sent);
        if let Some(known) = state.known.filter(|known| is_stable && *known != id) {
            self.broken("I3", format!("stream {id} is at {name} instead of stream {known}"));
        }
        let stream = self.stream(id, path);
        if stream.path != path {
            let what = format!("stream {id} answers at {name} and at path {}", stream.path);
            self.broken("I3", what);
            return false;
        }
        if stream.gone.is_some_and(|gone| gone < sent) {
            self.broken("I6", format!("stream {id} at {name} was gone and is back"));
        }
        true
    }

    /// The beginning of a stream was asked for when it was `known`, and a page shows where it is.
    pub(crate) fn begins_at(&mut self, id: u64, path: usize, known: u64, page: &Page) {
        let Page { start, end, up_to_date } = *page;
        let name = self.paths[path].name();
        let maybe = if up_to_date { 0 } else { self.maybe_stored(path) };
        let stream = self.stream(id, path);
        let (before, trims) = (stream.earliest, stream.trims);
        // Appends that nobody acknowledged count as well.
        let tail = stream.min_tail.max(end) + maybe;
        let keeps_less = stream.keep_bytes.is_some_and(|keep| tail.saturating_sub(start) < keep);
        stream.earliest = before.max(start);
        if start < known {
            let what = format!("stream {id} at {name} began at {known}, and begins at {start}");
            self.broken("I6", what);
        } else if start > before && (!trims || keeps_less) {
            let what = format!("stream {id} at {name} begins at {start} and should keep more");
            self.broken("I1", what);
        }
    }

    /// Bytes of appends to a path that may be stored and of which nothing is known.
    fn maybe_stored(&self, path: usize) -> u64 {
        let unknown =
            |append: &&Append| append.path == path && append.state == AppendState::Unknown;
        self.appends.iter().filter(unknown).map(|append| append.stored.len() as u64).sum()
    }

    /// Where a stream begins, as far as is known: what is asked from now on may not see less.
    pub(crate) fn beginning(&self, path: usize) -> Option<(u64, u64)> {
        let id = self.paths[path].known?;
        Some((id, self.streams.get(&id)?.earliest))
    }

    /// Bytes of a stream were shown.
    pub(crate) fn shown(&mut self, id: u64, path: usize, start: u64, bytes: &[u8]) {
        self.checked.bytes += bytes.len() as u64;
        let stream = self.stream(id, path);
        let end = start + bytes.len() as u64;
        stream.min_tail = stream.min_tail.max(end);
        let (own, closed_at) = (stream.start, stream.closed_at);
        let conflict = stream.content.merge(start, bytes);
        let name = self.paths[path].name();
        if let Some(at) = conflict {
            let invariant = if at < own { "I7" } else { "I8" };
            let what = format!("stream {id} at {name} has other bytes at {at} than before");
            self.broken(invariant, what);
        }
        if closed_at.is_some_and(|closed| end > closed) {
            let what = format!("stream {id} at {name} was closed at {closed_at:?} and has {end}");
            self.broken("I4", what);
        }
    }

    /// A tail was told, in answer to a question that was asked when `floor` was known.
    pub(crate) fn told_tail(&mut self, id: u64, path: usize, tail: u64, floor: u64, closed: bool) {
        let name = self.paths[path].name();
        if tail < floor {
            let what = format!("stream {id} at {name} ends at {tail}, and had {floor} before");
            self.broken("I1", what);
        }
        let stream = self.stream(id, path);
        stream.min_tail = stream.min_tail.max(tail);
        match stream.closed_at {
            Some(at) if at != tail && closed => {
                let what = format!("stream {id} at {name} was closed at {at}, now at {tail}");
                self.broken("I4", what);
            }
            None if closed => {
                stream.closed_at = Some(tail);
                let asked = stream.close_sent || self.paths[path].close_sent;
                if !asked {
                    let what = format!("stream {id} at {name} is closed, and nobody closed it");
                    self.broken("I4", what);
                }
            }
            _ => {}
        }
    }

    /// The stream of a path was not there for something that was sent at step `sent`.
    pub(crate) fn missing(&mut self, path: usize, sent: u64) {
        let state = &self.paths[path];
        if state.stable_since.is_some_and(|since| since < sent) {
            let what = format!("nothing is at {} although it was created", state.name());
            return self.broken("I1", what);
        }
        let expires = state.wish.as_ref().is_some_and(|wish| wish.ttl.is_some());
        if expires && state.created_at.is_some_and(|at| at < sent) && !state.creating {
            self.check_age(path);
            self.gone(path);
        }
    }

    /// A stream that is not there any more must have had its time.
    fn check_age(&mut self, path: usize) {
        let state = &self.paths[path];
        let ttl_ms = state.wish.as_ref().and_then(|wish| wish.ttl).unwrap_or(0) * 1000;
        let lived_ms = self.wall_ms.saturating_sub(state.accessed_ms);
        if self.steady && state.deleting == 0 && !state.access_lost && lived_ms < ttl_ms {
            let name = state.name();
            let what = format!("{name} is gone {lived_ms} ms after an access, not {ttl_ms} ms");
            self.broken("I1", what);
        }
    }

    /// The stream of a path was written or read.
    pub(crate) fn accessed(&mut self, path: usize, wall_ms: u64) {
        let state = &mut self.paths[path];
        state.accessed_ms = state.accessed_ms.max(wall_ms);
        state.access_lost = false;
    }

    /// The server ended before its log had the newest accesses of a stream.
    pub(crate) fn access_lost(&mut self, id: u64) {
        let found = self.paths.iter_mut().find(|path| path.known == Some(id));
        if let Some(path) = found {
            path.access_lost = true;
        }
    }

    /// The stream of a path is gone for good.
    pub(crate) fn gone(&mut self, path: usize) {
        let now = self.now;
        let state = &mut self.paths[path];
        state.stable_since = None;
        state.created_at = None;
        state.deleting = 0;
        state.access_lost = false;
        let close_sent = std::mem::take(&mut state.close_sent);
        state.known_since = now;
        if let Some(id) = state.known.take() {
            state.past.push(id);
            if let Some(stream) = self.streams.get_mut(&id) {
                stream.gone.get_or_insert(now);
                stream.close_sent |= close_sent;
            }
        }
    }
}

//! The state of one stream and the only code that changes it.

use std::ops::Range;

use super::config::{Expiry, StreamConfig};
use super::producer::Producers;
use super::record::{ProducerMark, Record, StreamId};
use super::retention::Ages;
use crate::offset::Offset;
use crate::path::StreamPath;
use crate::time::Timestamp;

/// Everything a server must remember about a stream, except where its bytes are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StreamState {
    /// The incarnation.
    pub id: StreamId,
    /// Where it lives.
    pub path: StreamPath,
    /// When it was created.
    pub created: Timestamp,
    /// What was fixed then.
    pub config: StreamConfig,
    /// The first position that is kept: retention moves it, never back.
    pub earliest: u64,
    /// The position after the last byte.
    pub tail: u64,
    /// How old the bytes are; only for a stream whose age is limited.
    pub ages: Option<Box<Ages>>,
    /// Set once the stream is closed; never unset.
    pub closed: Option<Closure>,
    /// The last accepted `Stream-Seq`; its scope is the stream.
    pub last_seq: Option<Box<str>>,
    /// Idempotent producers.
    pub producers: Producers,
    /// The newest read or write known to the log, for the sliding expiry.
    pub last_access: Timestamp,
    /// Whether the stream can be reached at its path.
    pub lifecycle: Lifecycle,
}

/// How a stream came to be closed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Closure {
    /// The producer triple of the closing request, if it had one.
    pub by: Option<ProducerMark>,
}

/// Whether a stream can be reached at its path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lifecycle {
    /// Yes.
    Live,
    /// Deleted, but forks read its bytes: 410 for everything.
    SoftDeleted,
}

/// Why an offset does not name a position of a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OffsetError {
    /// It belongs to an incarnation that is gone (410).
    EarlierIncarnation,
    /// It belongs to no stream that these bytes come from (400).
    ForeignEpoch,
    /// It lies after the tail, or after the fork point in the source's numbering (400).
    BeyondTail,
    /// It lies before what retention has kept (410).
    Trimmed {
        /// The first offset that is kept.
        earliest: Offset,
    },
}

impl StreamState {
    /// The state that a [`Record::Create`] brings about; `None` for other records.
    #[must_use]
    pub fn created_by(record: &Record) -> Option<StreamState> {
        let Record::Create { id, at, path, config, payload, close } = record else {
            return None;
        };
        let tail = config.start() + payload.bytes.len() as u64;
        let earliest = config.earliest();
        let mut ages = config.retention.max_age_ms().map(|_| Box::<Ages>::default());
        // Inherited bytes are as old as the fork.
        if let Some(ages) = ages.as_mut().filter(|_| tail > earliest) {
            ages.note(*at, tail);
        }
        Some(StreamState {
            id: *id,
            path: path.clone(),
            created: *at,
            earliest,
            tail,
            ages,
            config: config.clone(),
            closed: close.then(Closure::default),
            last_seq: None,
            producers: Producers::default(),
            last_access: *at,
            lifecycle: Lifecycle::Live,
        })
    }

    /// Applies a record about this stream. [`Record::Create`] and [`Record::Delete`] are about
    /// its existence and change nothing here.
    pub fn apply(&mut self, record: &Record) {
        match record {
            Record::Append { at, position, payload, producer, seq, close, .. } => {
                debug_assert_eq!(*position, self.tail, "appends are contiguous");
                self.tail = position + payload.bytes.len() as u64;
                if let Some(ages) = self.ages.as_mut().filter(|_| !payload.bytes.is_empty()) {
                    ages.note(*at, self.tail);
                }
                self.last_access = self.last_access.max(*at);
                if let Some(mark) = producer {
                    self.producers.accept(mark);
                }
                if seq.is_some() {
                    self.last_seq.clone_from(seq);
                }
                if *close {
                    self.closed = Some(Closure { by: producer.clone() });
                }
            }
            Record::SoftDelete { .. } => self.lifecycle = Lifecycle::SoftDeleted,
            Record::Touch { at, .. } => self.last_access = self.last_access.max(*at),
            Record::Trim { to, .. } => {
                self.earliest = self.earliest.max(*to);
                if let Some(ages) = &mut self.ages {
                    ages.drop_before(self.earliest);
                }
            }
            Record::Create { .. } | Record::Delete { .. } | Record::Subscription { .. } => {}
        }
    }

    /// The position of the stream's first own byte: 0, or the fork point.
    #[must_use]
    pub fn start(&self) -> u64 {
        self.config.start()
    }

    /// The token of a position. Up to the fork point it is the source's token.
    #[must_use]
    pub fn offset_at(&self, position: u64) -> Offset {
        let inherited = self.config.lineage().iter().find(|run| position <= run.end);
        let epoch = inherited.map_or(self.id.0, |run| run.id.0);
        Offset { epoch, position }
    }

    /// The token of the tail.
    #[must_use]
    pub fn tail_offset(&self) -> Offset {
        self.offset_at(self.tail)
    }

    /// Begins to remember how old the bytes are: so far, no newer than the last access.
    pub fn watch_age(&mut self) {
        let mut ages = Box::<Ages>::default();
        if self.tail > self.earliest {
            ages.note(self.last_access, self.tail);
        }
        self.ages = Some(ages);
    }

    /// The position that a token names, given the positions that can be read from, the tail among
    /// them.
    pub fn position_of(&self, offset: Offset, readable: Range<u64>) -> Result<u64, OffsetError> {
        let Range { start: earliest, end: tail } = readable;
        if offset == Offset::ZERO {
            return Ok(earliest);
        }
        let run_end = if offset.epoch == self.id.0 {
            tail
        } else {
            let run = self.config.lineage().iter().rfind(|run| run.id.0 == offset.epoch);
            match run {
                Some(run) => run.end.min(tail),
                None if offset.epoch < self.id.0 => return Err(OffsetError::EarlierIncarnation),
                None => return Err(OffsetError::ForeignEpoch),
            }
        };
        if offset.position > run_end {
            return Err(OffsetError::BeyondTail);
        }
        if offset.position < earliest {
            return Err(OffsetError::Trimmed { earliest: self.offset_at(earliest) });
        }
        Ok(offset.position)
    }

    /// When the stream expires if nobody reads or writes it any more.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        match self.config.expiry {
            Expiry::Never => None,
            Expiry::Ttl { seconds } => Some(self.last_access.plus_ms(seconds.saturating_mul(1000))),
            Expiry::At(instant) => Some(instant),
        }
    }

    /// Whether the stream has expired.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at().is_some_and(|instant| instant <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content_type::ContentType;
    use crate::stream::config::{ForkOrigin, Inherited};
    use crate::stream::record::Payload;
    use crate::stream::retention::Retention;

    fn path(text: &str) -> StreamPath {
        StreamPath::new(text).unwrap()
    }

    fn created(id: u64, lineage: Vec<Inherited>) -> StreamState {
        let fork = lineage.last().cloned().map(|last| {
            Box::new(ForkOrigin {
                source: last.path,
                source_id: last.id,
                requested_offset: None,
                sub_offset: 0,
                inherited_expiry: false,
                inherits_from: 0,
                lineage,
            })
        });
        StreamState::created_by(&Record::Create {
            id: StreamId(id),
            at: Timestamp(1000),
            path: path("s"),
            config: StreamConfig {
                content_type: ContentType::octet_stream(),
                expiry: Expiry::Ttl { seconds: 2 },
                retention: Retention { bytes: None, seconds: Some(10) },
                fork,
            },
            payload: Payload::default(),
            close: false,
        })
        .unwrap()
    }

    fn append(state: &mut StreamState, at: u64, len: usize, close: bool) {
        state.apply(&Record::Append {
            id: state.id,
            at: Timestamp(at),
            position: state.tail,
            payload: Payload { bytes: vec![0; len].into(), cuts: Vec::new() },
            producer: None,
            seq: None,
            close,
        });
    }

    #[test]
    fn appends_move_the_tail_and_the_expiry() {
        let mut state = created(7, Vec::new());
        assert!(!state.is_expired(Timestamp(2999)));
        assert!(state.is_expired(Timestamp(3000)));
        append(&mut state, 2500, 10, true);
        assert_eq!(state.tail_offset(), Offset { epoch: 7, position: 10 });
        assert!(state.closed.is_some());
        assert_eq!(state.expires_at(), Some(Timestamp(4500)));
        state.apply(&Record::Touch { id: state.id, at: Timestamp(2000) });
        assert_eq!(state.last_access, Timestamp(2500), "time never goes back");
    }

    #[test]
    fn forks_keep_the_tokens_of_what_they_inherit() {
        let lineage = vec![
            Inherited { path: path("a"), id: StreamId(3), end: 10 },
            Inherited { path: path("b"), id: StreamId(5), end: 15 },
        ];
        let mut fork = created(9, lineage);
        append(&mut fork, 1000, 5, false);
        let token = |position| fork.offset_at(position).epoch;
        assert_eq!([token(0), token(10), token(11), token(15), token(16)], [3, 3, 5, 5, 9]);
        let at = |epoch, position| fork.position_of(Offset { epoch, position }, 0..fork.tail);
        assert_eq!(at(3, 10), Ok(10));
        assert_eq!(at(3, 11), Err(OffsetError::BeyondTail));
        assert_eq!(at(5, 15), Ok(15));
        assert_eq!(at(9, 20), Ok(20));
        assert_eq!(at(9, 21), Err(OffsetError::BeyondTail));
        assert_eq!(at(8, 1), Err(OffsetError::EarlierIncarnation));
        assert_eq!(at(10, 1), Err(OffsetError::ForeignEpoch));
        assert_eq!(at(0, 0), Ok(0));
        let trimmed = |epoch, position| fork.position_of(Offset { epoch, position }, 12..fork.tail);
        let earliest = Offset { epoch: 5, position: 12 };
        assert_eq!(trimmed(3, 10), Err(OffsetError::Trimmed { earliest }));
        assert_eq!(trimmed(5, 11), Err(OffsetError::Trimmed { earliest }));
        assert_eq!(trimmed(5, 12), Ok(12));
        assert_eq!(trimmed(0, 0), Ok(12));
    }

    #[test]
    fn a_trim_moves_the_beginning_and_never_back() {
        let mut state = created(7, Vec::new());
        append(&mut state, 1000, 10, false);
        append(&mut state, 2000, 10, false);
        let trim = |state: &mut StreamState, to| {
            state.apply(&Record::Trim { id: state.id, at: Timestamp(9000), to });
            (state.earliest, state.tail, state.last_access, state.ages.as_ref().unwrap().oldest())
        };
        let access = Timestamp(2000);
        assert_eq!(trim(&mut state, 10), (10, 20, access, Some(Timestamp(2000))));
        assert_eq!(trim(&mut state, 5), (10, 20, access, Some(Timestamp(2000))));
        assert_eq!(trim(&mut state, 20), (20, 20, access, None));
        append(&mut state, 3000, 1, false);
        assert_eq!(state.ages.as_ref().unwrap().oldest(), Some(Timestamp(3000)));
        state.watch_age();
        assert_eq!(state.ages.unwrap().older_than(Timestamp(3000)), Some(21));
    }
}

//! Idempotent producers (section 5.2.1): epochs fence, sequences dedupe.

use std::collections::BTreeMap;

use super::record::ProducerMark;
use crate::limits::MAX_PRODUCERS_PER_STREAM;

/// What is known of one producer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProducerState {
    /// The newest epoch.
    pub epoch: u64,
    /// The highest accepted sequence of that epoch.
    pub last_seq: u64,
}

/// The producers of one stream. Kept as long as the stream: dedupe is as durable as the data.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Producers {
    states: BTreeMap<Box<str>, ProducerState>,
}

/// What a producer triple means for an append.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProducerVerdict {
    /// New data.
    Accept,
    /// Already stored; the highest accepted sequence goes into the answer.
    Duplicate(ProducerState),
}

/// Why a producer triple is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProducerRefusal {
    /// A newer epoch has been seen (403).
    StaleEpoch {
        /// The newer epoch.
        current: u64,
    },
    /// A new epoch must start at sequence 0 (400).
    EpochMustStartAtZero,
    /// A sequence is missing in between (409).
    Gap {
        /// The sequence that would be accepted.
        expected: u64,
    },
    /// The stream knows [`MAX_PRODUCERS_PER_STREAM`] producers (429).
    TooMany,
}

impl Producers {
    /// Judges a triple; changes nothing.
    pub fn check(&self, mark: &ProducerMark) -> Result<ProducerVerdict, ProducerRefusal> {
        let Some(state) = self.get(&mark.id) else {
            return match mark.seq {
                0 if self.len() >= MAX_PRODUCERS_PER_STREAM => Err(ProducerRefusal::TooMany),
                0 => Ok(ProducerVerdict::Accept),
                _ => Err(ProducerRefusal::Gap { expected: 0 }),
            };
        };
        if mark.epoch < state.epoch {
            return Err(ProducerRefusal::StaleEpoch { current: state.epoch });
        }
        if mark.epoch > state.epoch {
            return match mark.seq {
                0 => Ok(ProducerVerdict::Accept),
                _ => Err(ProducerRefusal::EpochMustStartAtZero),
            };
        }
        let expected = state.last_seq + 1;
        match mark.seq {
            seq if seq < expected => Ok(ProducerVerdict::Duplicate(state)),
            seq if seq == expected => Ok(ProducerVerdict::Accept),
            _ => Err(ProducerRefusal::Gap { expected }),
        }
    }

    /// Remembers an accepted triple.
    pub fn accept(&mut self, mark: &ProducerMark) {
        let state = ProducerState { epoch: mark.epoch, last_seq: mark.seq };
        self.states.insert(mark.id.clone(), state);
    }

    /// What is known of a producer.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<ProducerState> {
        self.states.get(id).copied()
    }

    /// How many producers are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.states.len()
    }

    /// Whether none is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All producers, ordered by id.
    pub fn iter(&self) -> impl Iterator<Item = (&str, ProducerState)> {
        self.states.iter().map(|(id, state)| (&**id, *state))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(epoch: u64, seq: u64) -> ProducerMark {
        ProducerMark { id: "p".into(), epoch, seq }
    }

    #[test]
    fn the_table_of_section_5_2_1() {
        let mut known = Producers::default();
        assert_eq!(known.check(&mark(0, 0)), Ok(ProducerVerdict::Accept));
        assert_eq!(known.check(&mark(0, 1)), Err(ProducerRefusal::Gap { expected: 0 }));
        known.accept(&mark(3, 5));
        let duplicate = Ok(ProducerVerdict::Duplicate(ProducerState { epoch: 3, last_seq: 5 }));
        assert_eq!(known.check(&mark(2, 9)), Err(ProducerRefusal::StaleEpoch { current: 3 }));
        assert_eq!(known.check(&mark(3, 0)), duplicate);
        assert_eq!(known.check(&mark(3, 5)), duplicate);
        assert_eq!(known.check(&mark(3, 6)), Ok(ProducerVerdict::Accept));
        assert_eq!(known.check(&mark(3, 8)), Err(ProducerRefusal::Gap { expected: 6 }));
        assert_eq!(known.check(&mark(4, 1)), Err(ProducerRefusal::EpochMustStartAtZero));
        assert_eq!(known.check(&mark(4, 0)), Ok(ProducerVerdict::Accept));
    }
}

//! Which messages a reader has: order, gaps and repeats, by source.
//!
//! Invariant: each sequence number counts once, so that a repeated message is a duplicate and a
//! skipped one that arrives later is out of order, never both.

use std::ops::Range;

use smallvec::SmallVec;

use crate::message::Stamp;

/// What one reader has received from all sources of its stream.
#[derive(Clone, Default, Debug)]
pub(crate) struct Seen {
    /// Mostly one: then it lies with the rest.
    sources: SmallVec<[SourceSeen; 1]>,
    /// When the server first confirmed that it follows the stream.
    pub(crate) confirmed_ns: Option<u64>,
    /// Measured deliveries, their sum and the longest, in nanoseconds.
    pub(crate) count: u64,
    pub(crate) sum_ns: u64,
    pub(crate) max_ns: u64,
}

/// From one source.
#[derive(Clone, Debug)]
pub(crate) struct SourceSeen {
    pub(crate) source: u32,
    /// The first that came; what lies before it was never expected, unless the reader was there
    /// from the begin.
    pub(crate) first: u32,
    /// One above the highest.
    pub(crate) next: u32,
    /// Those below it that have not come. A reader of a sound server never needs it. At most
    /// [`MAX_GAPS`].
    gaps: Vec<Range<u32>>,
}

/// What an arrival was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Arrival {
    /// As it should be.
    Next,
    /// New, but after one with a higher number.
    Late,
    /// It had come already.
    Repeated,
}

impl Seen {
    /// Takes note of an arrival. `from_begin`: the reader was there before the first message.
    pub(crate) fn arrive(&mut self, source: u32, sequence: u32, from_begin: bool) -> Arrival {
        let found = self.sources.iter().position(|seen| seen.source == source);
        let seen = match found {
            Some(at) => &mut self.sources[at],
            None => {
                let first = if from_begin { 0 } else { sequence };
                self.sources.push(SourceSeen { source, first, next: first, gaps: Vec::new() });
                let last = self.sources.len() - 1;
                &mut self.sources[last]
            }
        };
        seen.arrive(sequence)
    }

    pub(crate) fn sources(&self) -> &[SourceSeen] {
        &self.sources
    }
}

impl SourceSeen {
    fn arrive(&mut self, sequence: u32) -> Arrival {
        if sequence >= self.next {
            if sequence > self.next && self.gaps.len() < MAX_GAPS {
                self.gaps.push(self.next..sequence);
            }
            self.next = sequence.saturating_add(1);
            return Arrival::Next;
        }
        if sequence < self.first {
            // A late reader's first message was not the first that it gets.
            if sequence + 1 < self.first && self.gaps.len() < MAX_GAPS {
                self.gaps.push(sequence + 1..self.first);
            }
            self.first = sequence;
            return Arrival::Late;
        }
        let at = self.gaps.iter().position(|gap| gap.contains(&sequence));
        let Some(at) = at else { return Arrival::Repeated };
        let gap = self.gaps.swap_remove(at);
        let parts = [gap.start..sequence, sequence + 1..gap.end];
        self.gaps.extend(parts.into_iter().filter(|part| !part.is_empty()));
        Arrival::Late
    }

    /// Numbers in `wanted` that have not come, in order.
    pub(crate) fn missing(&self, wanted: Range<u32>) -> Vec<u32> {
        let before = wanted.start..self.first.min(wanted.end);
        let in_gaps =
            self.gaps.iter().flat_map(|gap| gap.start.max(wanted.start)..gap.end.min(wanted.end));
        let mut missing: Vec<u32> =
            in_gaps.chain(before).chain(self.next.max(wanted.start)..wanted.end).collect();
        missing.sort_unstable();
        missing
    }

    /// How many came with numbers from `sent` on, which nobody had sent.
    pub(crate) fn beyond(&self, sent: u32) -> u64 {
        let begin = self.first.max(sent);
        let in_gap = |gap: &Range<u32>| u64::from(gap.end.saturating_sub(gap.start.max(begin)));
        let in_gaps: u64 = self.gaps.iter().map(in_gap).sum();
        u64::from(self.next.saturating_sub(begin)).saturating_sub(in_gaps)
    }
}

/// Messages that came before their connection ended without the server's word on the offset: each
/// may come once more.
#[derive(Default, Debug)]
pub(crate) struct Again(Vec<Stamp>);

impl Again {
    /// Takes note of them; what is beyond [`MAX_AGAIN`] will be a duplicate.
    pub(crate) fn extend(&mut self, stamps: impl Iterator<Item = Stamp>) {
        self.0.extend(stamps.take(MAX_AGAIN.saturating_sub(self.0.len())));
    }

    /// Whether a message that had come already may come once more. All of them come before
    /// anything new does: then there is none any more.
    pub(crate) fn excuses(&mut self, arrival: Arrival, stamp: &Stamp) -> bool {
        match arrival {
            Arrival::Next => {
                self.0.clear();
                false
            }
            Arrival::Late => false,
            Arrival::Repeated => {
                let at = self.0.iter().position(|wanted| wanted == stamp);
                at.map(|at| self.0.swap_remove(at)).is_some()
            }
        }
    }
}

const MAX_AGAIN: usize = 1 << 16;

/// Of one source: what a reader misses after so many gaps is not told any more. The run has failed
/// long before, and a reader's memory stays bounded whatever the server sends.
const MAX_GAPS: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(from_begin: bool, sequences: &[u32], want: &str, missing: &[u32]) {
        let mut seen = Seen::default();
        let letter = |arrival| match arrival {
            Arrival::Next => 'n',
            Arrival::Late => 'l',
            Arrival::Repeated => 'r',
        };
        let got: String = sequences
            .iter()
            .map(|sequence| letter(seen.arrive(1, *sequence, from_begin)))
            .collect();
        assert_eq!(got, want, "{sequences:?}");
        let source = &seen.sources()[0];
        assert_eq!(source.missing(source.first..8), missing, "{sequences:?}");
    }

    #[test]
    fn order_gaps_and_repeats() {
        check(true, &[0, 1, 2, 3, 4, 5, 6, 7], "nnnnnnnn", &[]);
        check(true, &[0, 1, 1, 2], "nnrn", &[3, 4, 5, 6, 7]);
        check(true, &[0, 3, 4, 7], "nnnn", &[1, 2, 5, 6]);
        check(true, &[0, 3, 1, 2, 7], "nnlln", &[4, 5, 6]);
        check(true, &[5, 0, 2, 2, 4, 7], "nllrln", &[1, 3, 6]);
        check(true, &[7], "n", &[0, 1, 2, 3, 4, 5, 6]);
        check(false, &[5, 7], "nn", &[6]);
        check(false, &[5, 3, 3, 4, 7], "nlrln", &[6]);
    }

    #[test]
    fn what_nobody_sent() {
        let check = |from_begin, sequences: &[u32], sent, want| {
            let mut seen = Seen::default();
            for sequence in sequences {
                seen.arrive(1, *sequence, from_begin);
            }
            assert_eq!(seen.sources()[0].beyond(sent), want, "{sequences:?} of {sent}");
        };
        check(true, &[0, 1, 2], 3, 0);
        check(true, &[0, 1, 2], 2, 1);
        check(true, &[0, 1, 4_000_000_000], 3, 1);
        check(true, &[0, u32::MAX - 1, 7, 2], 3, 2);
        check(false, &[4_000_000_000], 3, 1);
        check(false, &[5, 9], 0, 2);
    }

    #[test]
    fn what_may_come_once_more() {
        let stamp = |sequence| Stamp { run: 1, source: 1, sequence, intended_ns: 7 };
        let mut again = Again::default();
        again.extend([1, 2, 3].into_iter().map(stamp));
        assert!(again.excuses(Arrival::Repeated, &stamp(1)));
        assert!(!again.excuses(Arrival::Repeated, &stamp(1)), "only once");
        assert!(!again.excuses(Arrival::Late, &stamp(0)));
        assert!(again.excuses(Arrival::Repeated, &stamp(2)));
        assert!(!again.excuses(Arrival::Next, &stamp(4)));
        assert!(!again.excuses(Arrival::Repeated, &stamp(3)), "something new has come");
        again.extend((0..=MAX_AGAIN as u32).map(stamp));
        assert!(!again.excuses(Arrival::Repeated, &stamp(MAX_AGAIN as u32)));
    }

    #[test]
    fn gaps_are_bounded() {
        let mut seen = Seen::default();
        for sequence in 0..2 * MAX_GAPS as u32 {
            seen.arrive(1, 2 * sequence, true);
        }
        assert_eq!(seen.sources()[0].gaps.len(), MAX_GAPS);
    }

    #[test]
    fn sources_do_not_mix() {
        let mut seen = Seen::default();
        assert_eq!(seen.arrive(1, 0, true), Arrival::Next);
        assert_eq!(seen.arrive(2, 0, true), Arrival::Next);
        assert_eq!(seen.arrive(1, 0, true), Arrival::Repeated);
        assert_eq!(seen.sources().len(), 2);
    }
}

//! Which messages a reader has: order, gaps and repeats, by source.
//!
//! Invariant: each sequence number counts once, so that a repeated message is a duplicate and a
//! skipped one that arrives later is out of order, never both.

use std::ops::Range;

/// What one reader has received from all sources of its stream.
#[derive(Clone, Default, Debug)]
pub(crate) struct Seen {
    sources: Vec<SourceSeen>,
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
    /// Those below it that have not come. A reader of a sound server never needs it.
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
            if sequence > self.next {
                self.gaps.push(self.next..sequence);
            }
            self.next = sequence.saturating_add(1);
            return Arrival::Next;
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
        let in_gaps =
            self.gaps.iter().flat_map(|gap| gap.start.max(wanted.start)..gap.end.min(wanted.end));
        let mut missing: Vec<u32> =
            in_gaps.chain(self.next.max(wanted.start)..wanted.end).collect();
        missing.sort_unstable();
        missing
    }
}

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

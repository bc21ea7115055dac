//! What a reader should have and has not, from what was published and acknowledged.
//!
//! Invariant: nobody is owed what no server has acknowledged, or what came before the reader did.

use std::collections::HashMap;

use super::core::{Book, Published};
use super::seen::Seen;

/// By stream, what each source published.
pub(crate) type Ledger = HashMap<u32, Vec<(u32, Published)>>;

/// How long a reader was there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// It followed the stream before the first message.
    pub(crate) from_begin: bool,
    /// It stays until the end of the run.
    pub(crate) to_end: bool,
}

/// The books of all threads as one.
pub(crate) fn ledger(books: impl Iterator<Item = Book>) -> Ledger {
    let mut all = Ledger::new();
    for ((stream, source), mut published) in books.flatten() {
        published.refused.sort_unstable();
        all.entry(stream).or_default().push((source, published));
    }
    all
}

/// Acknowledged and measured messages of one source that a reader should have and has not.
pub(crate) fn owed(seen: &Seen, place: Place, source: u32, published: &Published) -> Vec<u32> {
    let Some(measured) = published.first_measured else { return Vec::new() };
    let confirmed_ns = seen.confirmed_ns;
    let seen = seen.sources().iter().find(|seen| seen.source == source);
    let first = if place.from_begin {
        0
    } else {
        // It came late: what was due after the server had confirmed it, and all after its first.
        let due = confirmed_ns.and_then(|at| published.first_due(at.saturating_add(CALM_NS)));
        let first = due.into_iter().chain(seen.map(|seen| seen.first)).min();
        let Some(first) = first else { return Vec::new() };
        first
    };
    // Numbers from the network may be anything.
    let until = match (place.to_end, seen) {
        (true, _) => published.sent,
        (false, Some(seen)) => seen.next.min(published.sent),
        (false, None) => return Vec::new(),
    };
    let wanted = first.max(measured)..until;
    let missing = match seen {
        Some(seen) => seen.missing(wanted),
        None => wanted.collect(),
    };
    let acknowledged = |sequence: &u32| published.refused.binary_search(sequence).is_err();
    missing.into_iter().filter(acknowledged).collect()
}

/// How many arrived with a number or of a source that nobody had sent to this stream.
pub(crate) fn unsent(seen: &Seen, published: &[(u32, Published)]) -> u64 {
    let sent = |source: u32| {
        published.iter().find(|(of, _)| *of == source).map_or(0, |(_, published)| published.sent)
    };
    seen.sources().iter().map(|seen| seen.beyond(sent(seen.source))).sum()
}

/// Between the confirmation of a late reader and the first message that it is owed. The server has
/// told where it follows from before the message is sent, so it needs no time at all; readers that
/// are there from the begin have the same 100 ms before the first operation.
const CALM_NS: u64 = 100_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// Twenty messages, 100 ms apart, all measured but the first two; one was refused.
    fn published() -> Published {
        let mut published = Published::default();
        for at in 0..20 {
            published.add(at * 100 * MS, at >= 2);
        }
        published.refused = vec![15];
        published
    }

    fn check(place: (bool, bool), confirmed_ms: Option<u64>, sequences: &[u32], want: &[u32]) {
        let mut seen = Seen::default();
        let (from_begin, to_end) = place;
        for sequence in sequences {
            seen.arrive(0, *sequence, from_begin);
        }
        seen.confirmed_ns = confirmed_ms.map(|at| at * MS);
        let place = Place { from_begin, to_end };
        assert_eq!(owed(&seen, place, 0, &published()), want, "{sequences:?}");
    }

    #[test]
    fn readers_from_the_begin() {
        let all: Vec<u32> = (2..20).filter(|at| *at != 15).collect();
        check((true, true), Some(0), &[], &all);
        check((true, true), Some(0), &(0..18).collect::<Vec<_>>(), &[18, 19]);
        check((true, false), Some(0), &[0, 1, 2, 4], &[3]);
        check((true, false), Some(0), &[], &[]);
    }

    #[test]
    fn late_readers() {
        check((false, true), None, &[], &[]);
        // Due more than 100 ms after the confirmation.
        check((false, true), Some(1650), &[], &[18, 19]);
        check((false, true), Some(1650), &[19], &[18]);
        check((false, true), Some(1650), &[16, 18, 19], &[17]);
        check((false, true), Some(1900), &[], &[]);
        check((false, false), Some(1000), &[19], &[12, 13, 14, 16, 17, 18]);
    }

    /// Collecting all numbers up to it would end the process.
    #[test]
    fn a_number_that_nobody_sent() {
        let mut sequences: Vec<u32> = (0..20).collect();
        sequences.push(4_000_000_000);
        check((true, false), Some(0), &sequences, &[]);
        check((true, true), Some(0), &sequences, &[]);
        check(
            (false, false),
            Some(0),
            &[4_000_000_000],
            &(2..20).filter(|at| *at != 15).collect::<Vec<_>>(),
        );
        let mut seen = Seen::default();
        seen.arrive(0, 4_000_000_000, true);
        seen.arrive(9, 0, true);
        assert_eq!(unsent(&seen, &[(0, published())]), 2);
    }
}

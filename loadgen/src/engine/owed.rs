//! What a reader should have and has not, from what was published and acknowledged.
//!
//! Invariant: nobody is owed what no server has acknowledged, or what came before the reader did.

use std::collections::HashMap;

use super::core::Published;
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
pub(crate) fn ledger(books: impl Iterator<Item = HashMap<(u32, u32), Published>>) -> Ledger {
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
    let seen = seen.sources().iter().find(|seen| seen.source == source);
    let first = match seen {
        _ if place.from_begin => 0,
        Some(seen) => seen.first,
        // It came late, and nothing says whether it should have got anything.
        None => return Vec::new(),
    };
    let until = match (place.to_end, seen) {
        (true, _) => published.sent,
        (false, Some(seen)) => seen.next,
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

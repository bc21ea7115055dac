//! Cursors for collapsing live requests in caches (section 10.1).

use crate::time::Timestamp;

/// Length of an interval.
pub const CURSOR_INTERVAL_SECONDS: u64 = 20;
/// 2024-10-09T00:00:00Z, where the intervals are counted from, in Unix seconds.
pub const CURSOR_EPOCH_SECONDS: u64 = 1_728_432_000;
/// The most that a cursor is moved ahead of a client's.
const MAX_JITTER_SECONDS: u64 = 3600;

/// The cursor of an instant.
#[must_use]
pub fn current(now: Timestamp) -> u64 {
    now.seconds().saturating_sub(CURSOR_EPOCH_SECONDS) / CURSOR_INTERVAL_SECONDS
}

/// The cursor for an answer: the current one, or a later one when the client's is not behind it,
/// so that cursors never go backwards and a cached answer is never asked for twice. `random` is
/// any number.
#[must_use]
pub fn answer(now: Timestamp, client: Option<u64>, random: u64) -> u64 {
    let current = current(now);
    match client {
        Some(client) if client >= current => {
            let jitter = 1 + random % MAX_JITTER_SECONDS;
            client.saturating_add(jitter.div_ceil(CURSOR_INTERVAL_SECONDS))
        }
        _ => current,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn never_backwards(now in 0u64..1 << 48, client in proptest::option::of(0u64..1 << 48), random: u64) {
            let now = Timestamp(now);
            let answer = answer(now, client, random);
            prop_assert!(answer >= current(now));
            if let Some(client) = client {
                prop_assert!(answer > client);
            }
        }
    }

    #[test]
    fn counted_in_intervals() {
        let at = |seconds: u64| current(Timestamp((CURSOR_EPOCH_SECONDS + seconds) * 1000));
        assert_eq!([at(0), at(19), at(20), at(41)], [0, 0, 1, 2]);
    }
}

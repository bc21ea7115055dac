//! How much of a stream is kept (an extension): the limits, and what must be remembered to hold
//! one by age.
//!
//! Invariant of [`Ages`]: a mark says that everything before its position was appended at its
//! time or earlier. Marks may be coarse, never wrong, so nothing goes before its time. They
//! follow from the records alone, so that a restart arrives at the same ones.

use crate::time::Timestamp;

/// The limits of a stream, or those of a server.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Retention {
    /// `Stream-Retention-Bytes`; 0: no limit; `None`: the server's.
    pub bytes: Option<u64>,
    /// `Stream-Retention-Seconds`; 0: no limit; `None`: the server's.
    pub seconds: Option<u64>,
}

impl Retention {
    /// These limits, and those of the server where none was asked for.
    #[must_use]
    pub fn or(self, server: Retention) -> Retention {
        Retention { bytes: self.bytes.or(server.bytes), seconds: self.seconds.or(server.seconds) }
    }

    /// How many bytes are kept at least, if there is a limit.
    #[must_use]
    pub fn max_bytes(self) -> Option<u64> {
        self.bytes.filter(|bytes| *bytes > 0)
    }

    /// How long bytes are kept at least, if there is a limit.
    #[must_use]
    pub fn max_age_ms(self) -> Option<u64> {
        self.seconds.filter(|seconds| *seconds > 0).map(|seconds| seconds.saturating_mul(1000))
    }
}

/// How old the bytes of a stream are: a few marks, whatever its length.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ages {
    interval_ms: u64,
    /// Ascending in both.
    marks: Vec<AgeMark>,
}

/// Everything before `position` was appended at `at` or earlier.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AgeMark {
    /// The time.
    pub at: Timestamp,
    /// The end of an append.
    pub position: u64,
}

/// Marks of one stream, at most. Two of them are never nearer to each other in time than an
/// interval, which doubles when there would be more.
pub const MAX_AGE_MARKS: usize = 16;
/// The first interval.
const MIN_INTERVAL_MS: u64 = 100;

impl Default for Ages {
    fn default() -> Ages {
        Ages { interval_ms: MIN_INTERVAL_MS, marks: Vec::new() }
    }
}

impl Ages {
    /// Puts stored marks together again; `None` if they cannot be marks.
    #[must_use]
    pub fn from_parts(interval_ms: u64, marks: Vec<AgeMark>) -> Option<Ages> {
        let ascends =
            |pair: &[AgeMark]| pair[0].at <= pair[1].at && pair[0].position < pair[1].position;
        let sound = interval_ms >= MIN_INTERVAL_MS
            && marks.len() <= MAX_AGE_MARKS
            && marks.windows(2).all(ascends);
        sound.then_some(Ages { interval_ms, marks })
    }

    /// The time between every other two marks, at least.
    #[must_use]
    pub fn interval_ms(&self) -> u64 {
        self.interval_ms
    }

    /// The marks, oldest first.
    #[must_use]
    pub fn marks(&self) -> &[AgeMark] {
        &self.marks
    }

    /// An append ended at `position`.
    pub fn note(&mut self, at: Timestamp, position: u64) {
        // Clocks go backwards; bytes do not grow younger.
        let at = self.marks.last().map_or(at, |last| last.at.max(at));
        push(&mut self.marks, AgeMark { at, position }, self.interval_ms);
        while self.marks.len() > MAX_AGE_MARKS {
            self.interval_ms = self.interval_ms.saturating_mul(2);
            let marks = std::mem::take(&mut self.marks);
            marks.into_iter().for_each(|mark| push(&mut self.marks, mark, self.interval_ms));
        }
    }

    /// The bytes before `position` are gone.
    pub fn drop_before(&mut self, position: u64) {
        let gone = self.marks.partition_point(|mark| mark.position <= position);
        self.marks.drain(..gone);
        if self.marks.is_empty() {
            self.interval_ms = MIN_INTERVAL_MS;
        }
    }

    /// The position before which everything was appended at `at` or earlier, as far as is known.
    #[must_use]
    pub fn older_than(&self, at: Timestamp) -> Option<u64> {
        let count = self.marks.partition_point(|mark| mark.at <= at);
        count.checked_sub(1).map(|last| self.marks[last].position)
    }

    /// When the oldest bytes were appended, or somewhat later.
    #[must_use]
    pub fn oldest(&self) -> Option<Timestamp> {
        self.marks.first().map(|mark| mark.at)
    }
}

/// Adds a mark. It takes the place of the last one if the one before that is near enough: the
/// first two stay exact, so that a stream which is written once is not kept longer than asked.
fn push(marks: &mut Vec<AgeMark>, mark: AgeMark, interval_ms: u64) {
    match &mut marks[..] {
        [.., before, last] if mark.at.ms_since(before.at) < interval_ms => *last = mark,
        [.., last] if last.at == mark.at => *last = mark,
        _ => marks.push(mark),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mark(at: u64, position: u64) -> AgeMark {
        AgeMark { at: Timestamp(at), position }
    }

    #[test]
    fn near_appends_share_a_mark() {
        let mut ages = Ages::default();
        for (at, position) in [(1000, 1), (1000, 2), (1050, 3), (1060, 4), (1100, 5), (1090, 6)] {
            ages.note(Timestamp(at), position);
        }
        assert_eq!(ages.marks(), [mark(1000, 2), mark(1060, 4), mark(1100, 6)]);
        let older = |at| ages.older_than(Timestamp(at));
        assert_eq!(
            [older(999), older(1000), older(1099), older(5000)],
            [None, Some(2), Some(4), Some(6)]
        );
    }

    #[test]
    fn marks_are_few_and_go_with_the_bytes() {
        let mut ages = Ages::default();
        (1..=10_000).for_each(|second| ages.note(Timestamp(second * 1000), second));
        assert!(ages.marks().len() <= MAX_AGE_MARKS);
        assert!(ages.marks().len() >= MAX_AGE_MARKS / 2, "{ages:?}");
        ages.drop_before(9_999);
        assert_eq!(ages.oldest(), Some(Timestamp(10_000_000)));
        ages.drop_before(10_000);
        assert_eq!(ages, Ages::default());
    }

    #[test]
    fn limits_of_the_stream_come_first() {
        let server = Retention { bytes: Some(10), seconds: Some(20) };
        let own = Retention { bytes: Some(0), seconds: None };
        let both = own.or(server);
        assert_eq!((both.max_bytes(), both.max_age_ms()), (None, Some(20_000)));
        assert_eq!(Retention::default().or(server), server);
    }

    proptest! {
        /// Against every append remembered: nothing is called older than it is.
        #[test]
        fn marks_are_never_wrong(
            appends in prop::collection::vec((0..5_000u64, 1..50u64, 0..20u64), 1..300),
        ) {
            let (mut ages, mut all, mut now, mut tail) = (Ages::default(), vec![], 0, 0);
            for (pause, len, trim) in appends {
                now += pause;
                tail += len;
                ages.note(Timestamp(now), tail);
                all.push((now, tail));
                if trim == 0 {
                    ages.drop_before(tail / 2);
                }
                prop_assert!(ages.marks().len() <= MAX_AGE_MARKS);
                let parts = Ages::from_parts(ages.interval_ms(), ages.marks().to_vec());
                prop_assert_eq!(parts.as_ref(), Some(&ages));
                for at in [now, now.saturating_sub(3_000), now / 2] {
                    let exact = all.iter().rev().find(|(when, _)| *when <= at).map(|(_, end)| *end);
                    let told = ages.older_than(Timestamp(at));
                    prop_assert!(told <= exact, "{told:?} at {at}, exactly {exact:?}");
                    prop_assert!(at < now || told == exact, "the newest mark is exact");
                }
            }
        }
    }
}

//! The buckets of one limit: a table of fixed size, shared by all cores without a lock.
//!
//! A key has a set of [`WAYS`] places. Invariant: no key is ever let through more than it would be
//! if every key had a bucket for ever. A newcomer takes the place of whoever owes least, *with
//! what it owes*. So whoever was put out owes no more than anybody in its set, and finds no place
//! that owes less when it comes back: filling the table with other keys does not help it. Mostly
//! there is a place that owes nothing, and that is the same as an empty one.
//!
//! Two cores that change a place at once may charge one request to the other key; that is the most
//! that a race can do.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::rate::Ticks;
use crate::config::limits::RATE_BUCKETS;

/// Places that a key can have: two lines of memory, which processors fetch together.
const WAYS: usize = 8;

/// What stands for a key: its hash, which is not 0. Two keys with the same share a bucket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Key(u64);

/// Makes keys. Nobody outside can tell which ones share a set.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys(RandomState);

/// See the module.
#[derive(Debug)]
pub(super) struct Table {
    sets: Box<[Set]>,
}

#[derive(Debug, Default)]
#[repr(align(128))]
struct Set {
    /// 0: nobody's.
    keys: [AtomicU64; WAYS],
    full_at: [AtomicU64; WAYS],
}

impl Keys {
    /// The key of something.
    #[must_use]
    pub(super) fn of(&self, what: &(impl Hash + ?Sized)) -> Key {
        Key(self.0.hash_one(what).max(1))
    }
}

impl Default for Table {
    fn default() -> Table {
        Table::with_sets(RATE_BUCKETS / WAYS)
    }
}

impl Table {
    fn with_sets(count: usize) -> Table {
        Table { sets: (0..count).map(|_| Set::default()).collect() }
    }

    /// When the bucket of a key is full; it is given no place.
    #[must_use]
    pub(super) fn look(&self, key: Key) -> Ticks {
        let set = self.set(key);
        let way = set.find(key).unwrap_or_else(|| set.least());
        set.full_at[way].load(Relaxed)
    }

    /// Changes the bucket of a key as `change` says, unless it refuses.
    pub(super) fn change<E>(
        &self,
        key: Key,
        change: impl Fn(Ticks) -> Result<Ticks, E>,
    ) -> Result<(), E> {
        let place = self.set(key).place(key);
        let mut known = place.load(Relaxed);
        loop {
            let new = change(known)?;
            match place.compare_exchange_weak(known, new, Relaxed, Relaxed) {
                Ok(_) => return Ok(()),
                Err(other) => known = other,
            }
        }
    }

    fn set(&self, key: Key) -> &Set {
        // A multiplication spreads the upper half of the hash over the sets; the rest tells keys
        // apart.
        let index = (u128::from(key.0) * self.sets.len() as u128) >> u64::BITS;
        &self.sets[index as usize]
    }
}

impl Set {
    fn find(&self, key: Key) -> Option<usize> {
        self.keys.iter().position(|known| known.load(Relaxed) == key.0)
    }

    /// Who owes least.
    fn least(&self) -> usize {
        let owed = |way: &usize| self.full_at[*way].load(Relaxed);
        (0..WAYS).min_by_key(owed).unwrap_or(0)
    }

    /// The place of a key, which takes one if it has none.
    fn place(&self, key: Key) -> &AtomicU64 {
        for _ in 0..WAYS {
            if let Some(way) = self.find(key) {
                return &self.full_at[way];
            }
            let way = self.least();
            let before = self.keys[way].load(Relaxed);
            if self.keys[way].compare_exchange(before, key.0, Relaxed, Relaxed).is_ok() {
                return &self.full_at[way];
            }
        }
        // Other cores are always quicker; sharing a place does no harm.
        &self.full_at[self.least()]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::convert::Infallible;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::super::rate::{Rate, ticks};
    use super::*;

    fn rate() -> Rate {
        Rate { units: 10, per: Duration::from_secs(1), burst: 5 }
    }

    fn passes(table: &Table, key: Key, now: Ticks) -> bool {
        let take = |full_at| rate().look(full_at, now).map(|()| rate().take(full_at, now, 1));
        table.change(key, take).is_ok()
    }

    #[test]
    fn keys_do_not_touch_each_other() {
        let (table, keys) = (Table::with_sets(64), Keys::default());
        for name in ["a", "b", "c"] {
            let passed = (0..20).filter(|_| passes(&table, keys.of(name), 0)).count();
            assert_eq!(passed, 5, "{name}");
        }
    }

    /// All cores take from one bucket.
    #[test]
    fn threads_share_a_bucket() {
        let (table, key) = (Table::with_sets(1), Keys::default().of("a"));
        let taken = || (0..10_000).filter(|_| passes(&table, key, 0)).count();
        let total: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(taken)).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
        });
        assert_eq!(total, 5);
    }

    #[test]
    fn a_newcomer_takes_an_old_bucket_once_it_is_full_again() {
        let (table, keys) = (Table::with_sets(1), Keys::default());
        for name in 0..WAYS {
            while passes(&table, keys.of(&name), 0) {}
        }
        assert!(!passes(&table, keys.of("late"), 0), "everybody owes");
        let later = ticks(Duration::from_secs(1));
        assert!((0..5).all(|_| passes(&table, keys.of("late"), later)));
    }

    proptest! {
        /// Whatever others do, nobody owes less than it would with a bucket for ever: being put
        /// out of the table resets nothing.
        #[test]
        fn nobody_is_forgiven_anything(
            steps in prop::collection::vec((0u64..40, 0u64..300, 1u64..8), 1..400),
        ) {
            let (table, keys) = (Table::with_sets(1), Keys::default());
            let mut for_ever: HashMap<u64, Ticks> = HashMap::new();
            let mut now = 0;
            for (name, pause_ms, units) in steps {
                now += ticks(Duration::from_millis(pause_ms));
                let key = keys.of(&name);
                let known = for_ever.entry(name).or_default();
                prop_assert!(table.look(key) >= *known || *known <= now);
                let take = |full_at| Ok::<_, Infallible>(rate().take(full_at, now, units));
                let Ok(()) = table.change(key, take);
                *known = rate().take(*known, now, units);
                prop_assert!(table.look(key) >= *known);
            }
        }
    }
}

//! Quotas: how many streams there may be whose paths match a pattern, and how many bytes they may
//! hold together.
//!
//! Invariant: what is counted never exceeds a quota by what is let in under it: room is taken in
//! one atomic step before a record is written, whichever core writes it. What was there already,
//! when a quota was made or made smaller, is counted all the same; then nothing is let in until
//! there is room. Nothing is stored: the numbers follow from the streams.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use http::StatusCode;
use thalweg_proto::glob::Glob;
use thalweg_proto::path::StreamPath;
use thalweg_proto::problem::Problem;

use crate::config::QuotaConfig;

/// One quota.
#[derive(Debug)]
pub struct Quota {
    /// Which streams.
    pub pattern: Glob,
    streams: Count,
    bytes: Count,
}

/// What there is, and what there may be.
#[derive(Debug)]
struct Count {
    used: AtomicU64,
    /// `u64::MAX`: no limit.
    most: AtomicU64,
}

/// All quotas of a server.
#[derive(Debug, Default)]
pub struct Quotas {
    all: Vec<Arc<Quota>>,
    /// Another one for each change of the patterns.
    generation: u64,
}

/// The quotas of a stream: at least one.
#[derive(Debug)]
pub struct Members {
    quotas: Box<[Arc<Quota>]>,
    generation: u64,
}

/// Which limit of which quota is reached.
struct Full<'a> {
    quota: &'a Quota,
    streams: bool,
}

impl Count {
    fn new(most: Option<u64>) -> Count {
        Count { used: AtomicU64::new(0), most: AtomicU64::new(most.unwrap_or(u64::MAX)) }
    }

    fn most(&self) -> Option<u64> {
        Some(self.most.load(Relaxed)).filter(|most| *most < u64::MAX)
    }

    fn take(&self, more: u64) -> bool {
        let most = self.most.load(Relaxed);
        let fits = |used: u64| used.checked_add(more).filter(|sum| *sum <= most);
        more == 0 || self.used.fetch_update(Relaxed, Relaxed, fits).is_ok()
    }

    fn add(&self, more: u64) {
        self.used.fetch_add(more, Relaxed);
    }

    fn give(&self, less: u64) {
        let rest = |used: u64| Some(used.saturating_sub(less));
        // It refuses nothing.
        let _ = self.used.fetch_update(Relaxed, Relaxed, rest);
    }
}

impl Quota {
    fn new(config: &QuotaConfig) -> Quota {
        Quota {
            pattern: config.pattern.clone(),
            streams: Count::new(config.streams),
            bytes: Count::new(config.bytes),
        }
    }

    fn change(&self, config: &QuotaConfig) {
        self.streams.most.store(config.streams.unwrap_or(u64::MAX), Relaxed);
        self.bytes.most.store(config.bytes.unwrap_or(u64::MAX), Relaxed);
    }

    /// Streams that there are, and may be.
    #[must_use]
    pub fn streams(&self) -> (u64, Option<u64>) {
        (self.streams.used.load(Relaxed), self.streams.most())
    }

    /// Bytes that there are, and may be.
    #[must_use]
    pub fn bytes(&self) -> (u64, Option<u64>) {
        (self.bytes.used.load(Relaxed), self.bytes.most())
    }

    fn matches(&self, path: &StreamPath) -> bool {
        // Most streams are somewhere else, and that shows at the beginning of their paths.
        path.as_str().starts_with(self.pattern.literal_prefix())
            && self.pattern.matches(path.as_str())
    }
}

impl Quotas {
    /// As a configuration has them. A pattern that stays keeps its numbers.
    #[must_use]
    pub fn next(before: &Arc<Quotas>, configs: &[QuotaConfig]) -> Arc<Quotas> {
        let patterns = before.all.iter().map(|quota| &quota.pattern);
        if patterns.eq(configs.iter().map(|config| &config.pattern)) {
            let both = before.all.iter().zip(configs);
            both.for_each(|(quota, config)| quota.change(config));
            return Arc::clone(before);
        }
        let of = |config: &QuotaConfig| match before
            .all
            .iter()
            .find(|quota| quota.pattern == config.pattern)
        {
            None => Arc::new(Quota::new(config)),
            Some(known) => {
                known.change(config);
                Arc::clone(known)
            }
        };
        let all = configs.iter().map(of).collect();
        Arc::new(Quotas { all, generation: before.generation + 1 })
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Whether streams have other quotas than before.
    #[must_use]
    pub fn differs_from(&self, before: &Quotas) -> bool {
        self.generation != before.generation
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Quota> {
        self.all.iter().map(|quota| &**quota)
    }

    /// Those of a path, by number.
    pub fn of(&self, path: &StreamPath) -> impl Iterator<Item = u16> {
        (0u16..)
            .zip(&self.all)
            .filter(move |(_, quota)| quota.matches(path))
            .map(|(number, _)| number)
    }

    /// Those with these numbers.
    #[must_use]
    pub fn members(&self, numbers: &[u16]) -> Members {
        let quotas = numbers.iter().map(|number| Arc::clone(&self.all[usize::from(*number)]));
        Members { quotas: quotas.collect(), generation: self.generation }
    }
}

impl Members {
    /// Whether these are among the quotas that there are now.
    #[must_use]
    pub fn are_of(&self, quotas: &Quotas) -> bool {
        self.generation == quotas.generation
    }

    /// Takes room for so many streams and bytes in all of them, or in none.
    pub fn take(&self, streams: u64, bytes: u64) -> Result<(), Problem> {
        for (index, quota) in self.quotas.iter().enumerate() {
            let taken = quota.take(streams, bytes);
            if let Err(full) = taken {
                self.quotas[..index].iter().for_each(|quota| quota.give(streams, bytes));
                return Err(full.into());
            }
        }
        Ok(())
    }

    /// Gives room back.
    pub fn give(&self, streams: u64, bytes: u64) {
        self.quotas.iter().for_each(|quota| quota.give(streams, bytes));
    }

    /// Counts a stream that is there already, where it was not counted `before`.
    pub fn count(&self, bytes: u64, before: Option<&Members>) {
        let known = |quota: &Arc<Quota>| {
            before.is_some_and(|before| before.quotas.iter().any(|old| Arc::ptr_eq(old, quota)))
        };
        for quota in self.quotas.iter().filter(|quota| !known(quota)) {
            quota.streams.add(1);
            quota.bytes.add(bytes);
        }
    }
}

impl Quota {
    fn take(&self, streams: u64, bytes: u64) -> Result<(), Full<'_>> {
        if !self.streams.take(streams) {
            return Err(Full { quota: self, streams: true });
        }
        if !self.bytes.take(bytes) {
            self.streams.give(streams);
            return Err(Full { quota: self, streams: false });
        }
        Ok(())
    }

    fn give(&self, streams: u64, bytes: u64) {
        self.streams.give(streams);
        self.bytes.give(bytes);
    }
}

impl From<Full<'_>> for Problem {
    fn from(full: Full<'_>) -> Problem {
        let Full { quota, streams } = full;
        let pattern = quota.pattern.as_str();
        let (code, what, (used, most)) = match streams {
            true => ("quota-streams", "streams", quota.streams()),
            false => ("quota-bytes", "bytes", quota.bytes()),
        };
        let most = most.unwrap_or(u64::MAX);
        let detail = format!(
            "the quota of {pattern:?} has {used} of {most} {what} in use, and there is no room for \
             this"
        );
        Problem::new(StatusCode::FORBIDDEN, code, detail)
            .with_member("quota", &pattern)
            .with_member("limit", &most)
            .with_member("used", &used)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pattern: &str, streams: Option<u64>, bytes: Option<u64>) -> QuotaConfig {
        QuotaConfig { pattern: Glob::parse(pattern).expect("a pattern"), streams, bytes }
    }

    fn members(quotas: &Quotas, path: &str) -> Members {
        let path = StreamPath::new(path).expect("a path");
        quotas.members(&quotas.of(&path).collect::<Vec<_>>())
    }

    fn code(result: Result<(), Problem>) -> &'static str {
        result.err().map_or("", |problem| problem.code)
    }

    #[test]
    fn all_or_nothing() {
        let configs = [config("a/**", Some(2), Some(100)), config("a/b/*", None, Some(10))];
        let quotas = Quotas::next(&Arc::default(), &configs);
        let inner = members(&quotas, "a/b/c");
        assert_eq!(code(inner.take(1, 10)), "");
        assert_eq!(code(inner.take(1, 1)), "quota-bytes");
        let used: Vec<_> =
            quotas.iter().map(|quota| (quota.streams().0, quota.bytes().0)).collect();
        assert_eq!(used, [(1, 10), (1, 10)]);
        let outer = members(&quotas, "a/x");
        assert_eq!(code(outer.take(1, 91)), "quota-bytes");
        assert_eq!(code(outer.take(1, 90)), "");
        assert_eq!(code(outer.take(1, 0)), "quota-streams");
        assert_eq!(code(outer.take(0, 0)), "");
        outer.give(1, 90);
        assert_eq!(code(outer.take(1, 90)), "");
        let path = StreamPath::new("b").expect("a path");
        assert_eq!(quotas.of(&path).count(), 0);
    }

    #[test]
    fn what_stays_keeps_its_numbers() {
        let first = Quotas::next(&Arc::default(), &[config("a/*", Some(1), None)]);
        let old = members(&first, "a/1");
        assert_eq!(code(old.take(1, 7)), "");
        let same = Quotas::next(&first, &[config("a/*", Some(2), None)]);
        assert!(Arc::ptr_eq(&first, &same) && old.are_of(&same));
        assert_eq!(code(old.take(1, 7)), "");
        let more = Quotas::next(&same, &[config("**", None, Some(20)), config("a/*", None, None)]);
        assert!(!old.are_of(&more));
        let new = members(&more, "a/1");
        new.count(14, Some(&old));
        let used: Vec<_> = more.iter().map(|quota| (quota.streams().0, quota.bytes())).collect();
        assert_eq!(used, [(1, (14, Some(20))), (2, (14, None))]);
        assert_eq!(code(new.take(0, 7)), "quota-bytes");
    }

    /// Whatever the cores do at once, no byte too many is let in.
    #[test]
    fn threads_never_take_too_much() {
        let quotas = Quotas::next(&Arc::default(), &[config("**", None, Some(10_000))]);
        let members = members(&quotas, "a");
        let taken = || (0..20_000).filter(|_| members.take(0, 1).is_ok()).count();
        let total: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(taken)).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
        });
        assert_eq!(total, 10_000);
    }
}

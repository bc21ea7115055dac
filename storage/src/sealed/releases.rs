//! Files of earlier layouts, in which several cores have bytes: who does not need them any more.

use std::collections::{BTreeMap, BTreeSet};

use crate::location::SegmentRef;

/// Counts the cores that have released a shared file. Nothing of it is stored: a start begins
/// with all cores again.
#[derive(Debug)]
pub struct Releases {
    cores: usize,
    released: BTreeMap<SegmentRef, BTreeSet<usize>>,
}

impl Releases {
    /// For a server of so many cores.
    #[must_use]
    pub fn new(cores: usize) -> Releases {
        Releases { cores, released: BTreeMap::new() }
    }

    /// A core whose log is `log` does not need a file any more. Returns whether it can go.
    #[must_use]
    pub fn release(
        &mut self,
        core: usize,
        log: crate::location::LogId,
        segment: SegmentRef,
    ) -> bool {
        if segment.log == log {
            return true;
        }
        let released = self.released.entry(segment).or_default();
        released.insert(core);
        let all = released.len() >= self.cores;
        if all {
            self.released.remove(&segment);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::location::LogId;

    #[test]
    fn a_shared_file_goes_with_its_last_core() {
        let mut releases = Releases::new(2);
        let segment = SegmentRef { log: LogId(1), number: 3 };
        assert!(releases.release(0, LogId(1), segment), "its own");
        assert!(!releases.release(0, LogId(2), segment));
        assert!(!releases.release(0, LogId(2), segment), "again");
        assert!(releases.release(1, LogId(3), segment));
    }
}

//! Which streams matter to any subscription: what an owner of streams asks before it tells the
//! owner of the subscriptions about an append. Immutable once shared.

use std::collections::{HashMap, HashSet};

use crate::glob::{Glob, segment_prefixes};
use crate::path::StreamPath;

/// The streams that are linked explicitly or matched by a pattern.
#[derive(Clone, Debug, Default)]
pub struct Interest {
    revision: u64,
    paths: HashSet<StreamPath>,
    globs: HashMap<Box<str>, Vec<Glob>>,
}

impl Interest {
    pub(super) fn new(revision: u64) -> Interest {
        Interest { revision, ..Interest::default() }
    }

    /// The [`interest_revision`](super::Subscriptions::interest_revision) that it was made at.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Whether nothing matters, the cheapest answer.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty() && self.globs.is_empty()
    }

    /// Whether an append to `path` is to be reported.
    #[must_use]
    pub fn matches(&self, path: &StreamPath) -> bool {
        if self.is_empty() {
            return false;
        }
        self.paths.contains(path)
            || segment_prefixes(path.as_str())
                .filter_map(|prefix| self.globs.get(prefix))
                .flatten()
                .any(|glob| glob.matches(path.as_str()))
    }

    pub(super) fn add_path(&mut self, path: &StreamPath) {
        self.paths.insert(path.clone());
    }

    pub(super) fn add_glob(&mut self, glob: &Glob) {
        let globs = self.globs.entry(glob.literal_prefix().into()).or_default();
        if !globs.contains(glob) {
            globs.push(glob.clone());
        }
    }
}

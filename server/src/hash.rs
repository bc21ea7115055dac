//! The hash state of maps that are iterated over: random, so that no client can choose what
//! collides, but fixed inside a simulation, where the order of an iteration is part of the run.

use std::hash::BuildHasher;

use foldhash::fast::{FoldHasher, SeedableRandomState};

use crate::rt::simulated::is_simulated;

/// See the module.
#[derive(Clone)]
pub(crate) struct MapState(SeedableRandomState);

impl Default for MapState {
    fn default() -> MapState {
        MapState(match is_simulated() {
            false => SeedableRandomState::random(),
            true => SeedableRandomState::fixed(),
        })
    }
}

impl BuildHasher for MapState {
    type Hasher = FoldHasher<'static>;

    #[inline]
    fn build_hasher(&self) -> FoldHasher<'static> {
        self.0.build_hasher()
    }
}

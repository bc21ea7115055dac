//! Generators of random numbers, one for each thing that draws some.
//!
//! Invariant: a key of ChaCha8 holds the seed and says who draws, in clear and without hashing, so
//! that no two share a sequence and each is the same on every machine, whatever the number of
//! cores.

use rand_chacha::rand_core::SeedableRng;

/// What draws.
pub type Rng = rand_chacha::ChaCha8Rng;

/// For one iteration of an open group.
#[must_use]
pub fn iteration_rng(seed: u64, group: u32, iteration: u64) -> Rng {
    keyed(ITERATION, seed, group, iteration)
}

/// For one user of a closed group, from its first iteration to its last.
#[must_use]
pub fn user_rng(seed: u64, group: u32, user: u32) -> Rng {
    keyed(USER, seed, group, u64::from(user))
}

/// For the arrivals of an open group.
#[must_use]
pub fn schedule_rng(seed: u64, group: u32) -> Rng {
    keyed(SCHEDULE, seed, group, 0)
}

/// For what the users of one thread draw together: a timer's process. `timer` says which one.
#[must_use]
pub fn timer_rng(seed: u64, group: u32, timer: u32, core: u32) -> Rng {
    keyed(TIMER, seed, group, u64::from(timer) << 32 | u64::from(core))
}

fn keyed(domain: [u8; 8], seed: u64, group: u32, index: u64) -> Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&domain);
    key[8..16].copy_from_slice(&seed.to_le_bytes());
    key[16..20].copy_from_slice(&group.to_le_bytes());
    key[24..].copy_from_slice(&index.to_le_bytes());
    Rng::from_seed(key)
}

const ITERATION: [u8; 8] = *b"iterate.";
const USER: [u8; 8] = *b"user....";
const SCHEDULE: [u8; 8] = *b"schedule";
const TIMER: [u8; 8] = *b"timer...";

#[cfg(test)]
mod tests;

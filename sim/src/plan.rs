//! What a seed does to the server. Each seed turns only some kinds of trouble on: runs with all of
//! them at once would never get far enough for the rare ones to matter.

use std::sync::Arc;
use std::time::Duration;

use thalweg::config::{Config, Durability, Machine};

use crate::disk::Faults;
use crate::model::Tolerance;
use crate::random::Random;

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) clients: usize,
    pub(crate) paths: usize,
    pub(crate) cores: usize,
    pub(crate) durability: Durability,
    pub(crate) segment_bytes: u64,
    pub(crate) hot_tail_bytes: u64,
    pub(crate) read_cache_bytes: u64,
    pub(crate) largest_append: u64,
    /// Steps between two crashes, at most.
    pub(crate) crash_every: u64,
    /// Only the process is killed; the machine keeps its power.
    pub(crate) keeps_power: bool,
    /// Time between two checkpoints of a core, at most.
    pub(crate) checkpoint_every: Duration,
    /// Time between two requests of a client, at most.
    pub(crate) think_micros: u64,
    pub(crate) compaction: bool,
    pub(crate) faults: Faults,
    /// Now and then there is no space.
    pub(crate) fills: bool,
    /// The wall clock jumps.
    pub(crate) jumps: bool,
    /// Bits flip.
    pub(crate) flips: bool,
    pub(crate) slow: bool,
    pub(crate) any_order: bool,
    /// Restarts change the number of cores.
    pub(crate) changes_cores: bool,
    /// Recovery is killed, too.
    pub(crate) kills_recovery: bool,
    /// Reads of recovery that are given other bytes, in a million.
    pub(crate) misdirects_recovery: u64,
    /// The same of sealing.
    pub(crate) misdirects_sealing: u64,
    /// Bits flip in the last group of a log, too.
    pub(crate) flips_tail: bool,
}

impl Plan {
    pub(crate) fn of(seed: u64) -> Plan {
        let mut random = Random::of(seed, "plan");
        let durability = if random.chance(1, 7) { Durability::Async } else { Durability::Sync };
        let pick = |random: &mut Random, from: &[u64]| from[random.index(from.len())];
        let segment_bytes = pick(&mut random, &[32, 32, 64, 128]) * 1024;
        let flips = durability == Durability::Sync && random.chance(1, 6);
        let mut faults = Faults::default();
        if !flips {
            if random.chance(1, 5) {
                faults.write_error = pick(&mut random, &[100, 1_000, 5_000]);
            }
            if random.chance(1, 5) {
                faults.sync_error = pick(&mut random, &[100, 1_000, 5_000]);
            }
        }
        if random.chance(1, 5) {
            faults.read_error = pick(&mut random, &[1_000, 20_000]);
        }
        if random.chance(1, 5) {
            faults.misdirect = pick(&mut random, &[1_000, 20_000]);
        }
        faults.no_direct = random.chance(1, 8);
        let mut plan = Plan {
            clients: 2 + random.index(4),
            paths: 3 + random.index(8),
            cores: 1 + random.index(3),
            durability,
            segment_bytes,
            hot_tail_bytes: pick(&mut random, &[4, 32, 1024]) * 1024,
            largest_append: pick(&mut random, &[2, 10, 60]) * 1024,
            crash_every: pick(&mut random, &[500, 3_000, 12_000]),
            keeps_power: random.chance(1, 4),
            checkpoint_every: Duration::from_millis(pick(&mut random, &[20, 100, 1_000])),
            think_micros: pick(&mut random, &[4_000, 4_000, 30_000, 150_000]),
            compaction: random.chance(7, 8),
            faults,
            fills: !flips && random.chance(1, 6),
            jumps: random.chance(1, 5),
            flips,
            slow: random.chance(1, 6),
            any_order: random.chance(1, 2),
            changes_cores: random.chance(1, 2),
            kills_recovery: random.chance(1, 2),
            misdirects_recovery: 0,
            misdirects_sealing: 0,
            flips_tail: false,
            read_cache_bytes: 0,
        };
        // What came later comes last: seeds keep the rest of their plans.
        if random.chance(1, 20) {
            plan.misdirects_recovery = pick(&mut random, &[500, 5_000]);
        }
        if random.chance(1, 10) {
            plan.misdirects_sealing = pick(&mut random, &[1_000, 20_000]);
        }
        plan.flips_tail = plan.flips && random.chance(1, 4);
        plan.read_cache_bytes = pick(&mut random, &[0, 64, 1024]) * 1024;
        plan
    }

    /// Which refusals the trouble explains.
    pub(crate) fn tolerance(&self) -> Tolerance {
        Tolerance {
            unreadable: self.flips
                || self.faults.read_error > 0
                || self.faults.misdirect > 0
                || self.misdirects_recovery > 0,
            // A segment that cannot be made for whatever reason is answered as a full disk.
            full: self.fills || self.faults.write_error > 0,
        }
    }

    /// What the server runs with.
    pub(crate) fn config(&self, cores: usize) -> Arc<Config> {
        let machine = Machine { cpus: (0..cores).collect(), descriptors: 1 << 16 };
        let mut config = match Config::defaults(&machine) {
            Ok(config) => config,
            Err(error) => panic!("the defaults are refused: {error}"),
        };
        config.data_dir = "/data".into();
        config.durability = self.durability;
        config.async_sync_interval = Duration::from_millis(20);
        config.storage.compaction = self.compaction;
        config.storage.segment_bytes = self.segment_bytes;
        config.storage.hot_tail_bytes = self.hot_tail_bytes;
        config.storage.read_cache_bytes = self.read_cache_bytes;
        Arc::new(config)
    }
}

//! Mistakes that are planted to show that the simulation finds them.
//!
//! Invariant: without the feature `planted-bugs`, which no default build has, [`is`] is false at
//! compile time and nothing of a mistake is left in the program.

/// A mistake.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Bug {
    /// Groups are written and not synced.
    SkipSync = 1,
    /// Replies leave before what they depend on is durable.
    AckBeforeSync,
    /// A refused append leaves its producer triple behind.
    ApplyBeforeDecide,
    /// Recovery forgets the producer triple of a record.
    DropProducer,
    /// A segment is free as soon as no stream has bytes in it.
    ReuseSegmentEarly,
    /// Checksums are not compared.
    IgnoreCrc,
    /// One fork is not counted after a restart.
    ForgetFork,
    /// Sealed segments are written and not synced.
    SkipSealSync,
}

/// Every mistake, with the name that the command line knows it by.
pub const ALL: [(Bug, &str); 8] = [
    (Bug::SkipSync, "skip-sync"),
    (Bug::AckBeforeSync, "ack-before-sync"),
    (Bug::ApplyBeforeDecide, "apply-before-decide"),
    (Bug::DropProducer, "drop-producer"),
    (Bug::ReuseSegmentEarly, "reuse-segment-early"),
    (Bug::IgnoreCrc, "ignore-crc"),
    (Bug::ForgetFork, "forget-fork"),
    (Bug::SkipSealSync, "skip-seal-sync"),
];

#[cfg(feature = "planted-bugs")]
static PLANTED: std::sync::atomic::AtomicU8 = std::sync::atomic::AtomicU8::new(0);

/// Whether this mistake is to be made.
#[cfg(feature = "planted-bugs")]
#[must_use]
pub fn is(bug: Bug) -> bool {
    PLANTED.load(std::sync::atomic::Ordering::Relaxed) == bug as u8
}

/// Whether this mistake is to be made: never.
#[cfg(not(feature = "planted-bugs"))]
#[must_use]
pub const fn is(_: Bug) -> bool {
    false
}

/// Makes this mistake from now on, and no other. False where no mistakes can be made.
#[must_use]
pub fn plant(bug: Option<Bug>) -> bool {
    #[cfg(feature = "planted-bugs")]
    PLANTED.store(bug.map_or(0, |bug| bug as u8), std::sync::atomic::Ordering::Relaxed);
    cfg!(feature = "planted-bugs") || bug.is_none()
}

//! Faults of the machine below a real server: power cuts, disks that fail or fill up, damaged
//! files, clocks that jump, descriptors that run out.
//!
//! Much of it mounts file systems, so it needs root. A test that cannot do here what it is for
//! says `skipped:` and why, and passes. The numbers of faults are small; the environment
//! (`THALWEG_TEST_POWER_CUTS`, as `THALWEG_TEST_KILLS` for `crash`) makes them large.

mod clock;
mod descriptors;
mod disk;
mod errors;
mod flip;
mod full;
mod machine;
mod nbd;
mod power;
mod shim;
mod tail;
mod termination;

/// Segments that fill up soon, and bodies that fit into them.
const SMALL: [&str; 2] = ["--segment-bytes=1MiB", "--max-body-bytes=256KiB"];

//! Every bound of a plan, in one place.
//!
//! Invariant: a plan within these bounds can be planned for: counts fit their types, sums of them
//! fit 64 bits, and what a plan makes this program keep in memory is bounded. Bounds are what a
//! sensible plan never meets, not what a machine can do.
//!
//! Deliberately absent: limits of the machine, such as descriptors, which are known when a run
//! starts.

use std::time::Duration;

/// Text of a plan.
pub const MAX_PLAN_BYTES: u64 = 4 << 20;
/// Each data file.
pub const MAX_DATA_BYTES: u64 = 64 << 20;
/// Data sets of a plan.
pub const MAX_DATA_SETS: u64 = 64;
/// Rows of a data set.
pub const MAX_ROWS: u64 = 1_000_000;
/// Columns of a data set.
pub const MAX_COLUMNS: u64 = 256;

/// Variables that a plan defines.
pub const MAX_VARIABLES: u64 = 1000;
/// Header fields of a plan, and of a step.
pub const MAX_HEADERS: u64 = 100;
/// Sets of streams.
pub const MAX_STREAM_SETS: u64 = 256;
/// Streams of one set.
pub const MAX_STREAMS: u32 = 1_000_000;
/// Thread groups.
pub const MAX_GROUPS: u64 = 256;
/// Steps of a plan, nested ones included.
pub const MAX_STEPS: u64 = 10_000;
/// Loops, conditions and transactions within each other.
pub const MAX_NESTING: u64 = 16;
/// Stages of a group.
pub const MAX_STAGES: u64 = 1000;
/// Assertions of a step.
pub const MAX_ASSERTIONS: u64 = 100;
/// Texts or status codes of an assertion.
pub const MAX_PATTERNS: u64 = 100;
/// Extractions of a step.
pub const MAX_EXTRACTIONS: u64 = 100;
/// Thresholds of a plan.
pub const MAX_THRESHOLDS: u64 = 100;
/// Bytes of a name or a label: they are repeated in every line of a log.
pub const MAX_NAME_BYTES: u64 = 256;
/// Compiled size of a regular expression.
pub const MAX_REGEX_BYTES: usize = 1 << 20;

/// Users of a group; live readers are users too.
pub const MAX_USERS: u32 = 1_000_000;
/// Live readers that share a connection of HTTP/2: each has a window of 256 KiB, and those of a
/// connection together at most 2 GiB.
pub const MAX_READERS_PER_CONNECTION: u32 = 8_000;
/// Iterations under way in an open group.
pub const MAX_IN_FLIGHT: u32 = 1_000_000;
/// Iterations under way in an open group, if the plan does not say.
pub const DEFAULT_IN_FLIGHT: u32 = 10_000;
/// Iterations, or new connections, per second.
pub const MAX_RATE: f64 = 10_000_000.0;
/// Below this a rate means less than one iteration in the longest run.
pub const MIN_RATE: f64 = 1e-6;
/// Of anything that lasts: a stage, a pause, a timeout.
pub const MAX_DURATION: Duration = Duration::from_secs(7 * 24 * 3600);
/// Repetitions of a loop.
pub const MAX_LOOPS: u32 = 1_000_000_000;

/// Bytes of one message.
pub const MAX_PAYLOAD_BYTES: u32 = 64 << 20;
/// Messages of a batch.
pub const MAX_BATCH_MESSAGES: u32 = 100_000;
/// Bytes of the messages of a batch together.
pub const MAX_BATCH_BYTES: u64 = 64 << 20;
/// Sizes of a weighted choice.
pub const MAX_WEIGHTED_SIZES: u64 = 1000;

// All stages of a group together fit into 64 bits of nanoseconds.
const _: () = assert!(MAX_DURATION.as_secs() * MAX_STAGES < u64::MAX / 1_000_000_000);
// A whole batch, with its commas, is a body like any other.
const _: () = assert!(MAX_PAYLOAD_BYTES as u64 <= MAX_BATCH_BYTES);
const _: () = assert!(DEFAULT_IN_FLIGHT <= MAX_IN_FLIGHT);

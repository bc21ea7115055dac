//! Every bound of distributed runs, and how they relate.

use std::time::Duration;

/// From a connection to the end of the handshake.
pub const HANDSHAKE: Duration = Duration::from_secs(5);
/// A worker that is busy waits this long for the end of the other run: the next trial of a search
/// may come before the last one's connection is gone.
pub const BUSY: Duration = Duration::from_secs(2);
/// Until a connection to a worker must stand.
pub const CONNECT: Duration = Duration::from_secs(5);
/// A worker reports its progress this often: what the controller takes for a sign of life.
pub const PROGRESS_EVERY: Duration = Duration::from_millis(500);
/// The controller tells this often that it is there.
pub const PING_EVERY: Duration = Duration::from_secs(2);
/// A peer that says nothing for this long is lost.
pub const SILENCE: Duration = Duration::from_secs(15);
/// A peer that takes nothing for this long is lost.
pub const WRITE: Duration = Duration::from_secs(15);
/// From the moment when all workers are ready to the begin of the load: longer than it takes to
/// tell all of them.
pub const START_DELAY: Duration = Duration::from_millis(250);

/// A line before the handshake has ended.
pub const HANDSHAKE_LINE_BYTES: usize = 4 << 10;
/// A line of the controller: a plan with its data files.
pub const CONTROLLER_LINE_BYTES: usize = 256 << 20;
/// A line of a worker: a result with a histogram per label and second.
pub const WORKER_LINE_BYTES: usize = 256 << 20;
/// Connections that a worker talks to at the same time.
pub const CONNECTIONS: usize = 16;
/// Workers of one run.
pub const WORKERS: usize = 256;

// Signs of life come several times within the silence that ends a run.
const _: () = assert!(PROGRESS_EVERY.as_millis() * 4 <= SILENCE.as_millis());
const _: () = assert!(PING_EVERY.as_millis() * 4 <= SILENCE.as_millis());
const _: () = assert!(START_DELAY.as_millis() < SILENCE.as_millis());
const _: () = assert!(BUSY.as_millis() * 2 < HANDSHAKE.as_millis());
const _: () = assert!(HANDSHAKE_LINE_BYTES < CONTROLLER_LINE_BYTES);

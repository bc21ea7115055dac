//! The whole server in one deterministic process, and clients that remember what it said.
//!
//! ```text
//! seed -> plan -> run: clients -> real cores -> simulated disk     crash, restart, other cores ...
//!                       |  answers                                        |
//!                       v                                                 v
//!                      model: facts, and whether answers agree      recovery, then an audit
//! ```
//!
//! The cores, shards, logs, fan-outs, mailboxes, helpers and recovery are the server's own, byte
//! for byte; what is simulated is below [`thalweg::rt`] and `thalweg_storage::Disk`. Invariant: a
//! run is a function of its seed. Deliberately absent: sockets, the HTTP codec's framing, the
//! control plane's deliveries.
#![forbid(unsafe_code)]

mod clients;
mod disk;
mod executor;
mod lockstep;
mod model;
mod plan;
mod process;
mod random;
mod run;
mod time;
mod trace;
mod worker;

pub use disk::Counts;
pub use model::{Checked, Violation};
pub use run::{Options, Outcome, Totals, run};

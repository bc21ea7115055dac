//! The stream state machine: pure, without clock, sockets or files.
//!
//! ```text
//!            Create                Append{close}
//!  (nothing) ------>  open  ------------------------>  closed
//!      ^                |                                |
//!      |                +---- DELETE, expiry ------------+
//!      |                        |              |
//!      |   Delete (no forks)    |              | SoftDelete (forks read it)
//!      +------------------------+              v
//!      +---------- Delete (last fork gone) -- soft-deleted
//! ```
//!
//! `decide` functions look at a state and a request and return the record to write or a refusal;
//! they never mutate. [`StreamState::apply`] is the only mutation, live and in recovery.

pub mod append;
pub mod config;
pub mod create;
pub mod etag;
pub mod fork;
pub mod producer;
pub mod record;
pub mod retention;
mod state;

pub use state::{Closure, Lifecycle, OffsetError, StreamState};

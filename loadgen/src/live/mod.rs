//! How a run is doing while it runs.

mod board;

pub use board::*;

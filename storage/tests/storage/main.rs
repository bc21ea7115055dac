//! The engine as a whole: one suite on a real and on a crashing disk, and a model under crashes.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod damaged;
mod faults;
mod fuzz;
mod golden;
mod model;
mod seal;
mod sealing;
mod suite;
mod tail;
mod world;

//! How much a server sustains: the search, the model and the written plan.
//!
//! [`search`] decides what to try, `scale` makes the plan for it, [`measure`] runs it and watches
//! the server's process, [`model`] is fitted to what was seen, and [`report`] says what follows.
//!
//! Invariants: search, scaling, model and report are pure; a number that was not measured is
//! marked as an extrapolation wherever it appears.
//!
//! Deliberately absent: how a run is made, which is a parameter of [`measure::measure`].

pub mod hardware;
mod knob;
mod linear;
pub mod measure;
pub mod model;
pub mod report;
mod scale;
pub mod search;
pub mod usage;

pub use knob::Knob;
pub use scale::{ScaleError, Scaling};

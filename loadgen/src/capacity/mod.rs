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
mod limits;
mod linear;
pub mod measure;
pub mod model;
pub mod report;
mod scale;
pub mod search;
mod text;
mod trial;
pub mod usage;

#[cfg(test)]
mod tests;

pub use knob::Knob;
pub use limits::{Extrapolation, FirstLimit, Resource, ResourceLimit};
pub use linear::{Dropped, Fit, Reason, Term};
pub use scale::{ScaleError, Scaling};
pub use trial::{Seen, TrialRecord};

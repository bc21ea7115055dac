//! What a virtual user knows, sends and checks: variables, templates, data rows, conditions,
//! messages, assertions and extractions.
//!
//! Everything of the plan is compiled once per thread: names become slots, constant texts are
//! joined, search patterns are prepared. [`Names`] hands out the slots; everything that is
//! compiled against one set of names is used with [`Variables`] of the same.
//!
//! Invariants: no panic, whatever a server answers; an operation whose checks hold allocates
//! nothing here, unless its body has to be parsed as JSON.
//!
//! Deliberately absent: clocks, sockets, and randomness that is not the caller's.

mod answer;
mod checks;
mod condition;
mod extract;
mod names;
mod payload;
mod rows;
mod template;
mod text;

pub use answer::Answer;
pub use checks::{CheckFailure, Checks, FailureKind};
pub use condition::{CompiledCondition, holds};
pub use extract::{CompiledExtractions, extract};
pub use names::{Names, Slot, Variables};
pub use payload::Messages;
pub use rows::Rows;
pub use template::{Compiled, Context, Counter, Now, compile, render};

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod speed;

//! What a search changes.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a search changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Knob {
    /// Arrivals per second, of all open groups together.
    Rate,
    /// Users of the groups that have a `tail` step.
    Readers,
    /// Streams, of all sets together.
    Streams,
}

impl Knob {
    /// Whether only whole numbers make sense.
    #[must_use]
    pub fn is_whole(self) -> bool {
        self != Knob::Rate
    }

    /// With its unit, as in `4,800 readers`.
    #[must_use]
    pub fn unit(self) -> &'static str {
        match self {
            Knob::Rate => "per second",
            Knob::Readers => "readers",
            Knob::Streams => "streams",
        }
    }
}

impl fmt::Display for Knob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Knob::Rate => "rate",
            Knob::Readers => "readers",
            Knob::Streams => "streams",
        })
    }
}

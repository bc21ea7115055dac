//! A plan as it lies in files: its text, the properties given on the command line and the data
//! files that it names. This is what goes to the workers of a distributed run.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Everything that a plan is made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanSource {
    /// Where it is from, for messages.
    pub file: PathBuf,
    /// How it is written.
    pub format: PlanFormat,
    /// Its text.
    pub text: String,
    /// `-J name=value`.
    pub properties: BTreeMap<String, String>,
    /// Contents of the data files, by the name that the plan uses.
    pub data: BTreeMap<String, String>,
    /// Leave out elements of a JMX plan that are not known, instead of refusing it.
    pub skip_unknown: bool,
}

/// How a plan is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PlanFormat {
    /// Ours.
    Toml,
    /// JMeter's.
    Jmx,
}

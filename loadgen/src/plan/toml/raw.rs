//! A plan as it is written: tables and fields, nothing judged but names and shapes. The JSON
//! schema is made from this file, so its comments are what an editor shows.
//!
//! Invariant: a name that is not here is refused.
//!
//! Deliberately absent: steps (`raw_steps`), what values mean, and defaults, which are where the
//! plan is made from this.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::kinds::{Bytes, Count, Flag, OneOf, Part, Positive, Rate, SimpleChoice, Text, Time};
use super::leaf::{Either, TemplateText};
use super::raw_steps::RawStep;
use crate::plan::{Arrivals, OnError};

/// A load test plan of `thalweg load`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Plan")]
pub(super) struct RawPlan {
    /// What reports call it. Default: the name of the file.
    pub(super) name: Option<Text>,
    /// Fixes every choice that the run makes. Default: 1.
    pub(super) seed: Option<Count>,
    /// Base URL, below which relative stream paths lie: `http://host:port/v1/stream`, or https.
    pub(super) target: Option<Text>,
    /// At the beginning of the run, excluded from the statistics. Default: "0s".
    pub(super) warm_up: Option<Time>,
    /// After the last operation: how long deliveries may arrive before they are lost.
    /// Default: "5s".
    pub(super) drain: Option<Time>,
    /// New connections per second. Default: 2000.
    pub(super) connect_rate: Option<Rate>,
    /// Speak HTTP/2: by prior knowledge, or chosen in the TLS handshake. Default: false, which is
    /// HTTP/1.1.
    pub(super) http2: Option<Flag>,
    /// Live readers that share a connection of HTTP/2. Default: 100.
    pub(super) readers_per_connection: Option<Count>,
    /// Trust the authorities in this PEM file instead of the system's.
    pub(super) ca: Option<Text>,
    /// Talk to any server over TLS, whatever its certificate says. Default: false.
    pub(super) insecure_skip_verify: Option<Flag>,
    /// Until an answer must have come. Default: "30s".
    pub(super) timeout: Option<Time>,
    /// `Authorization: Bearer` of every request. Default: none.
    pub(super) bearer: Option<TemplateText>,
    /// Header fields of every request.
    #[serde(default)]
    pub(super) headers: BTreeMap<String, TemplateText>,
    /// Variables that every user begins with.
    #[serde(default)]
    pub(super) variables: BTreeMap<String, TemplateText>,
    /// What makes the run fail, such as "p99 < 250ms" or "readers: lost == 0".
    #[serde(default)]
    pub(super) thresholds: Vec<Text>,
    /// The streams that steps work on.
    #[serde(default)]
    pub(super) streams: Vec<RawStreams>,
    /// CSV data sets, each of which sets variables once per iteration.
    #[serde(default)]
    pub(super) data: Vec<RawData>,
    /// Who does what; all begin together.
    #[serde(default)]
    pub(super) groups: Vec<RawGroup>,
}

/// Streams with a common name.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Streams")]
pub(super) struct RawStreams {
    /// What steps call it.
    pub(super) name: Option<Text>,
    /// Relative to the target, or absolute; one of several streams is `<path>/<index>`.
    /// Default: the name.
    pub(super) path: Option<Text>,
    /// Where live readers read, of a server that has another path for them. Default: the path.
    pub(super) live_path: Option<Text>,
    /// How many. Default: 1.
    pub(super) count: Option<Count>,
    /// Which of them an operation takes. Default: "uniform".
    pub(super) choice: Option<Either<OneOf<SimpleChoice>, RawChoice>>,
    /// Of their creation. Default: "application/json".
    pub(super) content_type: Option<Text>,
    /// Create them, or find them there, before the run. Default: true.
    pub(super) create: Option<Flag>,
    /// Delete them after the run. Default: false.
    pub(super) delete: Option<Flag>,
}

/// A choice that favours some streams: Zipf, or a hot spot.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "WeightedChoice")]
pub(super) struct RawChoice {
    /// Zipf: stream number `k` has a weight of `1 / k^exponent`; this is the exponent.
    pub(super) zipf: Option<Positive>,
    /// Hot spot: the part of the streams that is hot.
    pub(super) hot_streams: Option<Part>,
    /// Hot spot: the part of the operations that goes there.
    pub(super) hot_operations: Option<Part>,
}

/// Rows of a CSV file that set variables.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Data")]
pub(super) struct RawData {
    /// The file, relative to the plan.
    pub(super) file: Option<Text>,
    /// Names of the columns' variables. Default: the first row of the file.
    pub(super) variables: Option<Vec<Text>>,
    /// Leave out the first row although `variables` is given. Default: false.
    pub(super) skip_first_row: Option<Flag>,
    /// What separates columns. Default: ",".
    pub(super) delimiter: Option<Text>,
    /// Begin again after the last row; otherwise a user that finds none stops. Default: true.
    pub(super) recycle: Option<Flag>,
}

/// Virtual users that do the same: an open group with `rate`, a closed one with `users`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Group")]
pub(super) struct RawGroup {
    /// What reports call it. Default: "group-1" and so on.
    pub(super) name: Option<Text>,
    /// From the beginning of the run to that of this group. Default: "0s".
    pub(super) delay: Option<Time>,
    /// Open: iterations per second, started whatever came of the earlier ones.
    pub(super) rate: Option<Rate>,
    /// Open: how long at the full rate.
    pub(super) duration: Option<Time>,
    /// Open: how arrivals are spread. Default: "constant".
    pub(super) arrivals: Option<OneOf<Arrivals>>,
    /// Open: iterations under way above which further ones wait. Default: 10000.
    pub(super) max_in_flight: Option<Count>,
    /// Closed: users at the same time.
    pub(super) users: Option<Count>,
    /// Closed: how long with all users. Default: until `iterations` are done.
    pub(super) hold: Option<Time>,
    /// Closed: iterations of each user. Default: without end.
    pub(super) iterations: Option<Count>,
    /// From nothing to the full rate or all users. Default: "0s".
    pub(super) ramp_up: Option<Time>,
    /// And back to nothing. Default: "0s".
    pub(super) ramp_down: Option<Time>,
    /// Instead of the above: one after another, each a line to its `rate` or its `users`.
    #[serde(default)]
    pub(super) stages: Vec<RawStage>,
    /// What a failed operation does to its user. Default: "continue".
    pub(super) on_error: Option<OneOf<OnError>>,
    /// One iteration.
    #[serde(default)]
    pub(super) steps: Vec<RawStep>,
}

/// A stage of a group.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Stage")]
pub(super) struct RawStage {
    /// How long.
    pub(super) duration: Option<Time>,
    /// Open: iterations per second at its end.
    pub(super) rate: Option<Rate>,
    /// Open: iterations per second at its beginning. Default: where the stage before it ended; 0
    /// for the first.
    pub(super) from: Option<Rate>,
    /// Closed: users at its end.
    pub(super) users: Option<Count>,
}

/// The size of a message: uniform, log-normal, or one of several.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SizeDistribution")]
pub(super) struct RawSize {
    /// Uniform: the least.
    pub(super) min: Option<Bytes>,
    /// Uniform and log-normal: the most.
    pub(super) max: Option<Bytes>,
    /// Log-normal: half are smaller.
    pub(super) median: Option<Bytes>,
    /// Log-normal: one in a hundred is larger.
    pub(super) p99: Option<Bytes>,
    /// Some sizes, each with how often it comes.
    pub(super) weighted: Option<Vec<RawWeight>>,
}

/// One of several sizes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "WeightedSize")]
pub(super) struct RawWeight {
    /// How large.
    pub(super) size: Option<Bytes>,
    /// How often, compared with the others.
    pub(super) weight: Option<Positive>,
}

//! What came of a run, complete enough to make every report from it later, and to merge the
//! results of several workers without loss.
//!
//! Invariants: nothing is averaged on the way here, every distribution is a histogram; warm-up is
//! not in it. Times are nanoseconds unless a name says otherwise.
//!
//! Deliberately absent: how results are written ([`crate::output`], [`crate::html`]).

#[doc(hidden)]
pub mod fixture;
pub mod merge;
pub mod notes;
mod secrets;
pub mod thresholds;
mod times;
mod totals;
pub mod units;

use serde::{Deserialize, Serialize};

use crate::plan::PlanSource;

pub use times::Times;

/// Version of the serialized form.
pub const RESULT_FORMAT: u32 = 1;

/// Everything that is known of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunResult {
    /// [`RESULT_FORMAT`].
    pub format: u32,
    /// What ran where.
    pub meta: Meta,
    /// Groups in the plan's order.
    pub groups: Vec<GroupResult>,
    /// Operations by label, in the plan's order.
    pub operations: Vec<OperationResult>,
    /// Deliveries by label of the `tail` step, in the plan's order.
    pub deliveries: Vec<DeliveryResult>,
    /// How late operations were started: the generator's own error.
    pub lateness: Times,
    /// By thread of the generator.
    pub cores: Vec<CoreResult>,
    /// By second and label, in order of time.
    pub intervals: Vec<Interval>,
    /// By second, in order of time.
    pub gauges: Vec<Gauge>,
    /// Failures by label and kind, most frequent first.
    pub errors: Vec<ErrorCount>,
    /// What a reader of the results must know, most important first.
    pub notes: Vec<Note>,
    /// The plan's thresholds and how they came out.
    pub verdicts: Vec<Verdict>,
}

/// What ran where.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Meta {
    /// The plan's name.
    pub plan: String,
    /// The text of the plan's file, without what looks like a secret.
    pub plan_text: String,
    /// SHA-256 of the plan as it was resolved, hexadecimal.
    pub plan_hash: String,
    /// Values given with `-J`.
    pub properties: Vec<(String, String)>,
    /// Of all choices.
    pub seed: u64,
    /// The base URL.
    pub target: String,
    /// HTTP's version, and whether with TLS.
    #[serde(default)]
    pub protocol: String,
    /// Connections that were made for the load, those that were made again included.
    #[serde(default)]
    pub connections: u64,
    /// The server's `Server` field.
    pub server: Option<String>,
    /// Begin of the measured part, milliseconds since 1970.
    pub started_unix_ms: u64,
    /// Length of the measured part, without warm-up and drain.
    pub duration_ms: u64,
    /// From the first connection to the last reader's confirmation.
    pub setup_ms: u64,
    /// This program's version.
    pub version: String,
    /// The machine that made the load.
    pub machine: Machine,
    /// Addresses of the workers of a distributed run.
    pub workers: Vec<String>,
    /// Largest resident memory of the generator's process.
    pub peak_rss_bytes: u64,
    /// CPU time of the generator's process, in total.
    pub cpu_ms: u64,
    /// Whether it was stopped before its end.
    pub interrupted: bool,
    /// What this generator reached in `calibrate` on this machine, if that is known.
    pub ceiling: Option<Ceiling>,
}

impl Meta {
    /// Says which plan was run; `hash` is that of the resolved plan. What is a secret by its name,
    /// in the plan's text or as a property, is left without its value.
    pub fn describe(&mut self, source: &PlanSource, hash: &str) {
        self.plan_text = secrets::mask(&source.text);
        hash.clone_into(&mut self.plan_hash);
        let properties = source.properties.iter().map(|(name, value)| {
            let shown = if secrets::is_secret(name) { secrets::MASK } else { value };
            (name.clone(), shown.to_owned())
        });
        self.properties = properties.collect();
    }
}

/// A machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's name.
    pub cpu: String,
    /// Processors that this process may use.
    pub cpus: u32,
    /// `uname -sr`.
    pub kernel: String,
    /// All of it.
    pub memory_bytes: u64,
}

/// What the generator can do against a server that does nothing, per core.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ceiling {
    /// Checked requests per second, each connection with one under way.
    pub requests_per_second: f64,
    /// Checked appends per second of an open group, several under way on each connection.
    #[serde(default)]
    pub pipelined_per_second: f64,
    /// Checked SSE deliveries per second.
    pub deliveries_per_second: f64,
    /// Cores that it was measured on.
    pub cores: u32,
}

/// A group of virtual users.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupResult {
    /// Its name.
    pub name: String,
    /// Open (arrivals) or closed (users).
    pub open: bool,
    /// Iterations that should have been started in the measured part; of open groups.
    pub intended: u64,
    /// Iterations that were.
    pub started: u64,
    /// Iterations that were due and never began, because as many as may be were under way.
    #[serde(default)]
    pub not_sent: u64,
    /// Most users at the same time.
    pub users: u32,
    /// Per second; of open groups.
    pub intended_rate: f64,
    /// Per second.
    pub achieved_rate: f64,
}

/// Operations with one label.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OperationResult {
    /// The label.
    pub label: String,
    /// Name of the step's type: `append`, `read`, `http`, `transaction` …
    pub kind: String,
    /// That were as they should be.
    pub succeeded: u64,
    /// That were not.
    pub failed: u64,
    /// Bytes of requests, heads included.
    pub bytes_sent: u64,
    /// Bytes of answers, heads included.
    pub bytes_received: u64,
    /// Intended start to the end of the answer; failed ones too.
    pub times: Times,
    /// Actual send to the end of the answer: what a closed loop would have seen.
    pub service: Times,
    /// Intended start to the first byte of the answer.
    pub first_byte: Times,
    /// Time to connect, of the operations that had to.
    pub connect: Times,
}

/// Live deliveries with one label.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeliveryResult {
    /// The label.
    pub label: String,
    /// `sse`, `events`, `long-poll` or `catch-up`.
    pub mode: String,
    /// Readers.
    pub readers: u64,
    /// Deliveries that should have happened.
    pub expected: u64,
    /// Those that did, each message once per reader.
    pub delivered: u64,
    /// The difference.
    pub lost: u64,
    /// Of what a reader had already.
    pub duplicated: u64,
    /// After a message with a higher number.
    pub reordered: u64,
    /// Cut or garbled.
    pub damaged: u64,
    /// Connections made again after the first.
    pub reconnects: u64,
    /// Readers that gave up.
    pub failed_readers: u64,
    /// Bytes of answers, heads included.
    pub bytes_received: u64,
    /// Intended publish to delivery.
    pub times: Times,
    /// Intended publish to the delivery to the last reader, of messages that every reader
    /// got that should have.
    pub last_reader: Times,
    /// Each reader's longest delivery.
    pub reader_max: Times,
    /// Each reader's mean delivery: its spread says whether the server is fair.
    pub reader_mean: Times,
    /// Connect to confirmation.
    pub setup: Times,
    /// What went wrong, by name: `reader 17 of stream 0 lost message 4711 of source 0`. What was
    /// lost comes first. A bounded number.
    pub faults: Vec<String>,
    /// If nothing at all was expected: messages that were acknowledged on the readers' streams all
    /// the same, because no reader was there for them or they carry no stamp.
    #[serde(default)]
    pub unjudged: u64,
}

/// A thread of the generator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CoreResult {
    /// From 0; on worker `w` of a distributed run `w/0`.
    pub name: String,
    /// Operations that it finished.
    pub operations: u64,
    /// Deliveries that it took.
    pub deliveries: u64,
    /// CPU time that it used in the measured part.
    pub cpu_ms: u64,
    /// Wall time of the measured part.
    pub wall_ms: u64,
    /// How late it started operations.
    pub lateness: Times,
}

/// One label in one second.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Its begin, from that of the measured part.
    pub at_ms: u64,
    /// How long.
    pub length_ms: u64,
    /// Of operations or deliveries.
    pub label: String,
    /// Deliveries instead of operations.
    pub deliveries: bool,
    /// That were as they should be.
    pub succeeded: u64,
    /// That were not.
    pub failed: u64,
    /// Bytes received.
    pub bytes: u64,
    /// Distribution of what ended in it.
    pub times: Times,
}

/// What was the case at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gauge {
    /// From the begin of the measured part.
    pub at_ms: u64,
    /// Virtual users.
    pub users: u64,
    /// Connected live readers.
    pub readers: u64,
    /// Requests without an answer.
    pub in_flight: u64,
}

/// Failures of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorCount {
    /// The label.
    pub label: String,
    /// `status 503`, `assertion`, `connect`, `timeout`, `reset`, `malformed answer` …
    pub kind: String,
    /// How many.
    pub count: u64,
    /// The first one's message.
    pub example: String,
}

/// [`ErrorCount::kind`] of operations that were due and never began, because as many were under way
/// as their group allows.
pub const NOT_SENT: &str = "not sent";

/// What a reader of the results must know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Whether the results may mislead who has not read it.
    pub warning: bool,
    /// A word for programs: `generator-late`, `near-ceiling`, `lost`, …
    pub code: String,
    /// A sentence.
    pub text: String,
}

/// A threshold and how it came out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// As it was written.
    pub threshold: String,
    /// The label that it is about, if it is about one.
    #[serde(default)]
    pub label: Option<String>,
    /// The metric's word: `p99.9`, `errors`, `lost`.
    #[serde(default)]
    pub metric: String,
    /// What was observed, in words: `p99 = 12.3 ms`.
    pub observed: String,
    /// Whether it holds.
    pub passed: bool,
}

//! The plan as the engine runs it. Parsed, not validated again: see `toml` and `jmx` for the edge.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::checks::{Assertion, Extraction, Operator, Threshold};
use super::transport::Transport;

/// A whole run.
#[derive(Clone, PartialEq, Debug)]
pub struct Plan {
    /// What reports call it.
    pub name: String,
    /// Fixes every choice that the run makes: same plan and seed, same schedule.
    pub seed: u64,
    /// Base URL below which relative stream paths lie, `http://host:port/v1/stream`; no slash at
    /// the end.
    pub target: String,
    /// At the start of the run, excluded from all statistics.
    pub warm_up: Duration,
    /// How the server is spoken to.
    pub transport: Transport,
    /// After the last operation: how long deliveries may still arrive before they are lost.
    pub drain: Duration,
    /// New connections per second, over all cores.
    pub connect_rate: f64,
    /// Until an answer must have come, from the actual send.
    pub timeout: Duration,
    /// Fields of every request, in order.
    pub fields: Vec<(String, Template)>,
    /// `Authorization: Bearer` of every request.
    pub bearer: Option<Template>,
    /// Variables of every user, at the beginning.
    pub variables: BTreeMap<String, Template>,
    /// The streams that steps choose from, by index.
    pub streams: Vec<StreamSet>,
    /// CSV data sets, each of which sets variables once per iteration.
    pub data: Vec<DataSet>,
    /// Who does what; all start together, each after its own delay.
    pub groups: Vec<Group>,
    /// What makes the run fail.
    pub thresholds: Vec<Threshold>,
}

/// Text with `${name}` references, split at them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Template(pub Vec<Piece>);

/// One part of a template.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Piece {
    /// As it is.
    Text(String),
    /// The value of a variable of the user.
    Variable(String),
    /// A number of the user's generator, both ends included: `${__Random(1,100)}`.
    Random(i64, i64),
    /// Milliseconds since 1970: `${__time()}`.
    TimeMillis,
    /// A random UUID, version 4: `${__UUID()}`.
    Uuid,
    /// The user's number within its group, from 1: `${__threadNum}`.
    UserNumber,
    /// A number that counts up over the whole run from 1: `${__counter(FALSE)}`. On several
    /// cores each counts its own residue, so that values are unique but not dense.
    Counter,
}

/// Streams with a common name, `<path>/<index>`, or exactly `path` when there is one.
#[derive(Clone, PartialEq, Debug)]
pub struct StreamSet {
    /// What steps call it.
    pub name: String,
    /// Relative to the target, or an absolute path.
    pub path: String,
    /// Where live readers read, of a server that has another path for them; formed like `path`.
    /// One stream's may have a query.
    pub live_path: Option<String>,
    /// How many.
    pub count: u32,
    /// Which of them an operation takes.
    pub choice: Choice,
    /// Of their creation.
    pub content_type: String,
    /// Create them (or find them there) before the run; its requests are not part of it.
    pub create: bool,
    /// Delete them after the run.
    pub delete: bool,
}

/// How a stream is chosen for an operation.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Choice {
    /// Each as likely as the other.
    Uniform,
    /// In turn.
    RoundRobin,
    /// Rank `k` with a weight of `1 / k^exponent`.
    Zipf {
        /// Greater than zero.
        exponent: f64,
    },
    /// A few take most.
    HotSpot {
        /// Part of the streams that are hot, in (0, 1).
        streams: f64,
        /// Part of the operations that go there, in (0, 1).
        operations: f64,
    },
    /// User `n` keeps to stream `n % count`.
    PerUser,
}

/// Rows of a CSV file that set variables.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DataSet {
    /// Names of the columns' variables.
    pub variables: Vec<String>,
    /// Rows, each with a value per variable. Read with the plan.
    pub rows: Vec<Vec<String>>,
    /// Where they are from, for messages.
    pub file: PathBuf,
    /// Begin again after the last row; otherwise the user stops.
    pub recycle: bool,
}

/// Virtual users that do the same.
#[derive(Clone, PartialEq, Debug)]
pub struct Group {
    /// What reports call it.
    pub name: String,
    /// How much.
    pub load: Load,
    /// From the beginning of the run to that of this group.
    pub delay: Duration,
    /// One iteration.
    pub steps: Vec<Step>,
    /// What a failed operation does to the user.
    pub on_error: OnError,
}

/// How much load, and what decides when an iteration starts.
#[derive(Clone, PartialEq, Debug)]
pub enum Load {
    /// Open: iterations start when they are due, whatever came of the earlier ones.
    Open {
        /// One after another.
        stages: Vec<RateStage>,
        /// How arrivals are spread.
        arrivals: Arrivals,
        /// Iterations under way at the same time, above which further ones wait (and their
        /// waiting counts as latency).
        max_in_flight: u32,
    },
    /// Closed: so many users, each starting the next iteration when it has finished one.
    Closed {
        /// One after another.
        stages: Vec<UserStage>,
        /// Iterations per user; without end otherwise.
        iterations: Option<u64>,
    },
}

/// Arrival rate, changing linearly.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct RateStage {
    /// How long.
    pub duration: Duration,
    /// Iterations per second at its beginning.
    pub from: f64,
    /// And at its end.
    pub to: f64,
}

/// Users, changing linearly.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UserStage {
    /// How long. Zero: at once.
    pub duration: Duration,
    /// Users at its end; the first stage begins with none.
    pub users: u32,
}

/// How the arrivals of an open group are spread.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arrivals {
    /// At equal distances.
    Constant,
    /// As independent clients come: exponential distances.
    Poisson,
}

/// What a failed operation does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnError {
    /// Nothing further.
    Continue,
    /// The iteration ends.
    NextIteration,
    /// The user stops.
    StopUser,
    /// The run stops.
    StopRun,
}

/// A step of an iteration.
#[derive(Clone, PartialEq, Debug)]
pub enum Step {
    /// An operation that is measured.
    Sample(Box<Sampler>),
    /// A pause.
    Pause(Timer),
    /// Steps again and again.
    Loop {
        /// So often; as long as the user lives otherwise.
        times: Option<u32>,
        /// What.
        steps: Vec<Step>,
    },
    /// Steps under a condition.
    If {
        /// When.
        condition: Condition,
        /// What.
        steps: Vec<Step>,
    },
    /// Steps whose total is reported as one operation beside them.
    Transaction {
        /// Its label.
        label: String,
        /// What.
        steps: Vec<Step>,
        /// Whether pauses within count.
        include_pauses: bool,
    },
}

/// A comparison of two texts; numbers compare as numbers when both are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Condition {
    /// One side.
    pub left: Template,
    /// The comparison.
    pub operator: Operator,
    /// The other.
    pub right: Template,
}

/// A pause of a user.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Timer {
    /// Always the same.
    Constant(Duration),
    /// Between two, each as likely.
    Uniform {
        /// The shortest.
        min: Duration,
        /// The longest.
        max: Duration,
    },
    /// Around a mean; never negative.
    Gaussian {
        /// The mean.
        mean: Duration,
        /// The standard deviation.
        deviation: Duration,
    },
    /// JMeter's Poisson timer: an offset and a Poisson-distributed number of milliseconds.
    Poisson {
        /// Always added.
        offset: Duration,
        /// The mean of the rest.
        lambda: Duration,
    },
    /// Each user holds itself to so many iterations a minute; `shared`: all of the group together.
    ConstantThroughput {
        /// Iterations per minute.
        per_minute: f64,
        /// Of the group instead of each user.
        shared: bool,
    },
    /// The group's iterations start at the times of a Poisson process of this rate.
    PreciseThroughput {
        /// Iterations per second of the group.
        per_second: f64,
    },
}

/// An operation that is measured.
#[derive(Clone, PartialEq, Debug)]
pub struct Sampler {
    /// What reports call it.
    pub label: String,
    /// What it does.
    pub kind: SamplerKind,
    /// Fields of its request beside the plan's.
    pub fields: Vec<(String, Template)>,
    /// All must hold, or the operation failed. Without one on the status, any of 2xx and 304 is
    /// right.
    pub assertions: Vec<Assertion>,
    /// Values to keep for later steps.
    pub extractions: Vec<Extraction>,
}

/// What an operation does. `streams` are indices into [`Plan::streams`].
#[derive(Clone, PartialEq, Debug)]
pub enum SamplerKind {
    /// `PUT` of a new stream, `<chosen>/<run>-<user>-<iteration>` below the set.
    Create {
        /// The set.
        streams: usize,
        /// Whole fields such as `Stream-TTL` go into [`Sampler::fields`]; this is the first body.
        body: Option<Payload>,
    },
    /// `POST` of one message.
    Append {
        /// The set.
        streams: usize,
        /// The message.
        payload: Payload,
    },
    /// `POST` of a JSON array of messages.
    AppendBatch {
        /// The set.
        streams: usize,
        /// Each message.
        payload: Payload,
        /// How many.
        messages: u32,
    },
    /// `POST` with `Producer-Id`, `-Epoch` and `-Seq`; each user is a producer on each stream.
    ProducerAppend {
        /// The set.
        streams: usize,
        /// The message.
        payload: Payload,
    },
    /// `POST` with `Stream-Closed: true`.
    Close {
        /// The set.
        streams: usize,
    },
    /// `GET` after `GET` until the server says up to date: one operation.
    Read {
        /// The set.
        streams: usize,
        /// Where to begin.
        from: From,
        /// Pages at most.
        max_pages: Option<u32>,
    },
    /// A live reader.
    Tail(Tail),
    /// `HEAD`.
    Head {
        /// The set.
        streams: usize,
    },
    /// `DELETE`.
    Delete {
        /// The set.
        streams: usize,
    },
    /// `PUT` of a fork of a stream, `<chosen>-fork-<run>-<user>-<iteration>`.
    Fork {
        /// The set.
        streams: usize,
    },
    /// Any request.
    Http {
        /// The method.
        method: String,
        /// A whole URL, an absolute path, or a path below the target.
        path: Template,
        /// The body.
        body: Template,
    },
}

/// Where a read begins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum From {
    /// `-1`.
    Beginning,
    /// `now`.
    Now,
    /// A token.
    Offset(Template),
}

/// A live reader of one stream. The user stays with it until the group ends.
#[derive(Clone, PartialEq, Debug)]
pub struct Tail {
    /// The set.
    pub streams: usize,
    /// How.
    pub mode: TailMode,
    /// Where it begins; after a reconnect it goes on where it was.
    pub from: From,
    /// Its habits.
    pub behaviour: Behaviour,
    /// What must hold of the messages that it gets.
    pub checks: DeliveryChecks,
}

/// How a live reader reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TailMode {
    /// Server-Sent Events.
    Sse,
    /// Server-Sent Events of a server that speaks no Durable Streams: every event is data, and a
    /// reader that comes back says which event it had last.
    Events,
    /// `live=long-poll`, one request after another.
    LongPoll,
    /// Plain `GET` after `GET`, with a pause when up to date.
    CatchUp {
        /// The pause.
        pause: Duration,
    },
}

/// Habits of a live reader. All off: it stays, and takes what comes at once.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Behaviour {
    /// Reconnect storm: all readers drop their connections together, so often.
    pub storm_every: Option<Duration>,
    /// Churn: a reader leaves after an exponentially distributed time of this mean, and comes back.
    pub stay: Option<Duration>,
    /// How long it stays away then.
    pub away: Duration,
    /// Slow reader: takes at most so many bytes a second.
    pub bytes_per_second: Option<u64>,
}

/// What must hold of deliveries; a breach fails the run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DeliveryChecks {
    /// Nothing missing between the first and the last acknowledged message.
    pub gap_free: bool,
    /// In order.
    pub order: bool,
    /// Nothing twice.
    pub once: bool,
}

impl Default for DeliveryChecks {
    fn default() -> DeliveryChecks {
        DeliveryChecks { gap_free: true, order: true, once: true }
    }
}

/// What a message consists of.
#[derive(Clone, PartialEq, Debug)]
pub enum Payload {
    /// A message that readers can judge: run, sequence and intended time, filled up to a size.
    Stamped(Size),
    /// As written, references filled in.
    Template(Template),
}

/// Bytes of a message.
#[derive(Clone, PartialEq, Debug)]
pub enum Size {
    /// Always the same.
    Constant(u32),
    /// Between two, each as likely.
    Uniform(u32, u32),
    /// Log-normal with this median and this 99th percentile, cut at `max`.
    LogNormal {
        /// Half are smaller.
        median: u32,
        /// One in a hundred is larger.
        p99: u32,
        /// Never more.
        max: u32,
    },
    /// Given sizes with weights; the weights add up to more than zero.
    Weighted(Vec<(u32, f64)>),
}

//! The steps of a plan as they are written.
//!
//! Invariant: a name that is not here is refused.
//!
//! Deliberately absent: what values mean, and that a step is exactly one operation; see `steps`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::kinds::{Bytes, Count, Flag, Mode, OneOf, Rate, SizeComparison};
use super::kinds::{Status, Text, Time};
use super::leaf::{Either, OneOrMany, TemplateText};
use super::raw::RawSize;

/// A step of an iteration: exactly one of the operations, from `create` to `transaction`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Step")]
pub(super) struct RawStep {
    /// What reports call it. Default: the operation's name, with a dash for an underscore.
    pub(super) label: Option<Text>,
    /// Header fields beside the plan's.
    pub(super) headers: BTreeMap<String, TemplateText>,
    /// What must hold of the answer. Default: its status is 2xx or 304.
    pub(super) assert: Vec<RawAssertion>,
    /// Values of the answer that later steps use.
    pub(super) extract: Vec<RawExtraction>,
    /// PUT of a new stream below one of the set.
    pub(super) create: Option<RawCreate>,
    /// POST of one message.
    pub(super) append: Option<RawAppend>,
    /// POST of a JSON array of messages.
    pub(super) append_batch: Option<RawAppendBatch>,
    /// POST of one message by an idempotent producer; each user is one.
    pub(super) producer_append: Option<RawAppend>,
    /// Closes the stream.
    pub(super) close: Option<RawOnStream>,
    /// GET after GET until up to date.
    pub(super) read: Option<RawRead>,
    /// A live reader, for as long as the group lasts.
    pub(super) tail: Option<RawTail>,
    /// HEAD.
    pub(super) head: Option<RawOnStream>,
    /// DELETE.
    pub(super) delete: Option<RawOnStream>,
    /// PUT of a fork.
    pub(super) fork: Option<RawOnStream>,
    /// Any request.
    pub(super) http: Option<RawHttp>,
    /// A pause of the user.
    pub(super) pause: Option<Either<Time, RawTimer>>,
    /// Steps again and again.
    #[serde(rename = "loop")]
    pub(super) repeat: Option<RawLoop>,
    /// Steps under a condition.
    #[serde(rename = "if")]
    pub(super) condition: Option<RawIf>,
    /// Steps whose total is reported as one operation beside them.
    pub(super) transaction: Option<RawTransaction>,
}

/// An operation on a stream.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "OnStream")]
pub(super) struct RawOnStream {
    /// The name of the set. Default: the plan's only one.
    pub(super) stream: Option<Text>,
}

/// Creates a stream.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Create")]
pub(super) struct RawCreate {
    /// The name of the set. Default: the plan's only one.
    pub(super) stream: Option<Text>,
    /// The first message, stamped and filled up to this size. Default: none.
    pub(super) size: Option<Either<Bytes, RawSize>>,
    /// The first message as text. Default: none.
    pub(super) body: Option<TemplateText>,
}

/// Appends one message.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Append")]
pub(super) struct RawAppend {
    /// The name of the set. Default: the plan's only one.
    pub(super) stream: Option<Text>,
    /// A stamped message, which readers can judge, filled up to this size. Default: 100.
    pub(super) size: Option<Either<Bytes, RawSize>>,
    /// The message as text, instead of a stamped one.
    pub(super) body: Option<TemplateText>,
}

/// Appends several messages with one request.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AppendBatch")]
pub(super) struct RawAppendBatch {
    /// The name of the set. Default: the plan's only one.
    pub(super) stream: Option<Text>,
    /// How many messages. Default: 10.
    pub(super) messages: Option<Count>,
    /// The size of each. Default: 100.
    pub(super) size: Option<Either<Bytes, RawSize>>,
    /// Each message as JSON text, instead of a stamped one.
    pub(super) body: Option<TemplateText>,
}

/// Reads to the end.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Read")]
pub(super) struct RawRead {
    /// The name of the set. Default: the plan's only one.
    pub(super) stream: Option<Text>,
    /// "beginning", "now" or an offset. Default: "beginning".
    pub(super) from: Option<TemplateText>,
    /// Answers at most. Default: until up to date.
    pub(super) max_pages: Option<Count>,
}

/// A live reader.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Tail")]
pub(super) struct RawTail {
    /// The name of the set. Default: the plan's only one.
    pub(super) stream: Option<Text>,
    /// How it reads. Default: "sse".
    pub(super) mode: Option<OneOf<Mode>>,
    /// Catch-up: the pause when it is up to date. Default: "100ms".
    pub(super) pause: Option<Time>,
    /// "beginning", "now" or an offset. Default: "now".
    pub(super) from: Option<TemplateText>,
    /// Reconnect storm: all readers drop their connections together, so often. Default: never.
    pub(super) storm_every: Option<Time>,
    /// Churn: it leaves after an exponentially distributed time of this mean, and comes back.
    /// Default: it stays.
    pub(super) stay: Option<Time>,
    /// Churn: how long it stays away. Default: "0s".
    pub(super) away: Option<Time>,
    /// Slow reader: takes at most so many bytes a second. Default: all at once.
    pub(super) bytes_per_second: Option<Bytes>,
    /// A message that is missing fails the run. Default: true.
    pub(super) gap_free: Option<Flag>,
    /// A message out of order fails the run. Default: true.
    pub(super) order: Option<Flag>,
    /// A message that comes twice fails the run. Default: true.
    pub(super) once: Option<Flag>,
}

/// Any request.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Http")]
pub(super) struct RawHttp {
    /// Default: "GET".
    pub(super) method: Option<Text>,
    /// A whole URL, an absolute path, or a path below the target.
    pub(super) path: Option<TemplateText>,
    /// Default: none.
    pub(super) body: Option<TemplateText>,
}

/// A pause: uniform, Gaussian, Poisson, or what a throughput leaves.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Timer")]
pub(super) struct RawTimer {
    /// Uniform: the shortest.
    pub(super) min: Option<Time>,
    /// Uniform: the longest.
    pub(super) max: Option<Time>,
    /// Gaussian: the mean.
    pub(super) mean: Option<Time>,
    /// Gaussian: the standard deviation.
    pub(super) deviation: Option<Time>,
    /// Poisson: always added. Default: "0s".
    pub(super) offset: Option<Time>,
    /// Poisson: the mean of the rest.
    pub(super) lambda: Option<Time>,
    /// Constant throughput: each user's iterations.
    pub(super) constant_throughput: Option<Rate>,
    /// Constant throughput: of the whole group instead of each user. Default: false.
    pub(super) shared: Option<Flag>,
    /// Precise throughput: the group's iterations, as a Poisson process.
    pub(super) precise_throughput: Option<Rate>,
}

/// Steps again and again.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Loop")]
pub(super) struct RawLoop {
    /// So often. Default: as long as the user lives.
    pub(super) times: Option<Count>,
    /// What.
    #[serde(default)]
    pub(super) steps: Vec<RawStep>,
}

/// Steps under a condition.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "If")]
pub(super) struct RawIf {
    /// A comparison such as "${state} == ready"; operators are ==, !=, <, <=, > and >=.
    pub(super) condition: Option<TemplateText>,
    /// What.
    #[serde(default)]
    pub(super) steps: Vec<RawStep>,
}

/// Steps that are reported together.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Transaction")]
pub(super) struct RawTransaction {
    /// Whether pauses within count. Default: false.
    pub(super) include_pauses: Option<Flag>,
    /// What.
    #[serde(default)]
    pub(super) steps: Vec<RawStep>,
}

/// What must hold of an answer: exactly one of these.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Assertion")]
pub(super) struct RawAssertion {
    /// Its status is one of these: 200, "2xx", "200-204".
    pub(super) status: Option<OneOrMany<Status>>,
    /// A header field.
    pub(super) header: Option<RawTextCheck>,
    /// The body.
    pub(super) body: Option<RawTextCheck>,
    /// A value in a JSON body: a path in it, or a table that says more.
    pub(super) json_path: Option<Either<Text, RawJsonPath>>,
    /// No longer than this, from the intended start.
    pub(super) duration: Option<Time>,
    /// Bytes of the body: 100, "<= 4KiB".
    pub(super) size: Option<SizeComparison>,
}

/// A check of a text: exactly one of `equals`, `contains`, `find` and `matches`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TextCheck")]
pub(super) struct RawTextCheck {
    /// Of a header field: which one.
    pub(super) name: Option<Text>,
    /// The whole is one of these.
    pub(super) equals: Option<OneOrMany<TemplateText>>,
    /// One of these is in it.
    pub(super) contains: Option<OneOrMany<TemplateText>>,
    /// One of these regular expressions matches somewhere.
    pub(super) find: Option<OneOrMany<Text>>,
    /// One of these regular expressions matches the whole.
    pub(super) matches: Option<OneOrMany<Text>>,
    /// The opposite must hold. Default: false.
    pub(super) not: Option<Flag>,
}

/// A check of a value in a JSON body.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "JsonPath")]
pub(super) struct RawJsonPath {
    /// Where, as in RFC 9535.
    pub(super) path: Option<Text>,
    /// Its text or JSON. Default: it is enough that it is there.
    pub(super) equals: Option<TemplateText>,
    /// The opposite must hold. Default: false.
    pub(super) not: Option<Flag>,
}

/// A value of an answer that is kept: exactly one of `header`, `json_path` and `regex`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Extraction")]
pub(super) struct RawExtraction {
    /// The variable that it sets.
    pub(super) variable: Option<Text>,
    /// The value of this header field.
    pub(super) header: Option<Text>,
    /// The value at this place of a JSON body, as in RFC 9535.
    pub(super) json_path: Option<Text>,
    /// The first group of this regular expression in the body.
    pub(super) regex: Option<Text>,
    /// If there is none. Default: "".
    pub(super) default: Option<Text>,
}

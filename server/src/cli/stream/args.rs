//! The words and flags of `thalweg stream`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::cli::exit::EXIT_CODES;
use crate::config::value;

/// `thalweg stream ...`
#[derive(Args, Debug)]
#[command(after_help = EXIT_CODES)]
pub struct StreamArgs {
    #[command(flatten)]
    pub(super) connection: ConnectionArgs,
    #[command(subcommand)]
    pub(super) command: StreamCommand,
}

/// Where the server is and who asks.
#[derive(Args, Debug)]
pub(super) struct ConnectionArgs {
    /// Base URL that stream paths are joined to
    #[arg(long, global = true, env = "STREAM_URL", value_name = "URL", default_value = LOCAL_URL)]
    pub(super) url: String,

    /// Authorization field; a value without a space is sent as a Bearer token
    #[arg(long, global = true, env = "STREAM_AUTH", value_name = "AUTH", hide_env_values = true)]
    pub(super) auth: Option<String>,

    /// Trust the authorities in this PEM file instead of the system's
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) ca: Option<PathBuf>,

    /// Talk to any server over TLS, whatever its certificate says: for tests only
    #[arg(long, global = true, conflicts_with = "ca")]
    pub(super) insecure_skip_verify: bool,

    /// Speak HTTP/2 from the first byte on; over TLS it is chosen without this
    #[arg(long, global = true)]
    pub(super) http2: bool,

    /// Say on stderr what happens, offsets included
    #[arg(long, short, global = true)]
    pub(super) verbose: bool,
}

/// What to do with which stream.
#[derive(Subcommand, Debug)]
#[command(after_help = EXIT_CODES)]
pub(super) enum StreamCommand {
    /// Create a stream, or make sure it exists with this configuration
    Create(CreateArgs),
    /// Append data from an argument, a file or stdin
    Append(AppendArgs),
    /// Write a stream's data to stdout
    Read(ReadArgs),
    /// Write what is appended from now on: read --from now --follow
    Tail(TailArgs),
    /// Print a stream's metadata
    Head(HeadArgs),
    /// Close a stream: nothing can be appended any more
    Close(CloseArgs),
    /// Delete a stream and its data
    Delete(DeleteArgs),
    /// Create a stream that starts with another one's data
    Fork(ForkArgs),
    /// List streams (an extension of this server)
    List(ListArgs),
}

#[derive(Args, Debug)]
#[command(after_help = EXIT_CODES)]
pub(super) struct CreateArgs {
    /// URL, or path below --url
    pub(super) stream: String,
    /// Content type of the stream [server default: application/octet-stream]
    #[arg(long, short = 't', value_name = "TYPE")]
    pub(super) content_type: Option<String>,
    /// Short for --content-type application/json
    #[arg(long, conflicts_with = "content_type")]
    pub(super) json: bool,
    /// Expire after so many idle seconds
    #[arg(long, value_name = "SECONDS", conflicts_with = "expires_at")]
    pub(super) ttl: Option<u64>,
    /// Expire at an instant, such as 2030-01-01T00:00:00Z
    #[arg(long, value_name = "RFC3339")]
    pub(super) expires_at: Option<String>,
    /// Keep at least so many bytes, such as 64MiB, and drop what is older; 0: keep all (an
    /// extension of this server)
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(super) retention_bytes: Option<u64>,
    /// Keep data at least so long, in seconds or such as 7d; 0: for ever (an extension of this
    /// server)
    #[arg(long, value_name = "DURATION", value_parser = seconds)]
    pub(super) retention: Option<u64>,
    /// Create it closed: the initial data is all there will ever be
    #[arg(long)]
    pub(super) closed: bool,
    /// Initial data
    #[arg(long, value_name = "DATA", conflicts_with = "stdin")]
    pub(super) data: Option<String>,
    /// Take the initial data from stdin
    #[arg(long)]
    pub(super) stdin: bool,
}

#[derive(Args, Debug)]
#[command(after_help = EXIT_CODES)]
pub(super) struct AppendArgs {
    /// URL, or path below --url
    pub(super) stream: String,
    /// The data; without it and without --file, stdin is read to its end
    #[arg(conflicts_with = "file")]
    pub(super) data: Option<String>,
    /// Read the data from a file
    #[arg(long, short, value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
    /// The data is JSON lines: each line is one message, sent in batches
    #[arg(long, conflicts_with = "content_type")]
    pub(super) json: bool,
    /// Content type of the data [default: what the stream has]
    #[arg(long, short = 't', value_name = "TYPE")]
    pub(super) content_type: Option<String>,
    /// Append exactly once under this producer id; network errors are retried
    #[arg(long, value_name = "ID")]
    pub(super) producer_id: Option<String>,
    /// The producer's epoch: raise it with every run under the same id
    #[arg(long, value_name = "N", default_value_t = 0, requires = "producer_id")]
    pub(super) producer_epoch: u64,
    /// Sequence number of the first append of this run
    #[arg(long, value_name = "N", default_value_t = 0, requires = "producer_id")]
    pub(super) producer_seq: u64,
    /// Stream-Seq of the append: must be greater than every earlier one
    #[arg(long, value_name = "SEQ")]
    pub(super) seq: Option<String>,
    /// Append only if the stream ends at this offset (an extension of this server)
    #[arg(long, value_name = "OFFSET")]
    pub(super) expected_offset: Option<String>,
    /// Close the stream with the last append
    #[arg(long)]
    pub(super) close: bool,
}

#[derive(Args, Debug, Clone)]
#[command(after_help = EXIT_CODES)]
pub(super) struct ReadArgs {
    /// URL, or path below --url
    pub(super) stream: String,
    /// Where to start: an offset, start or now
    #[arg(long, value_name = "OFFSET", default_value = "start", allow_hyphen_values = true)]
    pub(super) from: String,
    /// One JSON message a line
    #[arg(long)]
    pub(super) json: bool,
    /// Go on with what is appended, until the stream is closed
    #[arg(long, short)]
    pub(super) follow: bool,
    /// How to follow
    #[arg(long, value_enum, default_value_t = LiveMode::Sse)]
    pub(super) mode: LiveMode,
}

#[derive(Args, Debug)]
#[command(after_help = EXIT_CODES)]
pub(super) struct TailArgs {
    /// URL, or path below --url
    pub(super) stream: String,
    /// One JSON message a line
    #[arg(long)]
    pub(super) json: bool,
    /// How to follow
    #[arg(long, value_enum, default_value_t = LiveMode::Sse)]
    pub(super) mode: LiveMode,
}

impl TailArgs {
    pub(super) fn to_read(&self) -> ReadArgs {
        ReadArgs {
            stream: self.stream.clone(),
            from: FROM_NOW.to_owned(),
            json: self.json,
            follow: true,
            mode: self.mode,
        }
    }
}

/// How live data is asked for.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum LiveMode {
    Sse,
    LongPoll,
}

#[derive(Args, Debug)]
#[command(after_help = EXIT_CODES)]
pub(super) struct HeadArgs {
    /// URL, or path below --url
    pub(super) stream: String,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Args, Debug)]
#[command(after_help = EXIT_CODES)]
pub(super) struct CloseArgs {
    /// URL, or path below --url
    pub(super) stream: String,
    /// Final data, appended in the same step
    pub(super) data: Option<String>,
    /// Content type of the final data [default: what the stream has]
    #[arg(long, short = 't', value_name = "TYPE")]
    pub(super) content_type: Option<String>,
}

#[derive(Args, Debug)]
#[command(after_help = EXIT_CODES)]
pub(super) struct DeleteArgs {
    /// URL, or path below --url
    pub(super) stream: String,
}

#[derive(Args, Debug)]
#[command(after_help = EXIT_CODES)]
pub(super) struct ForkArgs {
    /// The stream to fork: URL, or path below --url
    pub(super) source: String,
    /// The new stream: URL, or path below --url
    pub(super) target: String,
    /// Inherit up to this offset [default: all]
    #[arg(long, value_name = "OFFSET", allow_hyphen_values = true)]
    pub(super) offset: Option<String>,
    /// Inherit so many messages (JSON) or bytes beyond --offset
    #[arg(long, value_name = "COUNT")]
    pub(super) sub_offset: Option<u64>,
}

#[derive(Args, Debug)]
#[command(after_help = EXIT_CODES)]
pub(super) struct ListArgs {
    /// Only paths that start with this
    #[arg(long, value_name = "PREFIX")]
    pub(super) prefix: Option<String>,
    /// So many streams at most [default: all]
    #[arg(long, value_name = "COUNT")]
    pub(super) limit: Option<usize>,
    /// One JSON object a line, with all that is known
    #[arg(long)]
    pub(super) json: bool,
}

/// Bytes, with or without a unit.
fn size(text: &str) -> Result<u64, String> {
    value::bytes(&text.into())
        .ok_or_else(|| "expected bytes, or a size in KiB, MiB, GiB or TiB".to_owned())
}

/// Seconds, or a duration with a unit.
fn seconds(text: &str) -> Result<u64, String> {
    let expected = || "expected seconds, or a duration in s, m, h or d".to_owned();
    if let Ok(seconds) = text.parse() {
        return Ok(seconds);
    }
    let duration = value::duration(&text.into()).ok_or_else(expected)?;
    if duration.subsec_millis() == 0 { Ok(duration.as_secs()) } else { Err(expected()) }
}

/// `--from now`
pub(super) const FROM_NOW: &str = "now";
/// `--from start`
pub(super) const FROM_START: &str = "start";
const LOCAL_URL: &str = "http://127.0.0.1:4437/v1/stream";

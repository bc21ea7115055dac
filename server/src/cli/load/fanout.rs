//! `thalweg load fanout`: the main scenario in one line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use thalweg_loadgen::plan::{FanoutOptions, TailMode, Transport, parse_duration};

use super::execute::execute;
use super::exit::{Exit, Failure};
use super::generator::GeneratorArgs;
use super::plan::{OverrideArgs, Ready};
use super::results::ResultArgs;
use super::say;

/// The arguments of `thalweg load fanout`.
#[derive(Args, Debug)]
pub struct FanoutArgs {
    /// The stream, like http://127.0.0.1:4437/v1/stream/x or https://...; created as JSON unless
    /// it exists
    #[arg(long)]
    url: String,
    /// Live readers: one connection each, unless they share connections of HTTP/2
    #[arg(long, value_name = "N", default_value_t = 1000)]
    readers: u32,
    /// Messages per second
    #[arg(long, value_name = "N", default_value = "5")]
    rate: f64,
    /// How long messages are published, like 30s or 5m
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = parse_duration)]
    duration: Duration,
    /// Of it, at the beginning: not measured
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = parse_duration)]
    warm_up: Duration,
    /// How long after the last message deliveries still count
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    drain: Duration,
    /// How the readers read
    #[arg(long, value_enum, default_value = "sse")]
    mode: Mode,
    /// Bytes of a message
    #[arg(long, value_name = "BYTES", default_value_t = 100)]
    payload: u32,
    /// Streams, named URL/0 and so on if there are several; readers are spread over them
    #[arg(long, value_name = "N", default_value_t = 1)]
    streams: u32,
    /// New connections per second during the set-up
    #[arg(long, value_name = "N", default_value = "5000")]
    connect_rate: f64,
    /// Speak HTTP/2: from the first byte on, or chosen in the TLS handshake
    #[arg(long)]
    http2: bool,
    /// Live readers that share a connection of HTTP/2 [default: 100]
    #[arg(long, value_name = "N", requires = "http2")]
    readers_per_connection: Option<u32>,
    /// Trust the authorities in this PEM file instead of the system's
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Talk to any server over TLS, whatever its certificate says: for tests only
    #[arg(long, conflicts_with = "ca")]
    insecure_skip_verify: bool,
    /// Print this as a plan for `thalweg load run`, and end
    #[arg(long)]
    print_plan: bool,
    #[command(flatten)]
    overrides: OverrideArgs,
    #[command(flatten)]
    results: ResultArgs,
    #[command(flatten)]
    generator: GeneratorArgs,
}

/// How a live reader reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Mode {
    /// Server-Sent Events
    Sse,
    /// One long poll after another
    LongPoll,
    /// A plain read every 100 ms
    CatchUp,
}

const CATCH_UP_PAUSE: Duration = Duration::from_millis(100);

pub(super) fn main(args: &FanoutArgs) -> Result<Exit, Failure> {
    let options = args.options();
    options.check()?;
    let source = options.source();
    if args.print_plan {
        say(&source.text)?;
        return Ok(Exit::Passed);
    }
    let mut ready = Ready::of(source, &args.overrides)?;
    ready.add_thresholds(&args.results.thresholds)?;
    execute(&ready, &args.generator.generator()?, &args.results)
}

impl FanoutArgs {
    fn transport(&self) -> Transport {
        let readers = Transport::default().readers_per_connection;
        Transport {
            http2: self.http2,
            readers_per_connection: self.readers_per_connection.unwrap_or(readers),
            ca: self.ca.clone(),
            insecure_skip_verify: self.insecure_skip_verify,
        }
    }

    fn options(&self) -> FanoutOptions {
        let defaults = FanoutOptions::default();
        FanoutOptions {
            url: self.url.clone(),
            readers: self.readers,
            rate: self.rate,
            duration: self.duration,
            warm_up: self.warm_up,
            drain: self.drain,
            mode: match self.mode {
                Mode::Sse => TailMode::Sse,
                Mode::LongPoll => TailMode::LongPoll,
                Mode::CatchUp => TailMode::CatchUp { pause: CATCH_UP_PAUSE },
            },
            payload_bytes: self.payload,
            streams: self.streams,
            connect_rate: self.connect_rate,
            transport: self.transport(),
            seed: self.overrides.seed.unwrap_or(defaults.seed),
            ..defaults
        }
    }
}

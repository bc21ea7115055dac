//! `thalweg load fanout`: the main scenario in one line.

use std::time::Duration;

use clap::{Args, ValueEnum};
use thalweg_loadgen::plan::{FanoutOptions, TailMode, parse_duration};

use super::execute::execute;
use super::exit::{Exit, Failure};
use super::generator::GeneratorArgs;
use super::plan::{OverrideArgs, Ready};
use super::results::ResultArgs;
use super::say;

/// The arguments of `thalweg load fanout`.
#[derive(Args, Debug)]
pub struct FanoutArgs {
    /// The stream, like http://127.0.0.1:4437/v1/stream/x; created as JSON unless it exists
    #[arg(long)]
    url: String,
    /// Live readers, one connection each
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
            seed: self.overrides.seed.unwrap_or(defaults.seed),
            ..defaults
        }
    }
}

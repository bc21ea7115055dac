//! `cargo run --release -p thalweg-loadgen --example append -- --url URL`: closed-loop appends.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use thalweg_loadgen::append::{AppendPlan, run};
use thalweg_loadgen::target::Target;

/// Closed-loop appends over many streams.
#[derive(Parser)]
struct Args {
    /// The streams are made below this URL.
    #[arg(long)]
    url: String,
    /// Connections, each with one request under way.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Streams.
    #[arg(long, default_value_t = 1000)]
    streams: usize,
    /// Bytes of each message.
    #[arg(long, default_value_t = 100)]
    payload: usize,
    /// Seconds.
    #[arg(long, default_value_t = 10)]
    duration: u64,
}

fn main() -> ExitCode {
    let Args { url, connections, streams, payload, duration } = Args::parse();
    let duration = Duration::from_secs(duration);
    let result = Target::parse(&url).and_then(|target| {
        run(&AppendPlan { target, connections, streams, payload_bytes: payload, duration })
    });
    match result {
        Ok(report) => {
            println!("{report}");
            ExitCode::from(u8::from(report.refused + report.broken > 0))
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

//! `cargo run --release -p thalweg-loadgen --example fanout -- --url URL`: many SSE readers on
//! one stream. Exits with 1 if a reader did not get everything, once, in order.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use thalweg_loadgen::fanout::{FanoutPlan, run};
use thalweg_loadgen::target::Target;

/// Many SSE readers on one stream.
#[derive(Parser)]
struct Args {
    /// The stream; created unless it exists.
    #[arg(long)]
    url: String,
    /// SSE readers.
    #[arg(long, default_value_t = 10_000)]
    readers: u32,
    /// Messages per second.
    #[arg(long, default_value_t = 5.0)]
    rate: f64,
    /// Messages to publish.
    #[arg(long, default_value_t = 100)]
    messages: u32,
    /// Bytes of each message.
    #[arg(long, default_value_t = 100)]
    payload: usize,
    /// Seconds after the last message during which deliveries still count.
    #[arg(long, default_value_t = 10)]
    drain: u64,
}

fn main() -> ExitCode {
    let Args { url, readers, rate, messages, payload, drain } = Args::parse();
    let drain = Duration::from_secs(drain);
    let result = Target::parse(&url).and_then(|target| {
        run(&FanoutPlan { target, readers, messages, payload_bytes: payload, rate, drain })
    });
    match result {
        Ok(report) => {
            println!("{report}");
            ExitCode::from(u8::from(!report.is_clean()))
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

//! `cargo run --release -p thalweg-loadgen --example fanout -- --url URL`: many live readers on
//! one stream. Exits with 1 if a reader did not get everything, once, in order.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use thalweg_loadgen::engine::{RunOptions, run};
use thalweg_loadgen::plan::{FanoutOptions, TailMode, fanout};

/// Many live readers on one stream.
#[derive(Parser)]
struct Args {
    /// The stream; created unless it exists.
    #[arg(long)]
    url: String,
    /// Live readers.
    #[arg(long, default_value_t = 10_000)]
    readers: u32,
    /// Messages per second.
    #[arg(long, default_value_t = 5.0)]
    rate: f64,
    /// Seconds.
    #[arg(long, default_value_t = 20)]
    duration: u64,
    /// Bytes of each message.
    #[arg(long, default_value_t = 100)]
    payload: u32,
    /// Long-poll instead of SSE.
    #[arg(long)]
    long_poll: bool,
}

fn main() -> ExitCode {
    let Args { url, readers, rate, duration, payload, long_poll } = Args::parse();
    let plan = fanout(&FanoutOptions {
        url,
        readers,
        rate,
        duration: Duration::from_secs(duration),
        payload_bytes: payload,
        mode: if long_poll { TailMode::LongPoll } else { TailMode::Sse },
        ..FanoutOptions::default()
    });
    match run(&plan, &RunOptions::default()) {
        Ok(result) => {
            for delivery in &result.deliveries {
                let ms = |percentile| delivery.times.percentile(percentile) as f64 / 1e6;
                println!("readers {}, set-up {} ms", delivery.readers, result.meta.setup_ms);
                println!(
                    "delivered {} of {}: {} lost, {} duplicated, {} reordered",
                    delivery.delivered,
                    delivery.expected,
                    delivery.lost,
                    delivery.duplicated,
                    delivery.reordered
                );
                println!("p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms", ms(50.0), ms(99.0), ms(100.0));
            }
            for group in &result.groups {
                println!(
                    "{}: {:.2} of {:.2}/s",
                    group.name, group.achieved_rate, group.intended_rate
                );
            }
            println!("lateness p99 {} us", result.lateness.percentile(99.0) / 1000);
            println!("peak memory {} KiB", result.meta.peak_rss_bytes / 1024);
            for error in &result.errors {
                println!("{} x {} {}: {}", error.count, error.label, error.kind, error.example);
            }
            let clean = result
                .deliveries
                .iter()
                .all(|one| one.lost + one.duplicated + one.reordered + one.damaged == 0);
            ExitCode::from(u8::from(!clean))
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

//! Benchmarks of the server on this machine: a real process on the first CPU, the load generator
//! on the last one, several rounds, medians.
//!
//! `cargo run --release -p bench -- append` or `fanout`. Deliberately absent for now: floors,
//! peers and interleaving, without which no figure from here says who is faster.

#![forbid(unsafe_code)]

mod machine;
mod server;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use thalweg_loadgen::append::AppendPlan;
use thalweg_loadgen::fanout::FanoutPlan;
use thalweg_loadgen::target::Target;
use thalweg_loadgen::{append, fanout};

use machine::Cpus;
use server::Server;

type Failure = Box<dyn std::error::Error>;

/// Measures the server on this machine.
#[derive(Parser)]
struct Args {
    /// The server's binary; built by `cargo build --release`.
    #[arg(long, default_value = "target/release/thalweg")]
    server: PathBuf,
    /// Rounds; figures are medians of them.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// When an append is acknowledged: sync, async or memory.
    #[arg(long, default_value = "sync")]
    durability: String,
    #[command(subcommand)]
    suite: Suite,
}

#[derive(Subcommand)]
enum Suite {
    /// Closed-loop appends of 100 bytes over 1,000 streams.
    Append {
        /// Connections, each with one request under way.
        #[arg(long, default_values_t = [1, 64, 512])]
        connections: Vec<usize>,
        /// Seconds of a round.
        #[arg(long, default_value_t = 5)]
        seconds: u64,
    },
    /// SSE readers of one stream.
    Fanout {
        /// Readers.
        #[arg(long, default_value_t = 10_000)]
        readers: u32,
        /// Messages per second.
        #[arg(long, default_value_t = 5.0)]
        rate: f64,
        /// Messages of a round.
        #[arg(long, default_value_t = 50)]
        messages: u32,
    },
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), Failure> {
    let cpus = Cpus::split()?;
    println!("{}", machine::describe());
    println!(
        "server on CPU {}, load on CPU {}, durability {}",
        cpus.server, cpus.load, args.durability
    );
    match &args.suite {
        Suite::Append { connections, seconds } => {
            for connections in connections {
                bench_append(args, &cpus, *connections, Duration::from_secs(*seconds))?;
            }
            Ok(())
        }
        Suite::Fanout { readers, rate, messages } => {
            bench_fanout(args, &cpus, *readers, *rate, *messages)
        }
    }
}

fn bench_append(
    args: &Args,
    cpus: &Cpus,
    connections: usize,
    duration: Duration,
) -> Result<(), Failure> {
    let (mut rates, mut p50, mut p99) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..args.rounds {
        let server = Server::start(cpus, &args.server, &args.durability)?;
        let target = Target::parse(&server.url("bench"))?;
        let plan = AppendPlan { target, connections, streams: 1000, payload_bytes: 100, duration };
        let report = append::run(&plan)?;
        if report.refused + report.broken > 0 {
            return Err(format!("{} appends failed", report.refused + report.broken).into());
        }
        rates.push(report.rate());
        p50.push(micros(report.latency.p50));
        p99.push(micros(report.latency.p99));
    }
    let (rate, p50, p99) = (median(rates), median(p50), median(p99));
    println!(
        "append  {connections:>4} connections: {rate:>9.0} /s, p50 {p50:.0} us, p99 {p99:.0} us"
    );
    Ok(())
}

fn bench_fanout(
    args: &Args,
    cpus: &Cpus,
    readers: u32,
    rate: f64,
    messages: u32,
) -> Result<(), Failure> {
    let (mut p50, mut p99, mut cpu) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..args.rounds {
        let server = Server::start(cpus, &args.server, &args.durability)?;
        let target = Target::parse(&server.url("bench"))?;
        let drain = Duration::from_secs(10);
        let plan = FanoutPlan { target, readers, messages, payload_bytes: 100, rate, drain };
        let report = fanout::run(&plan)?;
        if !report.is_clean() {
            return Err(
                format!("a reader did not get everything once and in order:\n{report}").into()
            );
        }
        p50.push(micros(report.delivery.p50));
        p99.push(micros(report.delivery.p99));
        cpu.push(server.cpu_seconds()? * 1e6 / report.delivered as f64);
    }
    let (p50, p99, cpu) = (median(p50) / 1e3, median(p99) / 1e3, median(cpu));
    println!(
        "fanout {readers:>5} readers, {rate} messages/s: p50 {p50:.1} ms, p99 {p99:.1} ms, \
         {cpu:.1} us of CPU per delivery"
    );
    Ok(())
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        len if len % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert!(median(Vec::new()).is_nan());
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
    }
}

//! Benchmarks of the server on this machine: a real process on the first CPU, the load generator
//! on the last one, several rounds, medians.
//!
//! `cargo run --release -p bench -- append` or `fanout`. Deliberately absent for now: floors,
//! peers and interleaving, without which no figure from here says who is faster.

#![forbid(unsafe_code)]

mod instructions;
mod machine;
mod programs;
mod server;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use thalweg_loadgen::engine::{self, RunOptions};
use thalweg_loadgen::plan::{AppendOptions, FanoutOptions, append, fanout};
use thalweg_loadgen::result::{DeliveryResult, RunResult, Times};

use machine::Cpus;
use programs::ProgramArgs;
use server::Server;

type Failure = Box<dyn std::error::Error + Send + Sync>;

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
        connections: Vec<u32>,
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
    /// Instructions per append and per delivery, counted by valgrind.
    Instructions,
    /// Runs a program of our own until it is killed.
    #[command(hide = true)]
    Program {
        /// Which.
        name: String,
        #[command(flatten)]
        args: ProgramArgs,
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
    if let Suite::Program { name, args } = &args.suite {
        let run =
            programs::by_name(name).ok_or_else(|| format!("no program is called {name:?}"))?;
        return run(args);
    }
    if let Suite::Instructions = &args.suite {
        return instructions::run(&args.server);
    }
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
        Suite::Program { .. } | Suite::Instructions => Ok(()),
    }
}

fn bench_append(
    args: &Args,
    cpus: &Cpus,
    connections: u32,
    duration: Duration,
) -> Result<(), Failure> {
    let (mut rates, mut p50, mut p99) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..args.rounds {
        let server = Server::start(cpus, &args.server, &args.durability)?;
        let url = server.url("bench");
        let plan =
            append(&AppendOptions { url, connections, duration, ..AppendOptions::default() });
        let result = engine::run(&plan, &RunOptions::default())?;
        let operation = &result.operations[0];
        if operation.failed > 0 {
            return Err(format!("{} appends failed: {:?}", operation.failed, result.errors).into());
        }
        rates.push(operation.succeeded as f64 * 1e3 / result.meta.duration_ms as f64);
        p50.push(micros(&operation.times, 50.0));
        p99.push(micros(&operation.times, 99.0));
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
        let url = server.url("bench");
        let duration = Duration::from_secs_f64(f64::from(messages) / rate);
        let plan =
            fanout(&FanoutOptions { url, readers, rate, duration, ..FanoutOptions::default() });
        let result = engine::run(&plan, &RunOptions::default())?;
        let delivery = clean(&result)?;
        p50.push(micros(&delivery.times, 50.0));
        p99.push(micros(&delivery.times, 99.0));
        cpu.push(server.cpu_seconds()? * 1e6 / delivery.delivered as f64);
    }
    let (p50, p99, cpu) = (median(p50) / 1e3, median(p99) / 1e3, median(cpu));
    println!(
        "fanout {readers:>5} readers, {rate} messages/s: p50 {p50:.1} ms, p99 {p99:.1} ms, \
         {cpu:.1} us of CPU per delivery"
    );
    Ok(())
}

/// The deliveries of a run in which everybody got everything, once and in order.
fn clean(result: &RunResult) -> Result<&DeliveryResult, Failure> {
    let delivery = result.deliveries.first().ok_or("the run had no readers")?;
    let DeliveryResult { lost, duplicated, reordered, damaged, failed_readers, .. } = delivery;
    match lost + duplicated + reordered + damaged + failed_readers {
        0 => Ok(delivery),
        _ => Err(format!(
            "a reader did not get everything once and in order: {:?} {:?}",
            delivery.faults, result.errors
        )
        .into()),
    }
}

fn micros(times: &Times, percentile: f64) -> f64 {
    times.percentile(percentile) as f64 / 1e3
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

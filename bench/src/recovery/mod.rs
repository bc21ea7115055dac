//! `bench recovery`: how long a server that was killed takes to serve again, what a stream costs
//! in memory when nobody uses it, and how many descriptors there are.
//!
//! The data directory is filled through the storage crate, by the same writer and checkpoints that
//! the server has, because a million requests would only take longer. It ends as a server that was
//! killed would leave it: a checkpoint, and as much log behind it as comes between two.
//!
//! Deliberately absent: the state of the page cache. Whoever wants a cold start drops it.

mod fill;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use thalweg_loadgen::plan::{self, AppendOptions};

use crate::Failure;
use crate::own::{Own, run_plan};

/// What to fill and how often to start.
#[derive(Args)]
pub(crate) struct RecoveryArgs {
    /// Streams
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) streams: u64,
    /// Data in all of them together, in MiB
    #[arg(long, default_value_t = 10 * 1024, value_name = "MIB")]
    pub(crate) history_mib: u64,
    /// Log of 100-byte appends behind the checkpoint of each core, in MiB
    #[arg(long, default_value_t = 128, value_name = "MIB")]
    pub(crate) tail_mib: u64,
    /// Cores of the server
    #[arg(long, default_value_t = 2)]
    pub(crate) cores: usize,
    /// Starts, each after a SIGKILL
    #[arg(long, default_value_t = 3)]
    pub(crate) rounds: usize,
    /// Where to make the data directory; what it holds is removed
    #[arg(long, default_value = "bench-results/recovery", value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// Append for so many seconds after each start, and show what checkpoints of all these streams
    /// cost appends; the directory then grows
    #[arg(long, default_value_t = 0, value_name = "SECONDS")]
    pub(crate) append_seconds: u64,
    /// Use what an earlier run has left there, and leave it
    #[arg(long)]
    pub(crate) keep: bool,
    /// The server's binary [default: `thalweg` beside this one]
    #[arg(long, value_name = "PATH")]
    pub(crate) server: Option<PathBuf>,
}

/// What one start was like.
struct Start {
    ready: Duration,
    /// Of the process until then, over all threads.
    cpu: Duration,
    resident: u64,
    peak: u64,
    descriptors: usize,
    appends: Option<Appends>,
}

/// Appends while the server writes checkpoints of all streams, as often as the log asks for it.
struct Appends {
    rate: f64,
    p99_ms: f64,
    p999_ms: f64,
    longest_ms: f64,
    checkpoints: f64,
}

pub(crate) fn run(args: &RecoveryArgs) -> Result<bool, Failure> {
    let server = match &args.server {
        Some(server) => server.clone(),
        None => std::env::current_exe()?.with_file_name("thalweg"),
    };
    let (filled, empty) = (args.dir.join("filled"), args.dir.join("empty"));
    if !(args.keep && filled.exists()) {
        let _ = std::fs::remove_dir_all(&args.dir);
        std::fs::create_dir_all(&args.dir)?;
        let began = Instant::now();
        let records = fill::fill(&filled, args)?;
        println!("filled: {records} records in {:.1} s", began.elapsed().as_secs_f64());
    }
    let idle = start(args, &server, &empty, None)?;
    let appends = if args.append_seconds > 0 { APPENDS } else { "" };
    let columns = 7 + appends.matches('|').count();
    println!("| start | ready | CPU | resident | peak | per stream | descriptors |{appends}");
    println!("|{}", "---|".repeat(columns));
    line("empty", &idle, 0, &idle);
    for round in 1..=args.rounds {
        let path = fill::path_of(args.streams / 2);
        let found = start(args, &server, &filled, Some(&path))?;
        line(&format!("killed, {round}"), &found, args.streams, &idle);
    }
    if !args.keep {
        std::fs::remove_dir_all(&args.dir)?;
    }
    Ok(true)
}

fn line(name: &str, start: &Start, streams: u64, idle: &Start) {
    let per_stream = start.resident.saturating_sub(idle.resident).checked_div(streams);
    let Start { resident, peak, descriptors, .. } = start;
    print!(
        "| {name} | {:.2} s | {:.2} s | {} MiB | {} MiB | {} | {descriptors} |",
        start.ready.as_secs_f64(),
        start.cpu.as_secs_f64(),
        resident >> 20,
        peak >> 20,
        per_stream.map_or_else(|| "-".to_owned(), |bytes| format!("{bytes} bytes")),
    );
    if let Some(Appends { rate, p99_ms, p999_ms, longest_ms, checkpoints }) = &start.appends {
        print!(" {rate:.0} | {p99_ms:.2} | {p999_ms:.2} | {longest_ms:.1} | {checkpoints:.0} |");
    }
    println!();
}

const APPENDS: &str = " appends/s | p99 ms | p99.9 ms | longest ms | checkpoints |";

/// Starts a server, waits for a 200, reads a stream, looks at the process, kills it.
fn start(
    args: &RecoveryArgs,
    server: &Path,
    dir: &Path,
    stream: Option<&str>,
) -> Result<Start, Failure> {
    let own = Own::start(server, dir, args.cores, &[])?;
    let cpu = own.cpu_time()?;
    if let Some(stream) = stream {
        own.request("GET", stream)?;
    }
    let (resident, peak) = own.memory()?;
    let descriptors = own.descriptors()?;
    let appends = (args.append_seconds > 0).then(|| appends(&own, args.append_seconds));
    let appends = appends.transpose()?;
    Ok(Start { ready: own.ready, cpu, resident, peak, descriptors, appends })
}

/// Appends as fast as they are answered, over 16 connections to 100 streams of their own.
fn appends(server: &Own, seconds: u64) -> Result<Appends, Failure> {
    let plan = plan::append(&AppendOptions {
        url: server.url("beside"),
        connections: 16,
        streams: 100,
        duration: Duration::from_secs(seconds),
        ..AppendOptions::default()
    });
    let before = server.metric(CHECKPOINTS)?;
    let result = run_plan(&plan)?;
    let operation = result.operations.first().ok_or("no appends")?;
    let millis = |percentile| operation.times.percentile(percentile) as f64 / 1e6;
    Ok(Appends {
        rate: operation.succeeded as f64 / result.seconds(),
        p99_ms: millis(99.0),
        p999_ms: millis(99.9),
        longest_ms: operation.times.max() as f64 / 1e6,
        checkpoints: server.metric(CHECKPOINTS)? - before,
    })
}

const CHECKPOINTS: &str = "thalweg_checkpoints_total";

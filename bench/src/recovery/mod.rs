//! `bench recovery`: how long a server that was killed takes to serve again, what a stream costs
//! in memory when nobody uses it, and how many descriptors there are.
//!
//! The data directory is filled through the storage crate, by the same writer and checkpoints that
//! the server has, because a million requests would only take longer. It ends as a server that was
//! killed would leave it: a checkpoint, and as much log behind it as comes between two.
//!
//! Deliberately absent: the state of the page cache. Whoever wants a cold start drops it.

mod fill;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use clap::Args;

use crate::Failure;

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
    let idle = start(&server, &empty, args.cores, None)?;
    println!(
        "| start | ready | CPU | resident | peak | per stream | descriptors |\n|---|---|---|---|---|---|---|"
    );
    line("empty", &idle, 0, &idle);
    for round in 1..=args.rounds {
        let path = fill::path_of(args.streams / 2);
        let found = start(&server, &filled, args.cores, Some(&path))?;
        line(&format!("killed, {round}"), &found, args.streams, &idle);
    }
    if !args.keep {
        std::fs::remove_dir_all(&args.dir)?;
    }
    Ok(true)
}

fn line(name: &str, start: &Start, streams: u64, idle: &Start) {
    let per_stream = start.resident.saturating_sub(idle.resident).checked_div(streams);
    println!(
        "| {name} | {:.2} s | {:.2} s | {} MiB | {} MiB | {} | {} |",
        start.ready.as_secs_f64(),
        start.cpu.as_secs_f64(),
        start.resident >> 20,
        start.peak >> 20,
        per_stream.map_or_else(|| "-".to_owned(), |bytes| format!("{bytes} bytes")),
        start.descriptors,
    );
}

/// Starts a server, waits for a 200, reads a stream, looks at the process, kills it.
fn start(server: &Path, dir: &Path, cores: usize, stream: Option<&str>) -> Result<Start, Failure> {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
    let mut command = Command::new(std::path::absolute(server)?);
    command.args(["serve", "--listen", &format!("127.0.0.1:{port}")]);
    command.args(["--cores", &cores.to_string(), "--log-level", "warn"]);
    command.arg("--data-dir").arg(dir).stdout(Stdio::null());
    let began = Instant::now();
    let mut process = Killed(command.spawn()?);
    while get(port, "/readyz").is_none_or(|answer| !answer.starts_with("HTTP/1.1 200")) {
        if let Some(status) = process.0.try_wait()? {
            return Err(format!("the server ended: {status}").into());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let ready = began.elapsed();
    let cpu = cpu_time(process.0.id())?;
    if let Some(stream) = stream {
        let answer = get(port, &format!("/v1/stream/{stream}")).unwrap_or_default();
        if !answer.starts_with("HTTP/1.1 200") {
            return Err(format!("{stream} does not answer 200 but {answer:.300}").into());
        }
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.0.id()))?;
    let kib = |name: &str| -> Option<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().trim_end_matches(" kB").parse().ok()
    };
    let bytes = |name| kib(name).map(|kib| kib << 10).ok_or("no memory in /proc");
    Ok(Start {
        ready,
        cpu,
        resident: bytes("VmRSS:")?,
        peak: bytes("VmHWM:")?,
        descriptors: std::fs::read_dir(format!("/proc/{}/fd", process.0.id()))?.count(),
    })
}

/// User and system time of a process.
fn cpu_time(pid: u32) -> Result<Duration, Failure> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name before it may have blanks.
    let (_, fields) = stat.rsplit_once(')').ok_or("no fields in /proc")?;
    let ticks = |at: usize| fields.split_whitespace().nth(at)?.parse::<u64>().ok();
    let (user, system) = ticks(11).zip(ticks(12)).ok_or("no times in /proc")?;
    Ok(TICK * u32::try_from(user + system)?)
}

/// The unit of times in `/proc`, on every architecture that Linux has today.
const TICK: Duration = Duration::from_millis(10);

/// The beginning of an answer; `None` if nobody gives one.
fn get(port: u16, target: &str) -> Option<String> {
    let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    socket.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    let request = format!("GET {target} HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).ok()?;
    Some(String::from_utf8_lossy(&answer).into_owned())
}

/// SIGKILL when it is dropped.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

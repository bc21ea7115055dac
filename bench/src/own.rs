//! Our own server as a process, for what is measured of it alone: its start, its files, its
//! metrics.
//!
//! Invariant: it is killed when it is dropped.
//!
//! Deliberately absent: contestants, pinned and interleaved; they are in [`crate::contest`].

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use thalweg_loadgen::engine::{self, RunOptions};
use thalweg_loadgen::plan::Plan;
use thalweg_loadgen::result::RunResult;

use crate::Failure;
use crate::contest::free_port;

/// A server that answers.
pub(crate) struct Own {
    process: Child,
    port: u16,
    admin: u16,
    /// From the start of the process to the first 200.
    pub(crate) ready: Duration,
}

impl Own {
    /// Starts it on a directory and waits until it serves.
    ///
    /// # Errors
    ///
    /// The process ends, or does not begin.
    pub(crate) fn start(
        server: &Path,
        dir: &Path,
        cores: usize,
        options: &[String],
    ) -> Result<Own, Failure> {
        let port = free_port()?;
        let admin = loop {
            let other = free_port()?;
            if other != port {
                break other;
            }
        };
        let mut command = Command::new(std::path::absolute(server)?);
        command.args(["serve", "--listen", &format!("127.0.0.1:{port}")]);
        command.args(["--admin", &format!("127.0.0.1:{admin}")]);
        command.args(["--cores", &cores.to_string(), "--log-level", "warn"]).args(options);
        command.arg("--data-dir").arg(dir).stdout(Stdio::null());
        let began = Instant::now();
        let process = command.spawn()?;
        let mut own = Own { process, port, admin, ready: Duration::ZERO };
        while ask(port, "GET", "/readyz").is_none_or(|answer| !is_ok(&answer)) {
            if let Some(status) = own.process.try_wait()? {
                return Err(format!("the server ended: {status}").into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        own.ready = began.elapsed();
        Ok(own)
    }

    /// The URL of a stream, or of what lies below it.
    pub(crate) fn url(&self, stream: &str) -> String {
        format!("http://127.0.0.1:{}{BASE_PATH}/{stream}", self.port)
    }

    /// A request about a stream. Refuses what is not answered with success.
    pub(crate) fn request(&self, method: &str, stream: &str) -> Result<(), Failure> {
        let answer = ask(self.port, method, &format!("{BASE_PATH}/{stream}")).unwrap_or_default();
        match is_ok(&answer) {
            true => Ok(()),
            false => Err(format!("{method} {stream} is answered with {answer:.300}").into()),
        }
    }

    /// A metric, summed over its labels.
    pub(crate) fn metric(&self, name: &str) -> Result<f64, Failure> {
        let page = ask(self.admin, "GET", "/metrics").unwrap_or_default();
        sum_of(&page, name).ok_or_else(|| format!("/metrics has no {name}").into())
    }

    /// CPU time of all its threads so far.
    pub(crate) fn cpu_time(&self) -> Result<Duration, Failure> {
        let stat = std::fs::read_to_string(self.proc("stat"))?;
        // The name before it may have blanks.
        let (_, fields) = stat.rsplit_once(')').ok_or("no fields in /proc")?;
        let ticks = |at: usize| fields.split_whitespace().nth(at)?.parse::<u64>().ok();
        let (user, system) = ticks(11).zip(ticks(12)).ok_or("no times in /proc")?;
        Ok(TICK * u32::try_from(user + system)?)
    }

    /// Bytes of memory that are resident now, and at most so far.
    pub(crate) fn memory(&self) -> Result<(u64, u64), Failure> {
        let status = std::fs::read_to_string(self.proc("status"))?;
        let kib = |name: &str| -> Option<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim().trim_end_matches(" kB").parse().ok()
        };
        let now_and_peak = kib("VmRSS:").zip(kib("VmHWM:")).ok_or("no memory in /proc")?;
        Ok((now_and_peak.0 << 10, now_and_peak.1 << 10))
    }

    /// How many descriptors are open.
    pub(crate) fn descriptors(&self) -> Result<usize, Failure> {
        Ok(std::fs::read_dir(self.proc("fd"))?.count())
    }

    fn proc(&self, file: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{file}", self.process.id()))
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Runs a plan against it. Refuses if an operation failed: what refuses is fast.
pub(crate) fn run_plan(plan: &Plan) -> Result<RunResult, Failure> {
    let result = engine::run(plan, &RunOptions::default())?;
    match result.operations.iter().map(|operation| operation.failed).sum::<u64>() {
        0 => Ok(result),
        failed => {
            let example = result.errors.first().map_or("", |error| &error.example);
            Err(format!("{failed} appends failed: {example}").into())
        }
    }
}

/// An answer from its beginning; `None` if nobody gives one.
fn ask(port: u16, method: &str, target: &str) -> Option<String> {
    let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    socket.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    let request = format!("{method} {target} HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).ok()?;
    Some(String::from_utf8_lossy(&answer).into_owned())
}

fn is_ok(answer: &str) -> bool {
    answer.starts_with("HTTP/1.1 2")
}

/// The values of one name, whatever its labels; `None` if there is none.
fn sum_of(page: &str, name: &str) -> Option<f64> {
    let values = page.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let value = match rest.strip_prefix('{') {
            Some(labels) => labels.rsplit_once("} ")?.1,
            None => rest.strip_prefix(' ')?,
        };
        value.trim().parse::<f64>().ok()
    });
    values.fold(None, |sum, value| Some(sum.unwrap_or_default() + value))
}

/// The unit of times in `/proc`, on every architecture that Linux has today.
const TICK: Duration = Duration::from_millis(10);
const BASE_PATH: &str = "/v1/stream";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_summed_over_its_labels() {
        let page = "# TYPE a counter\na_total{core=\"0\"} 1\na_total{core=\"1\"} 2.5\nb 7\nab 9\n";
        assert_eq!(sum_of(page, "a_total"), Some(3.5));
        assert_eq!(sum_of(page, "b"), Some(7.0));
        assert_eq!(sum_of(page, "a"), None);
    }
}

//! A server process for one round.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::machine::Cpus;

/// Clock ticks of `/proc/PID/stat` in a second: fixed on Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// A running server with a data directory of its own. Killed when dropped.
pub(crate) struct Server {
    process: Child,
    base: String,
    _data: TempDir,
}

impl Server {
    /// Starts the binary on one core and a free port, and waits until it is ready.
    pub(crate) fn start(
        cpus: &Cpus,
        binary: &Path,
        durability: &str,
    ) -> Result<Server, crate::Failure> {
        let data = TempDir::new_in(".")?;
        let mut command = Command::new(binary);
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--cores", "1", "--durability", durability])
            .arg("--data-dir")
            .arg(data.path())
            .stdout(Stdio::piped());
        let mut process = cpus.start_beside(|| command.spawn())?.map_err(|error| {
            format!("{}: {error}; build it with `cargo build --release`", binary.display())
        })?;
        let mut first = String::new();
        if let Some(output) = process.stdout.take() {
            BufReader::new(output).read_line(&mut first)?;
        }
        let base = first.split_whitespace().last().unwrap_or_default().to_owned();
        if !base.starts_with("http://") {
            return Err("the server did not start".into());
        }
        Ok(Server { process, base, _data: data })
    }

    /// The URL of a stream.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.base)
    }

    /// CPU time that the server has used.
    pub(crate) fn cpu_seconds(&self) -> Result<f64, crate::Failure> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?;
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
        let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok());
        let (Some(user), Some(system)) = (ticks(11), ticks(12)) else {
            return Err("/proc/PID/stat has another form".into());
        };
        Ok((user + system) / TICKS_PER_SECOND)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(pid) = Pid::from_raw(self.process.id().cast_signed()) {
            // It may have ended by itself.
            let _ = kill_process(pid, Signal::KILL);
        }
        let _ = self.process.wait();
    }
}

//! A program under callgrind, and what was counted.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::Failure;

/// Instructions of a whole process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Counted(pub(super) u64);

/// What counts, and what is counted, in one line.
pub(super) fn versions(server: &Path) -> Result<String, Failure> {
    let version = |command: &mut Command| -> Result<String, Failure> {
        let name = command.get_program().to_string_lossy().into_owned();
        let output = command.arg("--version").output().map_err(|error| {
            format!(
                "{name}: {error}; valgrind is in most distributions, \
                     the server is built by `cargo build --release`"
            )
        })?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let (valgrind, server) =
        (version(&mut Command::new("valgrind"))?, version(&mut Command::new(server))?);
    Ok(format!("{server}, {valgrind}"))
}

/// Of one of our programs that does something so often and ends.
pub(super) fn in_program(name: &str, n: u32) -> Result<Counted, Failure> {
    let directory = TempDir::new()?;
    let own = std::env::current_exe()?;
    let mut command = callgrind(&directory, &own);
    command.args(["program", name, "-n", &n.to_string()]);
    let status = command.status()?;
    if !status.success() {
        return Err(format!("{name} failed under callgrind: {status}").into());
    }
    read(&directory)
}

/// Of a server, from its start to its end, with `work` in between.
pub(super) fn in_server(
    server: &Path,
    durability: &str,
    work: impl FnOnce(u16) -> Result<(), Failure>,
) -> Result<Counted, Failure> {
    // On a real file system: the log wants to know of its blocks.
    let directory = TempDir::new_in(".")?;
    let mut command = callgrind(&directory, server);
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--cores", "1", "--io", "epoll"])
        .args(["--durability", durability, "--data-dir"])
        .arg(directory.path().join("data"))
        .stdout(Stdio::piped());
    let mut process = Killed(command.spawn()?);
    let mut first = String::new();
    // The pipe stays open as long as the server writes to it.
    let mut output = process.0.stdout.take().map(BufReader::new);
    if let Some(output) = &mut output {
        output.read_line(&mut first)?;
    }
    let port = first.trim().rsplit(':').next().and_then(|port| port.parse().ok());
    work(port.ok_or_else(|| format!("expected a line that ends in a port, got {first:?}"))?)?;
    process.end()?;
    read(&directory)
}

fn callgrind(directory: &TempDir, program: &Path) -> Command {
    let mut command = Command::new("valgrind");
    command
        .args(["--tool=callgrind", "--quiet"])
        .arg(format!("--callgrind-out-file={}", directory.path().join(OUTPUT).display()))
        .arg(program);
    command
}

fn read(directory: &TempDir) -> Result<Counted, Failure> {
    let text = std::fs::read_to_string(directory.path().join(OUTPUT))?;
    total(&text).ok_or_else(|| "callgrind has not written a total".into())
}

fn total(text: &str) -> Option<Counted> {
    let totals = text.lines().filter_map(|line| line.strip_prefix("totals: "));
    let totals: Option<Vec<u64>> = totals.map(|total| total.trim().parse().ok()).collect();
    totals.filter(|totals| !totals.is_empty()).map(|totals| Counted(totals.iter().sum()))
}

/// Does not outlive the count.
struct Killed(Child);

impl Killed {
    fn end(&mut self) -> Result<(), Failure> {
        if let Some(pid) = Pid::from_raw(self.0.id().cast_signed()) {
            kill_process(pid, Signal::TERM)?;
        }
        let status = self.0.wait()?;
        match status.success() {
            true => Ok(()),
            false => Err(format!("the server ended with {status}").into()),
        }
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const OUTPUT: &str = "callgrind.out";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals() {
        assert_eq!(total("events: Ir\nfn=x\n1 2\ntotals: 17\n"), Some(Counted(17)));
        assert_eq!(total("totals: 17\ntotals: 4\n"), Some(Counted(21)));
        assert_eq!(total("totals: x"), None);
        assert_eq!(total("fn=x"), None);
    }
}

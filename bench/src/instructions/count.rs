//! A program under callgrind, and what was counted.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

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

/// A process that serves.
#[derive(Clone, Copy)]
pub(super) enum Serving<'a> {
    /// The server's binary, with a durability.
    Server(&'a Path, &'a str),
    /// A program of our own.
    Floor(&'a str),
}

/// Of a process that serves, from its start to its end, with `work` in between.
pub(super) fn in_server(
    serving: Serving<'_>,
    work: impl FnOnce(u16) -> Result<(), Failure>,
) -> Result<Counted, Failure> {
    // On a real file system: the log wants to know of its blocks.
    let directory = TempDir::new_in(".")?;
    let (mut process, port) = match serving {
        Serving::Server(binary, durability) => start_server(&directory, binary, durability)?,
        Serving::Floor(name) => start_floor(&directory, name)?,
    };
    work(port)?;
    process.end()?;
    read(&directory)
}

fn start_server(
    directory: &TempDir,
    binary: &Path,
    durability: &str,
) -> Result<(Killed, u16), Failure> {
    let mut command = callgrind(directory, binary);
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--cores", "1", "--io", "epoll"])
        .args(["--durability", durability, "--log-level", "warn", "--data-dir"])
        .arg(directory.path().join("data"))
        .stdout(Stdio::piped());
    let mut process = Killed(command.spawn()?);
    let mut first = String::new();
    if let Some(output) = process.0.stdout.take() {
        // It prints nothing else.
        BufReader::new(output).read_line(&mut first)?;
    }
    let port = port_of(&first).ok_or_else(|| format!("expected a line with a URL, got {first:?}"));
    Ok((process, port?))
}

fn start_floor(directory: &TempDir, name: &str) -> Result<(Killed, u16), Failure> {
    // Free now: nothing else on this machine is waiting for it.
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
    let mut command = callgrind(directory, &std::env::current_exe()?);
    command.args(["program", name, "--port", &port.to_string()]);
    let process = Killed(command.spawn()?);
    let begin = Instant::now();
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        if begin.elapsed() > PATIENCE {
            return Err(format!("{name} does not listen on port {port}").into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok((process, port))
}

/// Of a URL in a line.
fn port_of(line: &str) -> Option<u16> {
    let (_, url) = line.split_once("://")?;
    let authority = url.split(['/', ' ', '\n']).next()?;
    authority.rsplit(':').next()?.parse().ok()
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
        // A floor knows no better end.
        match status.success() || status.signal() == Some(Signal::TERM.as_raw()) {
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
const PATIENCE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports() {
        assert_eq!(port_of("thalweg ready: http://127.0.0.1:43641/v1/stream\n"), Some(43641));
        assert_eq!(port_of("ready: http://[::1]:80\n"), Some(80));
        assert_eq!(port_of("ready: 80"), None);
    }

    #[test]
    fn totals() {
        assert_eq!(total("events: Ir\nfn=x\n1 2\ntotals: 17\n"), Some(Counted(17)));
        assert_eq!(total("totals: 17\ntotals: 4\n"), Some(Counted(21)));
        assert_eq!(total("totals: x"), None);
        assert_eq!(total("fn=x"), None);
    }
}

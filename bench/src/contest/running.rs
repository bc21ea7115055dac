//! A contestant that runs: its process on its CPUs, its directory and its port.
//!
//! Invariant: it is handed out only when it serves and when the port is its own; dropping it ends
//! all of its processes before its directory goes.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Signal, set_parent_process_death_signal};
use tempfile::TempDir;

use super::{Contestant, Launch, Place, Ready, Streams, port, processes};
use crate::Failure;
use crate::machine::Cpus;

/// Where contestants run.
#[derive(Clone, Debug)]
pub(crate) struct Where {
    /// Whose CPUs are whose.
    pub(crate) cpus: Cpus,
    /// A directory on a disk, in which each contestant gets one of its own.
    pub(crate) scratch: PathBuf,
    /// CPUs of a contestant.
    pub(crate) cores: usize,
    /// As in [`Place`].
    pub(crate) page_bytes: usize,
}

/// A contestant that serves.
#[derive(Debug)]
pub(crate) struct Running {
    name: String,
    process: Child,
    port: u16,
    base_path: String,
    ready: Ready,
    streams: Streams,
    place: Where,
    /// Holds [`DATA`], which is the contestant's, and [`LOG`].
    dir: TempDir,
}

impl Running {
    /// Starts it and waits until it serves.
    pub(crate) fn start(contestant: &dyn Contestant, place: &Where) -> Result<Running, Failure> {
        let dir = TempDir::with_prefix_in("run-", &place.scratch)?;
        std::fs::create_dir(dir.path().join(DATA))?;
        let port = port::free()?;
        let (process, launch) = spawn(contestant, place, dir.path(), port)?;
        let Launch { ready, base_path, streams, .. } = launch;
        let (name, place) = (contestant.name().to_owned(), place.clone());
        Running { name, process, port, base_path, ready, streams, place, dir }.wait()
    }

    /// Ends it without warning and starts it again on the same data, at another port. How long it
    /// took until it served.
    pub(crate) fn restart(
        mut self,
        contestant: &dyn Contestant,
    ) -> Result<(Running, Duration), Failure> {
        self.end();
        self.port = port::free()?;
        let begin = Instant::now();
        (self.process, _) = spawn(contestant, &self.place, self.dir.path(), self.port)?;
        let running = self.wait()?;
        Ok((running, begin.elapsed()))
    }

    /// The URL below which streams lie.
    pub(crate) fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}{}", self.port, self.base_path)
    }

    /// The path below which streams lie.
    pub(crate) fn base_path(&self) -> &str {
        &self.base_path
    }

    /// A new connection to it.
    pub(crate) fn connect(&self) -> std::io::Result<TcpStream> {
        connect(self.port)
    }

    /// The URL of a stream, or of several below it.
    pub(crate) fn url(&self, stream: &str) -> String {
        format!("{}/{stream}", self.base_url())
    }

    /// How streams come to be.
    pub(crate) fn streams(&self) -> Streams {
        self.streams
    }

    /// The process that was started.
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Where it listens, on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// What it costs.
    pub(crate) fn meter(&self) -> Meter {
        Meter(self.process.id())
    }

    /// Waits until a `GET` below its base path is answered with success.
    pub(crate) fn until_found(&self, path: &str) -> Result<(), Failure> {
        let (begin, path) = (Instant::now(), format!("{}/{path}", self.base_path));
        loop {
            match get(self.port, &path) {
                Ok(200..300) => return Ok(()),
                answer if begin.elapsed() > PATIENCE => {
                    return Err(self.trouble(&format!("answers {path} with {answer:?}")));
                }
                _ => std::thread::sleep(LOOK),
            }
        }
    }

    /// An error, with the end of what it said.
    pub(crate) fn trouble(&self, what: &str) -> Failure {
        let mut text = format!("{}: {what}", self.name);
        let log = std::fs::read(self.dir.path().join(LOG)).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        for line in &lines[lines.len().saturating_sub(SHOWN_LINES)..] {
            // Writing to a string cannot fail.
            let _ = write!(text, "\n  | {line}");
        }
        text.into()
    }

    fn wait(mut self) -> Result<Running, Failure> {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait()? {
                return Err(self.trouble(&format!("ended at its start with {status}")));
            }
            let owned = port::is_owned(self.port, &processes::tree(self.process.id()));
            if owned.map_err(|stranger| self.trouble(&stranger))? && self.serves() {
                return Ok(self);
            }
            if begin.elapsed() > PATIENCE {
                return Err(self.trouble(&format!("does not serve after {PATIENCE:?}")));
            }
            std::thread::sleep(LOOK);
        }
    }

    fn serves(&self) -> bool {
        match &self.ready {
            Ready::Connect => connect(self.port).is_ok(),
            Ready::Get(path) => get(self.port, path).is_ok_and(|status| status < 500),
        }
    }

    fn end(&mut self) {
        processes::kill(&processes::tree(self.process.id()));
        // It is our child: there is something to wait for.
        let _ = self.process.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

/// Asks what a contestant costs, from any thread.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Meter(u32);

impl Meter {
    /// CPU time of all of its processes so far.
    pub(crate) fn cpu_seconds(self) -> Result<f64, Failure> {
        processes::cpu_seconds(&processes::tree(self.0))
    }

    /// Resident memory of all of its processes.
    pub(crate) fn rss_bytes(self) -> u64 {
        processes::rss_bytes(&processes::tree(self.0))
    }

    /// CPU time of each of its threads so far, by name, in nanoseconds.
    pub(crate) fn threads(self) -> Vec<(String, u64)> {
        processes::threads(self.0)
    }
}

fn spawn(
    contestant: &dyn Contestant,
    place: &Where,
    dir: &Path,
    port: u16,
) -> Result<(Child, Launch), Failure> {
    let Where { cpus, cores, page_bytes, .. } = place;
    let data_dir = &std::path::absolute(dir.join(DATA))?;
    let given = Place { data_dir, port, cores: *cores, page_bytes: *page_bytes };
    let launch = contestant.launch(&given)?;
    let mut command = ending_with_us(&launch.command)?;
    let log = File::options().create(true).append(true).open(dir.join(LOG))?;
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    let spawned = cpus.on_servers(*cores, || command.spawn())?;
    let process = spawned.map_err(|error| {
        let program = command.get_program().display();
        format!("{}: {program}: {error}", contestant.name())
    })?;
    Ok((process, launch))
}

/// The same by way of [`become_one`], so that nothing of a benchmark that was killed is in the way
/// of the next one.
fn ending_with_us(inner: &Command) -> Result<Command, Failure> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["become", "--"]).arg(inner.get_program()).args(inner.get_args());
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    if let Some(dir) = inner.get_current_dir() {
        command.current_dir(dir);
    }
    Ok(command)
}

/// Becomes another program that is killed when our parent ends. Why it could not.
pub(crate) fn become_one(command: &[OsString]) -> Failure {
    let Some((program, args)) = command.split_first() else { return "become: what?".into() };
    if let Err(error) = set_parent_process_death_signal(Some(Signal::KILL)) {
        return error.into();
    }
    let error = Command::new(program).args(args).exec();
    format!("{}: {error}", program.display()).into()
}

fn connect(port: u16) -> std::io::Result<TcpStream> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let stream = TcpStream::connect_timeout(&address, ANSWER)?;
    stream.set_read_timeout(Some(ANSWER))?;
    Ok(stream)
}

/// The status of the answer.
fn get(port: u16, path: &str) -> std::io::Result<u16> {
    let mut stream = connect(port)?;
    let request =
        format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut begin = [0; "HTTP/1.1 200".len()];
    stream.read_exact(&mut begin)?;
    let status = std::str::from_utf8(&begin[9..]).ok().and_then(|status| status.parse().ok());
    status.ok_or_else(|| std::io::ErrorKind::InvalidData.into())
}

/// In a run's directory.
const DATA: &str = "data";
const LOG: &str = "log";
/// How long a contestant may take to serve: 100,000 streams are recovered in this time, too.
const PATIENCE: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_millis(5);
const ANSWER: Duration = Duration::from_secs(5);
/// Of the log of a contestant that failed.
const SHOWN_LINES: usize = 20;

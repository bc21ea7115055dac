//! A server process with a data directory of its own, which can be killed and started again.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::client::{Client, Request, Response};
use super::wait_for;

/// The path under which streams live.
pub(crate) const BASE: &str = "/v1/stream";

/// One server. Killed when dropped; its log is printed if the test fails.
pub(crate) struct Server {
    directory: TempDir,
    /// Elsewhere than in `directory`.
    data_dir: Option<PathBuf>,
    environment: Vec<(OsString, OsString)>,
    address: SocketAddr,
    admin: Option<SocketAddr>,
    arguments: Vec<String>,
    process: Option<(Child, BufReader<ChildStdout>)>,
}

impl Server {
    /// Starts a server on a free port. One core unless `arguments` say otherwise.
    pub(crate) fn start(arguments: &[&str]) -> Server {
        Server::start_configured("", arguments)
    }

    /// As [`Server::start`], with a configuration file of this text. Without any, the server does
    /// not shed load: many tests at once make it late.
    pub(crate) fn start_configured(toml: &str, arguments: &[&str]) -> Server {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut arguments: Vec<String> = arguments.iter().map(|&word| word.to_owned()).collect();
        let has_one = arguments.iter().any(|word| word.starts_with("--config"));
        if !toml.is_empty() || !has_one {
            let toml = if toml.is_empty() { "[limits]\nshed_delay = '0ms'" } else { toml };
            let file = directory.path().join("thalweg.toml");
            fs::write(&file, toml).expect("written");
            arguments.push(format!("--config={}", file.display()));
        }
        let mut server = Server::in_directory(directory, arguments);
        server.launch();
        server
    }

    /// As [`Server::start`], with its data in this directory and with more in its environment.
    pub(crate) fn start_in(
        data_dir: &Path,
        environment: &[(&str, &Path)],
        arguments: &[&str],
    ) -> Server {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let arguments = arguments.iter().map(|&word| word.to_owned()).collect();
        let mut server = Server::in_directory(directory, arguments);
        server.data_dir = Some(data_dir.to_owned());
        let environment = environment.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        server.environment = environment.collect();
        server.launch();
        server
    }

    /// As [`Server::start`], with these variables in its environment.
    pub(crate) fn start_with(arguments: &[&str], environment: &[(&str, String)]) -> Server {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let arguments = arguments.iter().map(|&word| word.to_owned()).collect();
        let mut server = Server::in_directory(directory, arguments);
        let environment = environment.iter().map(|(name, value)| ((*name).into(), value.into()));
        server.environment = environment.collect();
        server.launch();
        server
    }

    fn in_directory(directory: TempDir, arguments: Vec<String>) -> Server {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        Server {
            directory,
            data_dir: None,
            environment: Vec::new(),
            address,
            admin: None,
            arguments,
            process: None,
        }
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        let (mut child, _) = self.process.take().expect("it runs");
        child.kill().expect("killed");
        child.wait().expect("its end");
    }

    /// SIGTERM, without waiting for the end.
    pub(crate) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let (child, _) = self.process.as_ref().expect("it runs");
        kill_process(Pid::from_child(child), signal).expect("signalled");
    }

    /// The end of a server that was told to stop.
    pub(crate) fn exit(&mut self) -> ExitStatus {
        let (child, _) = self.process.as_mut().expect("it runs");
        let status = wait_for("the server's end", || child.try_wait().expect("its status"));
        self.process = None;
        status
    }

    /// SIGHUP.
    pub(crate) fn hang_up(&self) {
        let (child, _) = self.process.as_ref().expect("it runs");
        kill_process(Pid::from_child(child), Signal::HUP).expect("signalled");
    }

    /// SIGTERM, and the end: it must be a good one.
    pub(crate) fn stop(&mut self) {
        self.terminate();
        let status = self.exit();
        assert!(status.success(), "{status}");
    }

    /// Starts again, on the same directory and port, with the same arguments.
    pub(crate) fn launch(&mut self) {
        assert!(self.process.is_none(), "it runs already");
        let log = File::options().create(true).append(true).open(self.log_path());
        let mut command = self.command();
        command.stdout(Stdio::piped()).stderr(log.expect("a log"));
        let mut child = command.spawn().expect("the binary");
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let mut banner = String::new();
        stdout.read_line(&mut banner).expect("a banner");
        let url = banner.trim_end().split("://").nth(1);
        let address = url.and_then(|url| url.strip_suffix(BASE)).map(str::parse);
        let Some(Ok(address)) = address else {
            panic!("no banner but {banner:?}; the log:\n{}", self.log());
        };
        self.address = address;
        if self.arguments.iter().any(|word| word.starts_with("--admin") && !word.ends_with("off")) {
            let of_admin = |line: &str| {
                let (address, _) = line.strip_prefix("  admin       http://")?.split_once('/')?;
                address.parse().ok()
            };
            let mut lines = stdout.by_ref().lines().map_while(Result::ok);
            self.admin = lines.find_map(|line| of_admin(&line));
        }
        self.process = Some((child, stdout));
    }

    /// As [`Server::launch`], with other arguments from now on.
    pub(crate) fn launch_with(&mut self, arguments: &[&str]) {
        self.arguments = arguments.iter().map(|&word| word.to_owned()).collect();
        self.launch();
    }

    /// SIGKILL, then the same again.
    pub(crate) fn crash(&mut self) {
        self.kill();
        self.launch();
    }

    /// Whether the process is still there.
    pub(crate) fn is_alive(&mut self) -> bool {
        let (child, _) = self.process.as_mut().expect("it was started");
        child.try_wait().expect("its status").is_none()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.as_ref().expect("it runs").0.id()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where its admin listener is, if `--admin` was given.
    #[track_caller]
    pub(crate) fn admin(&self) -> SocketAddr {
        self.admin.expect("an admin listener")
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.data_dir.clone().unwrap_or_else(|| self.directory.path().join("data"))
    }

    /// What it has written to the standard error so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.address)
    }

    /// One request on a connection of its own.
    pub(crate) fn ask(&self, request: &Request) -> Response {
        self.connect().ask(request)
    }

    pub(crate) fn put(&self, stream: &str, content_type: &str, body: impl AsRef<[u8]>) -> Response {
        self.ask(&Request::put(stream).with("content-type", content_type).body(body))
    }

    pub(crate) fn post(
        &self,
        stream: &str,
        content_type: &str,
        body: impl AsRef<[u8]>,
    ) -> Response {
        self.ask(&Request::post(stream).with("content-type", content_type).body(body))
    }

    pub(crate) fn get(&self, stream: &str) -> Response {
        self.ask(&Request::get(stream))
    }

    pub(crate) fn head(&self, stream: &str) -> Response {
        self.ask(&Request::head(stream))
    }

    pub(crate) fn delete(&self, stream: &str) -> Response {
        self.ask(&Request::delete(stream))
    }

    /// The tail of a stream; `None` if there is no such stream.
    pub(crate) fn tail(&self, stream: &str) -> Option<String> {
        let response = self.head(stream);
        match response.status {
            200 => Some(response.field("stream-next-offset").expect("an offset").to_owned()),
            _ => None,
        }
    }

    /// The paths of all streams, in order, by the listing extension.
    pub(crate) fn streams(&self) -> Vec<String> {
        let listed = self.get("__ds/streams?limit=1000").expect_status(200).json();
        let streams = listed["streams"].as_array().expect("an array");
        streams.iter().map(|entry| entry["path"].as_str().expect("a path").to_owned()).collect()
    }

    fn command(&self) -> Command {
        let mut command = serve(&self.data_dir());
        command.envs(self.environment.iter().cloned());
        command.arg(format!("--listen={}", self.address));
        if !self.arguments.iter().any(|word| word.starts_with("--cores")) {
            command.arg("--cores=1");
        }
        // Many servers run at once, and one alone can have the default address.
        if !self.arguments.iter().any(|word| word.starts_with("--admin")) {
            command.arg("--admin=off");
        }
        command.args(&self.arguments);
        command
    }

    fn log_path(&self) -> PathBuf {
        self.directory.path().join("log")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the server's log:\n{}", self.log());
        }
        if let Some((mut child, _)) = self.process.take() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Runs a server that must not start. Waits for its end.
pub(crate) fn refused_start(data_dir: &Path, arguments: &[&str]) -> Output {
    let mut command = serve(data_dir);
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary");
    wait_for("the refusal to start", || child.try_wait().expect("its status"));
    child.wait_with_output().expect("its output")
}

fn serve(data_dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_thalweg"));
    command.arg("serve").arg("--data-dir").arg(data_dir);
    command
}

//! nginx and haproxy as processes in front of a server.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::wait_until;

/// Which program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Nginx,
    Haproxy,
}

/// A running proxy. Ended when dropped.
pub(super) struct Proxy {
    kind: Kind,
    process: Child,
    pub(super) address: SocketAddr,
    directory: tempfile::TempDir,
}

/// A request that a proxy has forwarded.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct Seen {
    pub(super) method: String,
    pub(super) path: String,
}

impl Kind {
    pub(super) const ALL: [Kind; 2] = [Kind::Nginx, Kind::Haproxy];

    pub(super) fn program(self) -> &'static str {
        match self {
            Kind::Nginx => "nginx",
            Kind::Haproxy => "haproxy",
        }
    }

    /// Its version; `None` if it is not installed.
    pub(super) fn version(self) -> Option<String> {
        let output = Command::new(self.program()).arg("-v").output().ok()?;
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        let word = text.split_whitespace().find_map(|word| {
            let word = word.strip_prefix("nginx/").unwrap_or(word);
            word.starts_with(|first: char| first.is_ascii_digit()).then_some(word)
        })?;
        // Without what the distribution adds.
        Some(word.split('-').next().unwrap_or(word).to_owned())
    }

    pub(super) fn start(self, server: SocketAddr) -> Proxy {
        let directory = tempfile::tempdir().expect("a directory");
        // Neither tells which port it got: take one that is free now.
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = free.local_addr().expect("an address");
        drop(free);
        let path = directory.path();
        let config = match self {
            Kind::Nginx => nginx(path, address, server),
            Kind::Haproxy => haproxy(address, server),
        };
        let file = path.join("config");
        fs::write(&file, config).expect("written");
        let mut command = Command::new(self.program());
        match self {
            Kind::Nginx => command.arg("-p").arg(path).arg("-c").arg(&file),
            Kind::Haproxy => command.arg("-db").arg("-f").arg(&file),
        };
        let log = File::create(log_path(path)).expect("a log");
        let errors = File::create(path.join("errors")).expect("a log");
        let process = command.stdin(Stdio::null()).stdout(log).stderr(errors).spawn();
        let process = process.expect("a process");
        let proxy = Proxy { kind: self, process, address, directory };
        wait_until("the proxy", || TcpStream::connect(address).is_ok());
        proxy
    }
}

impl Proxy {
    /// Stops it; every request that it has sent on, once for each time.
    pub(super) fn stop(mut self) -> Vec<Seen> {
        // What is under way is logged when it is over.
        let signal = match self.kind {
            Kind::Nginx => Signal::QUIT,
            Kind::Haproxy => Signal::USR1,
        };
        kill_process(Pid::from_child(&self.process), signal).expect("signalled");
        wait_until("the proxy's end", || self.process.try_wait().expect("its status").is_some());
        let log = fs::read(log_path(self.directory.path())).expect("a log");
        let log = String::from_utf8_lossy(&log).into_owned();
        log.lines().filter_map(forwarded).flatten().collect()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let errors = fs::read_to_string(self.directory.path().join("errors"));
            eprintln!("the proxy's errors:\n{}", errors.unwrap_or_default());
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn log_path(directory: &Path) -> PathBuf {
    directory.join("log")
}

/// As `configs/nginx.conf` has it, with short timeouts, and bodies passed on as they come.
fn nginx(directory: &Path, address: SocketAddr, server: SocketAddr) -> String {
    let log = log_path(directory);
    let (log, directory) = (log.display(), directory.display());
    format!(
        "daemon off; master_process off; worker_processes 1; pid {directory}/pid;\n\
         error_log {directory}/errors info;\n\
         events {{ worker_connections 1024; }}\n\
         http {{\n\
           log_format seen '$upstream_addr|$request';\n\
           access_log {log} seen;\n\
           client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy;\n\
           fastcgi_temp_path {directory}/fastcgi; uwsgi_temp_path {directory}/uwsgi;\n\
           scgi_temp_path {directory}/scgi;\n\
           client_header_timeout 2s; client_body_timeout 2s; keepalive_timeout 2s;\n\
           lingering_timeout 1s; lingering_time 1s;\n\
           upstream thalweg {{ server {server}; keepalive 64; keepalive_timeout 60s; }}\n\
           server {{\n\
             listen {address}; client_max_body_size 8m; merge_slashes off;\n\
             location / {{\n\
               proxy_pass http://thalweg; proxy_http_version 1.1;\n\
               proxy_set_header Connection \"\"; proxy_set_header Host $http_host;\n\
               proxy_buffering off; proxy_request_buffering off; proxy_next_upstream off;\n\
             }}\n\
           }}\n\
         }}\n"
    )
}

fn haproxy(address: SocketAddr, server: SocketAddr) -> String {
    format!(
        "global\n  log stdout format raw local0\n\
         defaults\n  mode http\n  log global\n  timeout connect 5s\n  timeout client 2s\n  \
           timeout server 30s\n  timeout http-request 2s\n  timeout http-keep-alive 2s\n  \
           log-format \"%s|%r\"\n\
         frontend front\n  bind {address}\n  default_backend thalweg\n\
         backend thalweg\n  http-reuse always\n  server thalweg {server}\n"
    )
}

/// What a line of either log says was sent on, and how often; `None`: it was not.
fn forwarded(line: &str) -> Option<Vec<Seen>> {
    let (whereto, request) = line.split_once('|')?;
    if matches!(whereto, "-" | "<NOSRV>") {
        return None;
    }
    // nginx takes several spaces for one.
    let mut words = request.split(' ').filter(|word| !word.is_empty());
    let (method, target) = (words.next()?, words.next()?);
    let seen = Seen { method: method.to_owned(), path: path_of(&unescape(target)) };
    // nginx names each server that it tried.
    Some(vec![seen; whereto.split(", ").count()])
}

/// As the server's log has it: without authority and query.
fn path_of(target: &str) -> String {
    let path = match target.split_once("://") {
        Some((_, rest)) if !target.starts_with('/') => {
            rest.find(['/', '?']).map_or("/", |at| &rest[at..])
        }
        _ => target,
    };
    path.split('?').next().unwrap_or(path).to_owned()
}

/// nginx writes what is not plain as `\xNN`.
fn unescape(text: &str) -> String {
    let mut parts = text.split("\\x");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                out.push(char::from(byte));
                out.push_str(&part[2..]);
            }
            None => {
                out.push_str("\\x");
                out.push_str(part);
            }
        }
    }
    out
}

#[test]
fn log_lines() {
    let check = |line: &str, want: &[(&str, &str)]| {
        let found = forwarded(line).unwrap_or_default();
        let found: Vec<_> =
            found.iter().map(|seen| (seen.method.as_str(), seen.path.as_str())).collect();
        assert_eq!(found, want, "{line}");
    };
    check("-|GET /a HTTP/1.1", &[]);
    check("<NOSRV>|<BADREQ>", &[]);
    check("127.0.0.1:1|GET /a?b HTTP/1.1", &[("GET", "/a")]);
    check("127.0.0.1:1, 127.0.0.1:1|GET /a HTTP/1.0", &[("GET", "/a"), ("GET", "/a")]);
    check("thalweg|GET http://u/a HTTP/1.1", &[("GET", "/a")]);
    check("127.0.0.1:1|GET /a\\x5Cb HTTP/1.1", &[("GET", "/a\\b")]);
    check("127.0.0.1:1|GET  /a  HTTP/1.1 ", &[("GET", "/a")]);
    check("127.0.0.1:1|GET /a", &[("GET", "/a")]);
}

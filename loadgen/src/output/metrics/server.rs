//! A tiny HTTP server for scrapes, on a thread of its own.
//!
//! One connection at a time, each with a bounded head and one deadline for all of it, so that
//! nobody can hold it up for long or make it grow.
//!
//! Deliberately absent: everything that a scrape does not need: keep-alive, bodies, TLS.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::live::Board;

/// Answers until it is dropped.
#[derive(Debug)]
pub struct MetricsServer {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl MetricsServer {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for MetricsServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Listens, and answers `GET /metrics` with what the board says then.
///
/// # Errors
///
/// If the address is not free, or not this machine's.
pub fn serve(address: impl ToSocketAddrs, board: Board) -> io::Result<MetricsServer> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let (address, stop) = (listener.local_addr()?, Arc::new(AtomicBool::new(false)));
    let stopped = Arc::clone(&stop);
    let thread = std::thread::Builder::new()
        .name("metrics".to_owned())
        .spawn(move || run(&listener, &board, &stopped))?;
    Ok(MetricsServer { address, stop, thread: Some(thread) })
}

fn run(listener: &TcpListener, board: &Board, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let wait = Timespec { tv_sec: 0, tv_nsec: STOP_CHECK_NS };
        let _ = poll(&mut [PollFd::new(listener, PollFlags::IN)], Some(&wait));
        match listener.accept() {
            // A client that goes away is its own affair.
            Ok((stream, _)) => drop(answer(stream, board)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // Out of descriptors: whoever has them may give some back.
            Err(_) => std::thread::sleep(Duration::from_nanos(STOP_CHECK_NS as u64)),
        }
    }
}

fn answer(mut stream: TcpStream, board: &Board) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    let deadline = Instant::now() + DEADLINE;
    let head = read_head(&mut stream, deadline)?;
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let mut words = line.split(|byte| *byte == b' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = target.split(|byte| *byte == b'?').next().unwrap_or_default();
    let (status, kind, body) = match (method, path) {
        (b"GET" | b"HEAD", b"/metrics") => ("200 OK", OPEN_METRICS, super::text(&board.read())),
        (b"GET" | b"HEAD", _) => ("404 Not Found", PLAIN, "metrics are at /metrics\n".to_owned()),
        _ => ("405 Method Not Allowed", PLAIN, "only GET and HEAD\n".to_owned()),
    };
    let mut out = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\
         Allow: GET, HEAD\r\nConnection: close\r\n\r\n",
        body.len()
    );
    if method != b"HEAD" {
        out.push_str(&body);
    }
    write_all(&mut stream, out.as_bytes(), deadline)
}

/// The head, at most [`MOST_HEAD`] bytes of it.
fn read_head(stream: &mut TcpStream, deadline: Instant) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    let mut buffer = [0; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        stream.set_read_timeout(Some(left(deadline)?))?;
        let count = stream.read(&mut buffer)?;
        if count == 0 || head.len() + count > MOST_HEAD {
            return Err(io::ErrorKind::InvalidData.into());
        }
        head.extend_from_slice(&buffer[..count]);
    }
    Ok(head)
}

fn write_all(stream: &mut TcpStream, mut bytes: &[u8], deadline: Instant) -> io::Result<()> {
    while !bytes.is_empty() {
        stream.set_write_timeout(Some(left(deadline)?))?;
        let count = stream.write(bytes)?;
        bytes = &bytes[count..];
    }
    Ok(())
}

fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";
/// A scrape's head is a few hundred bytes.
const MOST_HEAD: usize = 8 * 1024;
/// For one connection, from its begin to its end.
const DEADLINE: Duration = Duration::from_secs(2);
/// How soon it notices that it has to stop.
const STOP_CHECK_NS: i64 = 50_000_000;

#[cfg(test)]
mod tests {
    use super::super::tests::progress;
    use super::*;

    fn ask(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        // Whoever sends too much is cut off, possibly with a reset.
        let _ = stream.read_to_string(&mut answer);
        answer
    }

    #[test]
    fn it_answers_scrapes_and_little_else() {
        let board = Board::default();
        board.write(|at| *at = progress());
        let server = serve("127.0.0.1:0", board.clone()).unwrap();
        let check = |request: &str, status: &str, body: &str| {
            let answer = ask(server.address(), request);
            assert!(answer.starts_with(status), "{request}: {answer}");
            assert!(answer.contains(body), "{request}: {answer}");
        };
        check("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200", "thalweg_load_users 7");
        check("GET /metrics?x HTTP/1.0\r\n\r\n", "HTTP/1.1 200", "# EOF\n");
        check("HEAD /metrics HTTP/1.1\r\n\r\n", "HTTP/1.1 200", "Connection: close\r\n\r\n");
        check("GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 404", "/metrics");
        check("POST /metrics HTTP/1.1\r\n\r\n", "HTTP/1.1 405", "");
        check(&"x".repeat(MOST_HEAD + 1), "", "");
        board.write(|at| at.users = 8);
        check("GET /metrics HTTP/1.1\r\n\r\n", "HTTP/1.1 200", "thalweg_load_users 8");
        let address = server.address();
        drop(server);
        assert!(TcpStream::connect(address).is_err(), "it still listens");
    }
}

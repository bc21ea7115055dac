//! A client that stays on its connection: the load of [`super::cross_core`]. Blocking, a thread
//! for each connection.
//!
//! Deliberately absent: bodies of answers. The requests that it sends have answers without one.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use crate::Failure;
use crate::contest::Running;

/// One connection.
pub(super) struct Client {
    stream: TcpStream,
    base_path: String,
}

impl Client {
    pub(super) fn connect(running: &Running) -> Result<Client, Failure> {
        let stream = running.connect()?;
        stream.set_nodelay(true)?;
        Ok(Client { stream, base_path: running.base_path().to_owned() })
    }

    /// The same connection once more.
    pub(super) fn again(&self) -> Result<Client, Failure> {
        Ok(Client { stream: self.stream.try_clone()?, base_path: self.base_path.clone() })
    }

    pub(super) fn create(&mut self, stream: &str) -> Result<(), Failure> {
        self.exchange("PUT", stream, "")
    }

    /// Whether the stream is there, which its owner knows.
    pub(super) fn ask(&mut self, stream: &str) -> Result<(), Failure> {
        self.exchange("HEAD", stream, "")
    }

    pub(super) fn append(&mut self, stream: &str) -> Result<(), Failure> {
        self.exchange("POST", stream, MESSAGE)
    }

    fn exchange(&mut self, method: &str, stream: &str, body: &str) -> Result<(), Failure> {
        let (path, length) = (&self.base_path, body.len());
        let request = format!(
            "{method} {path}/{stream} HTTP/1.1\r\nhost: 127.0.0.1\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        self.stream.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let mut piece = [0; 2048];
            match self.stream.read(&mut piece)? {
                0 => return Err(format!("{method} {stream}: the connection ended").into()),
                got => answer.extend_from_slice(&piece[..got]),
            }
        }
        match answer.starts_with(b"HTTP/1.1 2") {
            true => Ok(()),
            false => {
                let line = answer.split(|byte| *byte == b'\r').next().unwrap_or_default();
                Err(format!("{method} {stream}: {}", String::from_utf8_lossy(line)).into())
            }
        }
    }
}

/// What one thread does: appends to its streams in turn.
pub(super) struct Load {
    pub(super) client: Client,
    pub(super) streams: Vec<String>,
}

/// Runs all of them for a time. How long each append took, in microseconds.
pub(super) fn load(loads: Vec<Load>, length: Duration) -> Result<Vec<f64>, Failure> {
    let together = Barrier::new(loads.len());
    thread::scope(|scope| {
        let start = |mut load: Load| {
            let together = &together;
            scope.spawn(move || {
                together.wait();
                let (begin, mut times_us) = (Instant::now(), Vec::new());
                for stream in load.streams.iter().cycle() {
                    let sent = Instant::now();
                    if sent - begin >= length {
                        break;
                    }
                    load.client.append(stream)?;
                    times_us.push(sent.elapsed().as_secs_f64() * 1e6);
                }
                Ok::<_, Failure>(times_us)
            })
        };
        let threads: Vec<_> = loads.into_iter().map(start).collect();
        let mut all = Vec::new();
        for thread in threads {
            all.extend(thread.join().map_err(|_| "a thread of the load failed")??);
        }
        Ok(all)
    })
}

/// 100 bytes of JSON.
const MESSAGE: &str = concat!(
    "{\"m\":\"",
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "\"}"
);

const _: () = assert!(MESSAGE.len() == 100);

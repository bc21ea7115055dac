//! Messages as JSON lines over a TCP connection.
//!
//! Invariant: a line is bounded before it is kept, and a peer that is silent does not keep a
//! thread.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::limits;

/// Why no message came.
#[derive(Debug, thiserror::Error)]
pub(super) enum LineError {
    #[error("the connection was closed")]
    Closed,
    #[error("nothing was heard for {0:?}")]
    Silent(Duration),
    #[error("a line is longer than {0} bytes")]
    TooLong(usize),
    #[error("a line is not a message of this protocol: {0}")]
    NotUnderstood(serde_json::Error),
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// How long a line may take.
#[derive(Clone, Copy, Debug)]
pub(super) enum Patience {
    /// All of it by then.
    Until(Instant),
    /// As long as it takes, with no pause longer than this.
    Silence(Duration),
}

/// The receiving side of a connection.
#[derive(Debug)]
pub(super) struct Lines {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// Bytes of `buffer` without a line end.
    scanned: usize,
}

impl Lines {
    pub(super) fn new(stream: TcpStream) -> Lines {
        Lines { stream, buffer: Vec::new(), scanned: 0 }
    }

    /// The next message, from a line of at most `limit` bytes.
    pub(super) fn receive<T: DeserializeOwned>(
        &mut self,
        limit: usize,
        patience: Patience,
    ) -> Result<T, LineError> {
        let began = Instant::now();
        let mut chunk = [0; CHUNK_BYTES];
        loop {
            if let Some(at) = memchr::memchr(b'\n', &self.buffer[self.scanned..]) {
                let end = self.scanned + at;
                if end > limit {
                    return Err(LineError::TooLong(limit));
                }
                let message = serde_json::from_slice(&self.buffer[..end]);
                self.buffer.drain(..=end);
                self.scanned = 0;
                return message.map_err(LineError::NotUnderstood);
            }
            self.scanned = self.buffer.len();
            if self.scanned > limit {
                return Err(LineError::TooLong(limit));
            }
            let wait = match patience {
                Patience::Until(end) => end.saturating_duration_since(Instant::now()),
                Patience::Silence(silence) => silence,
            };
            if wait.is_zero() {
                return Err(LineError::Silent(began.elapsed()));
            }
            self.stream.set_read_timeout(Some(wait))?;
            // No more than what shows that a line is too long.
            let room = (limit + 1 - self.scanned).min(CHUNK_BYTES);
            match self.stream.read(&mut chunk[..room]) {
                Ok(0) => return Err(LineError::Closed),
                Ok(read) => self.buffer.extend_from_slice(&chunk[..read]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_timeout(&error) => return Err(LineError::Silent(wait)),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// The sending side; shared between threads.
#[derive(Clone, Debug)]
pub(super) struct Sender(Arc<Mutex<TcpStream>>);

impl Sender {
    /// Both sides of a connection.
    pub(super) fn split(stream: TcpStream) -> io::Result<(Sender, Lines)> {
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(limits::WRITE))?;
        let lines = Lines::new(stream.try_clone()?);
        Ok((Sender(Arc::new(Mutex::new(stream))), lines))
    }

    /// One line. After an error the connection is closed: half a line would garble the next.
    pub(super) fn send<T: Serialize>(&self, message: &T) -> io::Result<()> {
        let mut line = serde_json::to_vec(message).map_err(io::Error::other)?;
        line.push(b'\n');
        let mut stream = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        stream.write_all(&line).inspect_err(|_| {
            let _ = stream.shutdown(Shutdown::Both);
        })
    }

    /// Ends the connection; what was sent still arrives.
    pub(super) fn close(&self) {
        let stream = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = stream.shutdown(Shutdown::Both);
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

const CHUNK_BYTES: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let here = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (here, listener.accept().unwrap().0)
    }

    const SOON: Patience = Patience::Silence(Duration::from_millis(50));

    #[test]
    fn lines_arrive_whole_however_they_are_cut() {
        let (mut here, there) = pair();
        let text = b"[1,2]\n\"three\"\n";
        let sending = thread::spawn(move || {
            for byte in text {
                here.write_all(&[*byte]).unwrap();
            }
            here
        });
        let mut lines = Lines::new(there);
        let patience = Patience::Silence(Duration::from_secs(5));
        assert_eq!(lines.receive::<Vec<u8>>(5, patience).unwrap(), [1, 2]);
        assert_eq!(lines.receive::<String>(100, patience).unwrap(), "three");
        let here = sending.join().unwrap();
        assert!(matches!(lines.receive::<String>(9, SOON), Err(LineError::Silent(_))));
        let past = Patience::Until(Instant::now());
        assert!(matches!(lines.receive::<String>(9, past), Err(LineError::Silent(_))));
        drop(here);
        assert!(matches!(lines.receive::<String>(9, SOON), Err(LineError::Closed)));
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let check = |bytes: &[u8], wanted: fn(&LineError) -> bool| {
            let (mut here, there) = pair();
            here.write_all(bytes).unwrap();
            let error = Lines::new(there).receive::<String>(8, SOON).expect_err("refused");
            assert!(wanted(&error), "{error:?}");
        };
        check(b"\xff\0\n", |error| matches!(error, LineError::NotUnderstood(_)));
        check(b"{}\n", |error| matches!(error, LineError::NotUnderstood(_)));
        check(b"\"1234567\"\n", |error| matches!(error, LineError::TooLong(8)));
        check(&[b'x'; 100_000], |error| matches!(error, LineError::TooLong(8)));
        check(b"\"123456\"", |error| matches!(error, LineError::Silent(_)));
    }

    #[test]
    fn a_closed_connection_is_an_error_for_the_sender() {
        let (here, there) = pair();
        let (sender, _lines) = Sender::split(here).unwrap();
        sender.send(&"x").unwrap();
        assert_eq!(Lines::new(there).receive::<String>(8, SOON).unwrap(), "x");
        sender.close();
        assert!(sender.send(&"y").is_err());
    }
}

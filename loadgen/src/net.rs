//! Sockets, the clock and the descriptor limit: everything of this crate that names the runtime's
//! builder or the operating system.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use http::{Method, StatusCode};
use monoio::io::{AsyncReadRent, AsyncWriteRentExt};
use monoio::net::TcpStream;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Protocol, Socket, Type};
use thalweg_proto::http1::{BodyDecoder, Progress, ResponseHeadStatus, parse_response_head};

use crate::LoadError;

/// Connections from one loopback address: fewer than the ports that Linux gives out by default
/// (32768 to 60999).
const CONNECTIONS_PER_SOURCE: usize = 20_000;
/// Descriptors for everything but connections: the ring, standard streams, the publisher, and
/// what the rest of the process has open.
const RESERVED_DESCRIPTORS: u64 = 64;
/// Submission entries of the ring; every reader may be woken at once.
const RING_ENTRIES: u32 = 8192;
/// An answer to a request of ours is small; what is longer is no answer we understand.
const MAX_ANSWER_BYTES: u64 = 1024 * 1024;

/// The run's clock: one origin, nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn start() -> Clock {
        Clock(Instant::now())
    }

    pub(crate) fn now_ns(self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Pauses until a time; the runtime's timers have a granularity of a millisecond.
    pub(crate) async fn sleep_until(self, at_ns: u64) {
        let now = self.now_ns();
        if at_ns > now {
            monoio::time::sleep(Duration::from_nanos(at_ns - now)).await;
        }
    }
}

/// Runs on this thread: on io_uring, or on epoll where that is not allowed.
pub(crate) fn block_on<F: Future>(future: F) -> Result<F::Output, LoadError> {
    let builder = monoio::RuntimeBuilder::<monoio::FusionDriver>::new();
    let runtime = builder.with_entries(RING_ENTRIES).enable_timer().build();
    Ok(runtime.map_err(LoadError::Runtime)?.block_on(future))
}

/// Raises the soft descriptor limit as far as it goes, and checks that it is enough.
pub(crate) fn reserve_descriptors(connections: usize) -> Result<(), LoadError> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let connections = connections as u64;
    let wanted = connections + RESERVED_DESCRIPTORS;
    let limit = maximum.unwrap_or(u64::MAX);
    if wanted > limit {
        let reserve = RESERVED_DESCRIPTORS;
        return Err(LoadError::Descriptors { wanted, connections, reserve, limit });
    }
    // Raising is only refused when nothing is to be gained.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let current = current.unwrap_or(u64::MAX).max(getrlimit(Resource::Nofile).current.unwrap_or(0));
    if wanted > current {
        let reserve = RESERVED_DESCRIPTORS;
        return Err(LoadError::Descriptors { wanted, connections, reserve, limit: current });
    }
    Ok(())
}

/// The source address of connection `index`, when one would run out of ports.
fn source(server: SocketAddr, index: usize, connections: usize) -> Option<SocketAddr> {
    let loopback = matches!(server.ip(), IpAddr::V4(ip) if ip.is_loopback());
    if !loopback || connections <= CONNECTIONS_PER_SOURCE {
        return None;
    }
    let host = u32::try_from(index / CONNECTIONS_PER_SOURCE).ok()?;
    Some(SocketAddr::from((Ipv4Addr::from_bits(Ipv4Addr::LOCALHOST.to_bits() + host), 0)))
}

/// Makes connection `index` of so many.
pub(crate) async fn connect(
    server: SocketAddr,
    index: usize,
    connections: usize,
) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(server), Type::STREAM, Some(Protocol::TCP))?;
    if let Some(source) = source(server, index, connections) {
        socket.bind(&source.into())?;
    }
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    match socket.connect(&server.into()) {
        Err(error) if error.raw_os_error() == Some(EINPROGRESS) => {}
        result => result?,
    }
    // The ring waits by itself and takes a non-blocking socket at its word.
    socket.set_nonblocking(monoio::utils::is_legacy())?;
    let stream = TcpStream::from_std(socket.into())?;
    // A refused connection shows in the first write.
    stream.writable(false).await?;
    Ok(stream)
}

const EINPROGRESS: i32 = rustix::io::Errno::INPROGRESS.raw_os_error();

/// Sends a request and waits for its answer.
pub(crate) async fn ask(
    stream: &mut TcpStream,
    answers: &mut Answers,
    request: Vec<u8>,
) -> io::Result<StatusCode> {
    stream.write_all(request).await.0?;
    loop {
        if let Some(status) = answers.next()? {
            return Ok(status);
        }
        answers.read_from(stream).await?;
    }
}

/// Takes the answers to requests other than GET and HEAD out of the bytes of a connection.
#[derive(Default)]
pub(crate) struct Answers {
    input: BytesMut,
    body: Option<(StatusCode, BodyDecoder)>,
    read_buf: Vec<u8>,
}

impl Answers {
    /// Reads what has come.
    pub(crate) async fn read_from(&mut self, stream: &mut impl AsyncReadRent) -> io::Result<()> {
        let mut buf = std::mem::take(&mut self.read_buf);
        buf.reserve(READ_BYTES);
        buf.clear();
        let (result, buf) = stream.read(buf).await;
        self.read_buf = buf;
        match result? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                self.input.extend_from_slice(&self.read_buf[..read]);
                Ok(())
            }
        }
    }

    /// The status of the next complete answer.
    pub(crate) fn next(&mut self) -> io::Result<Option<StatusCode>> {
        let malformed = |error| io::Error::new(io::ErrorKind::InvalidData, error);
        loop {
            if let Some((status, decoder)) = &mut self.body {
                let mut body = BytesMut::new();
                let progress = decoder.decode(&mut self.input, &mut body).map_err(malformed)?;
                let status = *status;
                if progress == Progress::More {
                    return Ok(None);
                }
                self.body = None;
                if !status.is_informational() {
                    return Ok(Some(status));
                }
            }
            match parse_response_head(&self.input, &Method::POST).map_err(malformed)? {
                ResponseHeadStatus::Incomplete => return Ok(None),
                ResponseHeadStatus::Complete(head, taken) => {
                    self.input.advance(taken);
                    let decoder = head.body.decoder(MAX_ANSWER_BYTES).map_err(malformed)?;
                    self.body = Some((head.status, decoder));
                }
            }
        }
    }
}

const READ_BYTES: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources() {
        let check = |server: &str, index, connections, want: Option<&str>| {
            let got = source(server.parse().unwrap(), index, connections);
            assert_eq!(got.map(|address| address.ip().to_string()).as_deref(), want, "{server}");
        };
        check("127.0.0.1:1", 0, 20_000, None);
        check("127.0.0.1:1", 0, 20_001, Some("127.0.0.1"));
        check("127.0.0.1:1", 45_000, 50_000, Some("127.0.0.3"));
        check("192.0.2.1:1", 45_000, 50_000, None);
        check("[::1]:1", 45_000, 50_000, None);
    }

    #[test]
    fn too_few_descriptors() {
        let error = reserve_descriptors(usize::MAX / 2).unwrap_err().to_string();
        assert!(error.contains("RLIMIT_NOFILE"), "{error}");
        assert!(reserve_descriptors(1).is_ok());
    }

    #[test]
    fn answers_cut_anywhere() {
        let text = "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n\
                    HTTP/1.1 409 x\r\ncontent-length: 3\r\n\r\nabcHTTP/1.1 200 OK\r\n\
                    transfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n";
        for size in [1, 5, text.len()] {
            let mut answers = Answers::default();
            let mut got = Vec::new();
            for piece in text.as_bytes().chunks(size) {
                answers.input.extend_from_slice(piece);
                while let Some(status) = answers.next().unwrap() {
                    got.push(status.as_u16());
                }
            }
            assert_eq!(got, [204, 409, 200], "{size}");
        }
    }
}

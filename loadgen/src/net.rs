//! Sockets, the runtime's builder and the descriptor limit.

mod stream;
mod tls;

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use monoio::io::AsyncWriteRent;
use monoio::net::TcpStream;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Protocol, Socket, Type};

use crate::LoadError;
use crate::target::Target;
pub(crate) use stream::{ReadHalf, Stream, WriteHalf};
pub(crate) use tls::{Tls, config as tls_config};

/// Connections from one loopback address: fewer than the ports that Linux gives out by default
/// (32768 to 60999).
const CONNECTIONS_PER_SOURCE: usize = 20_000;
/// Descriptors for everything but connections: the ring, standard streams, the publisher, and
/// what the rest of the process has open.
const RESERVED_DESCRIPTORS: u64 = 64;
/// Submission entries of the ring; every reader may be woken at once.
const RING_ENTRIES: u32 = 8192;

/// Runs on this thread: on io_uring, or on epoll where that is not allowed.
pub(crate) fn block_on<F: Future>(future: F) -> Result<F::Output, LoadError> {
    let runtime = runtime(&deferring())
        .or_else(|_| runtime(&cooperative()))
        .or_else(|_| runtime(&io_uring::IoUring::builder()));
    Ok(runtime.map_err(LoadError::Runtime)?.block_on(future))
}

type Runtime = monoio::FusionRuntime<
    monoio::time::TimeDriver<monoio::IoUringDriver>,
    monoio::time::TimeDriver<monoio::LegacyDriver>,
>;

fn runtime(ring: &io_uring::Builder) -> io::Result<Runtime> {
    let builder = monoio::RuntimeBuilder::<monoio::FusionDriver>::new();
    builder.with_entries(RING_ENTRIES).uring_builder(ring.clone()).enable_timer().build()
}

/// A ring whose thread receives when it asks for what is done, for all connections at once, and not
/// whenever it happens to be in the kernel. From Linux 6.1 on.
fn deferring() -> io_uring::Builder {
    let mut ring = cooperative();
    ring.setup_defer_taskrun();
    ring
}

/// A ring that does not interrupt its thread for each thing that is done. Older kernels refuse it.
fn cooperative() -> io_uring::Builder {
    let mut ring = io_uring::IoUring::builder();
    ring.setup_coop_taskrun().setup_taskrun_flag().setup_single_issuer();
    ring
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

/// Makes connection `index` of so many, with TLS if the target has it.
pub(crate) async fn connect(
    target: &Target,
    index: usize,
    connections: usize,
) -> io::Result<Stream> {
    let socket = connect_socket(target.address, index, connections).await?;
    match &target.secure {
        None => Ok(Stream::plain(socket)),
        Some(secure) => Stream::secure(socket, secure).await,
    }
}

async fn connect_socket(
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
    let mut stream = TcpStream::from_std(socket.into())?;
    stream.writable(false).await?;
    match stream.peer_addr() {
        Ok(_) => Ok(stream),
        // Nobody is there: a write takes nothing and says why.
        Err(error) => Err(stream.write(vec![0]).await.0.err().unwrap_or(error)),
    }
}

const EINPROGRESS: i32 = rustix::io::Errno::INPROGRESS.raw_os_error();

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
}

//! Sockets and the doorbell on the ring.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream as StdUnixStream;

use bytes::{Buf, BytesMut};
use monoio::buf::IoBufMut;
use monoio::io::{
    AsyncReadRent, AsyncWriteRent, AsyncWriteRentExt, OwnedReadHalf, OwnedWriteHalf, Splitable,
};
use monoio::net::{TcpListener, TcpStream, UnixStream};
use socket2::{Domain, Protocol, Type};
use thalweg_proto::response::Pieces;

use super::simulated::{self, SimulatedBell};
use super::sys::{self, Gather, GatherBuf, SocketHandle};

/// Connections that the kernel keeps for us while a core is busy.
const BACKLOG: i32 = 4096;
/// The kernel's send buffer per socket: what a slow reader has not taken stays a cursor of ours
/// and not gigabytes of the kernel's.
const SEND_BUFFER_BYTES: usize = 256 * 1024;
/// Reads after which a peer that keeps sending is cut off all the same.
const MOST_DISCARDS: usize = 16;

/// One core's listener; every core binds the same address.
pub struct Listener(TcpListener);

impl Listener {
    /// Binds with `SO_REUSEPORT`.
    pub fn bind(address: SocketAddr) -> io::Result<Listener> {
        let socket =
            socket2::Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        TcpListener::from_std(socket.into()).map(Listener)
    }

    /// The next connection.
    pub async fn accept(&self) -> io::Result<(Socket, SocketAddr)> {
        let (stream, peer) = self.0.accept().await?;
        stream.set_nodelay(true)?;
        // A hint; without it a slow reader costs more kernel memory.
        let _ =
            rustix::net::sockopt::set_socket_send_buffer_size(sys::fd(&stream), SEND_BUFFER_BYTES);
        Ok((Socket(stream), peer))
    }
}

/// A connected socket with one task that reads and writes in turn.
pub struct Socket(TcpStream);

impl Socket {
    /// The number that the deadline table keeps.
    #[must_use]
    pub fn handle(&self) -> SocketHandle {
        SocketHandle::of(&self.0)
    }

    /// Reads what there is into the free capacity behind `buf`. 0 bytes: the peer is done.
    pub async fn read(&mut self, buf: BytesMut) -> (io::Result<usize>, BytesMut) {
        let start = buf.len();
        let (result, slice) = self.0.read(buf.slice_mut(start..)).await;
        (result, slice.into_inner())
    }

    /// Writes all pieces in order.
    pub async fn write_all(&mut self, pieces: Pieces) -> io::Result<()> {
        write_all(&mut self.0, pieces).await
    }

    /// Writes a whole buffer and gives it back.
    pub async fn write_buf(&mut self, buf: Vec<u8>) -> (io::Result<()>, Vec<u8>) {
        let (result, buf) = self.0.write_all(buf).await;
        (result.map(drop), buf)
    }

    /// Says that nothing more will be written.
    pub fn finish(&self) -> io::Result<()> {
        rustix::net::shutdown(self, rustix::net::Shutdown::Write)?;
        Ok(())
    }

    /// Whether the peer has nothing more to say: it has closed its side, or the connection is
    /// lost, and all it sent before has been read.
    #[must_use]
    pub fn is_at_end(&self) -> bool {
        use rustix::net::RecvFlags;
        let mut byte = [0; 1];
        match rustix::net::recv(self, &mut byte[..], RecvFlags::DONTWAIT | RecvFlags::PEEK) {
            Ok((read, _)) => read == 0,
            Err(error) => error != rustix::io::Errno::AGAIN,
        }
    }

    /// Takes what the peer has sent by now behind `buf`, without waiting. `None`: nothing has come,
    /// or the connection is lost. 0 bytes: the peer is done.
    pub fn read_now(&self, buf: &mut BytesMut) -> Option<usize> {
        let mut chunk = [0; 4096];
        let read = self.recv_now(&mut chunk)?;
        buf.extend_from_slice(&chunk[..read]);
        Some(read)
    }

    /// The same into a slice, which is not empty.
    pub fn recv_now(&self, buf: &mut [u8]) -> Option<usize> {
        let (read, _) = rustix::net::recv(self, buf, rustix::net::RecvFlags::DONTWAIT).ok()?;
        Some(read)
    }

    /// Parts the socket, for two tasks: one that reads and one that writes.
    #[must_use]
    pub fn split(self) -> (SocketReader, SocketWriter) {
        let (reader, writer) = self.0.into_split();
        (SocketReader(reader), SocketWriter(writer))
    }

    /// Takes what the peer has sent by now and throws it away, up to a bound: a socket that is
    /// closed with something unread resets the connection.
    pub fn discard_input(&self) {
        let mut buf = [0; 4096];
        for _ in 0..MOST_DISCARDS {
            match rustix::net::recv(self, &mut buf[..], rustix::net::RecvFlags::DONTWAIT) {
                Ok((1.., _)) => {}
                _ => return,
            }
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        sys::fd(&self.0)
    }
}

/// The reading half of a socket. The socket closes when both halves are gone.
pub struct SocketReader(OwnedReadHalf<TcpStream>);

impl SocketReader {
    /// Reads what there is into the free capacity behind `buf`. 0 bytes: the peer is done.
    pub async fn read(&mut self, buf: BytesMut) -> (io::Result<usize>, BytesMut) {
        let start = buf.len();
        let (result, slice) = self.0.read(buf.slice_mut(start..)).await;
        (result, slice.into_inner())
    }
}

/// The writing half of a socket. Dropping it ends the sending side.
pub struct SocketWriter(OwnedWriteHalf<TcpStream>);

impl SocketWriter {
    /// Writes a whole buffer and gives it back.
    pub async fn write_buf(&mut self, buf: Vec<u8>) -> (io::Result<()>, Vec<u8>) {
        let (result, buf) = self.0.write_all(buf).await;
        (result.map(drop), buf)
    }
}

async fn write_all(stream: &mut impl AsyncWriteRent, mut pieces: Pieces) -> io::Result<()> {
    pieces.retain(|piece| !piece.is_empty());
    while !pieces.is_empty() {
        let written = if pieces.len() == 1 {
            let piece = std::mem::take(&mut pieces[0]);
            let (result, mut piece) = stream.write(piece).await;
            let written = result?;
            piece.advance(written);
            pieces[0] = piece;
            pieces.retain(|piece| !piece.is_empty());
            written
        } else {
            let (result, GatherBuf(gather)) = stream.writev(GatherBuf(Gather::new(pieces))).await;
            let written = result?;
            pieces = gather.rest(written);
            written
        };
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
    }
    Ok(())
}

/// A doorbell between threads: the rope rings it from anywhere, the bell's core sleeps on it.
pub fn bell() -> io::Result<(BellRope, BellSeat)> {
    if simulated::is_simulated() {
        let bell = SimulatedBell::default();
        return Ok((BellRope(Rope::Simulated(bell.clone())), BellSeat(Seat::Simulated(bell))));
    }
    let (rope, bell) = StdUnixStream::pair()?;
    rope.set_nonblocking(true)?;
    bell.set_nonblocking(true)?;
    Ok((BellRope(Rope::Socket(rope)), BellSeat(Seat::Socket(bell))))
}

/// The end of a doorbell that other threads pull.
pub struct BellRope(Rope);

enum Rope {
    Socket(StdUnixStream),
    Simulated(SimulatedBell),
}

impl BellRope {
    /// Wakes the core. A full pipe means that it is awake or about to be.
    pub fn pull(&self) {
        use std::io::Write as _;
        match &self.0 {
            Rope::Socket(rope) => drop((&*rope).write(&[1])),
            Rope::Simulated(bell) => bell.pull(),
        }
    }
}

/// The other end, on its way to its core's thread.
pub struct BellSeat(Seat);

enum Seat {
    Socket(StdUnixStream),
    Simulated(SimulatedBell),
}

/// The end of a doorbell that a core sleeps on.
pub struct Bell(Sleeper);

enum Sleeper {
    Socket { stream: UnixStream, buf: Vec<u8> },
    Simulated(SimulatedBell),
}

impl Bell {
    /// Takes over the end made by [`bell`], on the core's own thread.
    pub fn new(seat: BellSeat) -> io::Result<Bell> {
        Ok(Bell(match seat.0 {
            Seat::Socket(bell) => {
                Sleeper::Socket { stream: UnixStream::from_std(bell)?, buf: vec![0; 64] }
            }
            Seat::Simulated(bell) => Sleeper::Simulated(bell),
        }))
    }

    /// Sleeps until the rope is pulled.
    pub async fn rung(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Sleeper::Socket { stream, buf } => {
                let (result, back) = stream.read(std::mem::take(buf)).await;
                *buf = back;
                result.map(drop)
            }
            Sleeper::Simulated(bell) => {
                bell.rung().await;
                Ok(())
            }
        }
    }
}

//! The only unsafe code of the server: buffers lent to the ring, a socket shut down by number, and
//! the ring that sends to live readers.

mod ring;

pub use ring::{Completion, SendRing, SendStats};

use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use bytes::Bytes;
use monoio::buf::{IoBuf, IoVecBuf};
use rustix::net::Shutdown;
use smallvec::SmallVec;

/// A buffer that the ring writes to a file from: its bytes never move while it lives.
pub(super) struct FileBuf<T>(pub(super) T);

// SAFETY: `T::as_ref` of the two types below points to heap memory that the value owns; moving
// the value does not move the bytes, and nobody can change them while the ring owns the value.
unsafe impl IoBuf for FileBuf<thalweg_storage::AlignedBuf> {
    fn read_ptr(&self) -> *const u8 {
        self.0.as_ref().as_ptr()
    }

    fn bytes_init(&self) -> usize {
        self.0.as_ref().len()
    }
}

/// Vectors that the kernel takes in one call: `UIO_MAXIOV`.
const MAX_VECTORS: usize = 1024;

/// Shared pieces of a response, lent to the ring for one vectored write.
pub(super) struct Gather {
    pieces: SmallVec<[Bytes; 4]>,
    vectors: SmallVec<[libc::iovec; 4]>,
}

impl Gather {
    /// Points at the first pieces, as many as one call takes; empty ones are left out.
    pub(super) fn new(pieces: SmallVec<[Bytes; 4]>) -> Box<Gather> {
        let vectors = pieces
            .iter()
            .filter(|piece| !piece.is_empty())
            .take(MAX_VECTORS)
            .map(|piece| libc::iovec {
                iov_base: piece.as_ptr().cast_mut().cast(),
                iov_len: piece.len(),
            })
            .collect();
        Box::new(Gather { pieces, vectors })
    }

    /// The pieces without their first `written` bytes.
    pub(super) fn rest(self, mut written: usize) -> SmallVec<[Bytes; 4]> {
        let mut pieces = self.pieces;
        pieces.retain(|piece| {
            let skip = written.min(piece.len());
            written -= skip;
            *piece = Bytes::slice(piece, skip..);
            !piece.is_empty()
        });
        pieces
    }
}

/// A boxed [`Gather`]: the ring needs vectors that stay where they are.
pub(super) struct GatherBuf(pub(super) Box<Gather>);

// SAFETY: the vectors live in the box and point into `Bytes` that the same box owns; `Bytes` is
// immutable and reference-counted, so the memory stays valid and unchanged as long as the box.
unsafe impl IoVecBuf for GatherBuf {
    fn read_iovec_ptr(&self) -> *const libc::iovec {
        self.0.vectors.as_ptr()
    }

    fn read_iovec_len(&self) -> usize {
        self.0.vectors.len()
    }
}

/// Gives memory that is free back to the system. Takes milliseconds: not for a core's thread.
pub fn trim_memory() {
    // SAFETY: `malloc_trim` takes the allocator's own locks and touches only free memory.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// A socket's number, for [`shutdown`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SocketHandle(RawFd);

impl SocketHandle {
    pub(super) fn of(socket: &impl AsRawFd) -> SocketHandle {
        SocketHandle(socket.as_raw_fd())
    }
}

/// Lends out the descriptor of something that owns it.
pub(super) fn fd(socket: &impl AsRawFd) -> BorrowedFd<'_> {
    // SAFETY: `socket` owns the descriptor and is borrowed as long as the result.
    unsafe { BorrowedFd::borrow_raw(socket.as_raw_fd()) }
}

/// Shuts a socket down, so that what its task waits for ends: reads only, or both directions.
/// The caller guarantees that the socket is open; the deadline table does, because a connection
/// takes itself off the table before its socket closes.
pub fn shutdown(socket: SocketHandle, both_directions: bool) {
    // SAFETY: the descriptor is open for the duration of the call, see above; a table entry and
    // its socket live on the same core, so nothing can close it in between.
    let fd = unsafe { BorrowedFd::borrow_raw(socket.0) };
    let how = if both_directions { Shutdown::Both } else { Shutdown::Read };
    // The peer may have closed already; then there is nothing left to shut down.
    let _ = rustix::net::shutdown(fd, how);
}

//! Many small sends in few system calls: a ring of its own for the sockets of live readers.
//!
//! Owns the bytes of every send under way, so that nothing a caller does can free memory that
//! the kernel still reads. Invariant: a descriptor is handed to the kernel before the call that
//! queued it returns to code that could close it, if the caller calls [`SendRing::submit`] before
//! it closes anything. Deliberately absent: receiving, timeouts, and knowledge of who is sent to.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use bytes::Bytes;
use io_uring::{IoUring, cqueue, opcode, squeue, types};

/// What came of an operation.
#[derive(Debug)]
pub enum Completion {
    /// A send, and the bytes that the kernel did not take: nearly always none. They may be sent
    /// now.
    Sent(io::Result<Bytes>),
    /// The peer has closed its side, or the connection is lost.
    Gone,
    /// There is something to read.
    Input {
        /// The peer has closed its side, or the connection is lost.
        lost: bool,
        /// It will be told again when there is more.
        more: bool,
    },
}

/// For metrics.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SendStats {
    /// System calls.
    pub calls: u64,
    /// Operations handed to the kernel.
    pub operations: u64,
    /// Sends that are not complete.
    pub under_way: u64,
    /// Completions that found no room in the ring.
    pub overflows: u64,
}

/// See the module.
pub struct SendRing {
    ring: IoUring,
    under_way: Vec<Option<Send>>,
    free: Vec<u32>,
    calls: u64,
    operations: u64,
}

struct Send {
    token: u32,
    bytes: Bytes,
}

impl SendRing {
    /// A ring that takes `entries` operations in one call.
    pub fn new(entries: u32) -> io::Result<SendRing> {
        let ring = IoUring::builder()
            .setup_coop_taskrun()
            .setup_taskrun_flag()
            .setup_single_issuer()
            .setup_cqsize(COMPLETIONS_PER_ENTRY * entries)
            // At most what the kernel has: a large ring needs less of it in proportion.
            .setup_clamp()
            .build(entries)?;
        Ok(SendRing { ring, under_way: Vec::new(), free: Vec::new(), calls: 0, operations: 0 })
    }

    /// Queues a send of all bytes. Its completion carries the token.
    pub fn send(&mut self, token: u32, socket: BorrowedFd<'_>, bytes: Bytes) -> io::Result<()> {
        let index = self.free.pop().unwrap_or_else(|| {
            self.under_way.push(None);
            (self.under_way.len() - 1) as u32
        });
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let entry = opcode::Send::new(types::Fd(socket.as_raw_fd()), bytes.as_ptr(), len)
            .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL)
            .build()
            .user_data(u64::from(index) << KIND_BITS | KIND_SEND);
        self.under_way[index as usize] = Some(Send { token, bytes });
        let pushed = self.push(&entry);
        if pushed.is_err() {
            // The kernel never saw it.
            self.finish(index);
        }
        pushed
    }

    /// Asks to be told once when the peer closes its side.
    pub fn watch(&mut self, token: u32, socket: BorrowedFd<'_>) -> io::Result<()> {
        let entry = opcode::PollAdd::new(
            types::Fd(socket.as_raw_fd()),
            libc::POLLRDHUP.cast_unsigned() as u32,
        )
        .build()
        .user_data(u64::from(token) << KIND_BITS | KIND_WATCH);
        self.push(&entry)
    }

    /// Asks to be told whenever there is something to read, and when the peer closes its side.
    pub fn watch_input(&mut self, token: u32, socket: BorrowedFd<'_>) -> io::Result<()> {
        let events = (libc::POLLIN | libc::POLLRDHUP).cast_unsigned() as u32;
        let entry = opcode::PollAdd::new(types::Fd(socket.as_raw_fd()), events)
            .multi(true)
            .build()
            .user_data(u64::from(token) << KIND_BITS | KIND_INPUT);
        self.push(&entry)
    }

    /// Takes a watch back: it completes now, if it has not before.
    pub fn unwatch(&mut self, token: u32) -> io::Result<()> {
        self.take_back(u64::from(token) << KIND_BITS | KIND_WATCH)
    }

    /// Takes a watch of input back: it completes now with no more to come, if it has not before.
    pub fn unwatch_input(&mut self, token: u32) -> io::Result<()> {
        self.take_back(u64::from(token) << KIND_BITS | KIND_INPUT)
    }

    fn take_back(&mut self, watch: u64) -> io::Result<()> {
        self.push(&opcode::PollRemove::new(watch).build().user_data(KIND_NUDGE))
    }

    /// Makes the descriptor readable soon, with nothing to take.
    pub fn nudge(&mut self) -> io::Result<()> {
        self.push(&opcode::Nop::new().build().user_data(KIND_NUDGE))
    }

    /// Hands what is queued to the kernel. Sends into sockets with room are done when it returns.
    pub fn submit(&mut self) -> io::Result<()> {
        self.enter().map(drop)
    }

    /// The same, and waits until something is complete.
    pub fn submit_and_wait(&mut self) -> io::Result<()> {
        self.ring.submit_and_wait(1).map(drop)
    }

    /// Takes at most `most` completions and hands each, with its token, to `take`. Returns how
    /// many there were.
    pub fn completions(&mut self, most: usize, mut take: impl FnMut(u32, Completion)) -> usize {
        let mut taken = 0;
        while taken < most {
            let Some(entry) = self.ring.completion().next() else { break };
            taken += 1;
            let (data, result) = (entry.user_data(), entry.result());
            let more = cqueue::more(entry.flags());
            // Both numbers were made from a u32.
            let number = (data >> KIND_BITS) as u32;
            match data & KIND_MASK {
                KIND_SEND => {
                    let Some(Send { token, mut bytes }) = self.finish(number) else { continue };
                    let rest = match usize::try_from(result) {
                        Ok(sent) => Ok(bytes.split_off(sent.min(bytes.len()))),
                        Err(_) => Err(io::Error::from_raw_os_error(result.saturating_neg())),
                    };
                    take(token, Completion::Sent(rest));
                }
                KIND_WATCH => take(number, Completion::Gone),
                KIND_INPUT => {
                    let lost = result & LOST != 0 || result < 0;
                    take(number, Completion::Input { lost, more });
                }
                _ => {}
            }
        }
        taken
    }

    /// Sends whose completion has not been taken.
    #[must_use]
    pub fn sends_under_way(&self) -> usize {
        self.under_way.len() - self.free.len()
    }

    /// What it has done so far, and what is under way.
    pub fn stats(&mut self) -> SendStats {
        SendStats {
            calls: self.calls,
            operations: self.operations,
            under_way: self.sends_under_way() as u64,
            overflows: u64::from(self.ring.completion().overflow()),
        }
    }

    fn finish(&mut self, index: u32) -> Option<Send> {
        let send = self.under_way.get_mut(index as usize)?.take()?;
        self.free.push(index);
        Some(send)
    }

    fn push(&mut self, entry: &squeue::Entry) -> io::Result<()> {
        loop {
            // SAFETY: a send's memory is owned by `under_way` until its completion is taken, and
            // is leaked if the ring is dropped before; a watch names no memory.
            if unsafe { self.ring.submission().push(entry) }.is_ok() {
                return Ok(());
            }
            self.enter()?;
        }
    }

    fn enter(&mut self) -> io::Result<usize> {
        let submitted = self.ring.submit()?;
        self.calls += 1;
        self.operations += submitted as u64;
        Ok(submitted)
    }
}

impl AsFd for SendRing {
    /// Readable while completions wait.
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the ring owns its descriptor and is borrowed as long as the result.
        unsafe { BorrowedFd::borrow_raw(self.ring.as_raw_fd()) }
    }
}

impl Drop for SendRing {
    fn drop(&mut self) {
        // The kernel cancels what is under way some time after the ring is closed.
        for send in self.under_way.drain(..).flatten() {
            std::mem::forget(send.bytes);
        }
    }
}

/// Every connected reader may complete at once; the kernel keeps what does not fit, and ends the
/// watch of input that it is about.
const COMPLETIONS_PER_ENTRY: u32 = 64;
const KIND_BITS: u32 = 2;
const KIND_MASK: u64 = 3;
const KIND_SEND: u64 = 0;
const KIND_WATCH: u64 = 1;
const KIND_NUDGE: u64 = 2;
const KIND_INPUT: u64 = 3;
/// How a poll tells that the peer has closed its side.
const LOST: i32 = (libc::POLLRDHUP | libc::POLLHUP | libc::POLLERR) as i32;

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixStream;

    /// Waits for `want` completions.
    fn take(ring: &mut SendRing, want: usize) -> Vec<(u32, String)> {
        let mut taken = Vec::new();
        while taken.len() < want {
            ring.submit_and_wait().unwrap();
            ring.completions(usize::MAX, |token, completion| {
                taken.push((token, format!("{completion:?}")));
            });
        }
        taken.sort();
        taken
    }

    #[test]
    fn sends_arrive_and_an_end_is_noticed() {
        let mut ring = SendRing::new(4).unwrap();
        let pairs: Vec<_> = (0..20).map(|_| UnixStream::pair().unwrap()).collect();
        let frame = Bytes::from_static(b"news");
        for (token, (ours, _)) in pairs.iter().enumerate() {
            ring.send(token as u32, ours.as_fd(), frame.clone()).unwrap();
            ring.watch(token as u32, ours.as_fd()).unwrap();
        }
        let sent = take(&mut ring, 20);
        assert!(sent.iter().all(|(_, what)| what == "Sent(Ok(b\"\"))"), "{sent:?}");
        assert_eq!(ring.sends_under_way(), 0);
        for (_, theirs) in &pairs {
            let mut got = [0; 4];
            (&mut &*theirs).read_exact(&mut got).unwrap();
            assert_eq!(&got, b"news");
        }
        let (keep, leave): (Vec<_>, Vec<_>) =
            pairs.into_iter().enumerate().partition(|(token, _)| token % 2 == 0);
        for (_, (_, theirs)) in &leave {
            theirs.shutdown(std::net::Shutdown::Both).unwrap();
        }
        let gone = take(&mut ring, leave.len());
        let want: Vec<_> =
            leave.iter().map(|(token, _)| (*token as u32, "Gone".to_owned())).collect();
        assert_eq!(gone, want);
        drop(keep);
    }

    #[test]
    fn input_is_told_each_time_and_so_is_the_end() {
        let mut ring = SendRing::new(4).unwrap();
        let (ours, theirs) = UnixStream::pair().unwrap();
        let told = |lost, more| (3, format!("{:?}", Completion::Input { lost, more }));
        ring.watch_input(3, ours.as_fd()).unwrap();
        for _ in 0..2 {
            (&theirs).write_all(b"request").unwrap();
            assert_eq!(take(&mut ring, 1), [told(false, true)]);
            (&mut &ours).read_exact(&mut [0; 7]).unwrap();
        }
        drop(theirs);
        assert!(take(&mut ring, 1)[0].1.contains("lost: true"));
        let (ours, _theirs) = UnixStream::pair().unwrap();
        ring.watch_input(4, ours.as_fd()).unwrap();
        ring.unwatch_input(4).unwrap();
        let taken = take(&mut ring, 1);
        assert!(taken[0].0 == 4 && taken[0].1.contains("more: false"), "{taken:?}");
    }

    #[test]
    fn a_watch_that_is_taken_back_completes() {
        let mut ring = SendRing::new(4).unwrap();
        let (ours, _theirs) = UnixStream::pair().unwrap();
        ring.watch(3, ours.as_fd()).unwrap();
        ring.submit().unwrap();
        assert_eq!(ring.completions(9, |_, _| ()), 0);
        ring.unwatch(3).unwrap();
        assert_eq!(take(&mut ring, 1), [(3, "Gone".to_owned())]);
    }

    #[test]
    fn a_full_socket_completes_when_its_peer_reads() {
        let mut ring = SendRing::new(4).unwrap();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let len = 8 * 1024 * 1024;
        ring.send(7, ours.as_fd(), Bytes::from(vec![b'x'; len])).unwrap();
        ring.submit().unwrap();
        assert_eq!(ring.sends_under_way(), 1);
        let reader = std::thread::spawn(move || {
            let mut got = 0;
            let mut buf = vec![0; 1 << 20];
            while got < len {
                got += theirs.read(&mut buf).unwrap();
            }
            got
        });
        assert_eq!(take(&mut ring, 1), [(7, "Sent(Ok(b\"\"))".to_owned())]);
        assert_eq!(reader.join().unwrap(), len);
    }

    #[test]
    fn a_lost_peer_is_an_error() {
        let mut ring = SendRing::new(4).unwrap();
        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(theirs);
        ring.send(1, ours.as_fd(), Bytes::from_static(b"x")).unwrap();
        let taken = take(&mut ring, 1);
        assert!(taken[0].1.starts_with("Sent(Err("), "{taken:?}");
    }
}

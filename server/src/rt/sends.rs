//! Sends to many sockets with whichever driver the core has, and the wait for what came of them.
//!
//! Invariant: the readiness of [`SendsReady`] follows the completions that have not been taken,
//! so one task can sleep on it. Deliberately absent: anything about what is sent.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream as StdUnixStream;

use bytes::Bytes;
use monoio::net::UnixStream;
use rustix::buffer::spare_capacity;
use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};
use rustix::io::Errno;
use rustix::net::SendFlags;

use super::Driver;
use super::sys::{Completion, SendRing, SendStats};

/// Operations that leave in one system call.
pub const SENDS_PER_CALL: u32 = 256;

/// Sends to many sockets. A core has one.
pub struct Sends(Backend);

enum Backend {
    Ring(Box<SendRing>),
    Epoll(EpollSends),
    /// A simulated world has no sockets to send to.
    Simulated,
}

impl Sends {
    /// Sends through a ring, or by one call each where the core runs on epoll.
    pub fn new(driver: Driver) -> io::Result<(Sends, SendsReady)> {
        let backend = match driver {
            Driver::IoUring => {
                Backend::Ring(Box::new(super::with_ring_memory(|| SendRing::new(SENDS_PER_CALL))?))
            }
            Driver::Epoll => Backend::Epoll(EpollSends::new()?),
            Driver::Simulated => return Ok((Sends(Backend::Simulated), SendsReady(None))),
        };
        let descriptor = match &backend {
            Backend::Ring(ring) => ring.as_fd().try_clone_to_owned()?,
            Backend::Epoll(sends) => sends.epoll.try_clone()?,
            Backend::Simulated => return Err(no_sockets()),
        };
        // Only waited for, never read: any descriptor that can be polled will do.
        let ready = UnixStream::from_std(StdUnixStream::from(descriptor))?;
        Ok((Sends(backend), SendsReady(Some(ready))))
    }

    /// Sends all bytes. Completes once, with the token.
    pub fn send(&mut self, token: u32, socket: BorrowedFd<'_>, bytes: Bytes) -> io::Result<()> {
        match &mut self.0 {
            Backend::Ring(ring) => ring.send(token, socket, bytes),
            Backend::Epoll(sends) => {
                sends.send(token, socket, bytes);
                Ok(())
            }
            Backend::Simulated => Err(no_sockets()),
        }
    }

    /// Completes once the peer has closed its side. Asked for once for a socket, before the first
    /// send to it.
    pub fn watch(&mut self, token: u32, socket: BorrowedFd<'_>) -> io::Result<()> {
        match &mut self.0 {
            Backend::Ring(ring) => ring.watch(token, socket),
            Backend::Epoll(sends) => sends.watch(token, socket),
            Backend::Simulated => Err(no_sockets()),
        }
    }

    /// Takes a watch back before the socket closes or goes elsewhere: it completes soon, if it has
    /// not before.
    pub fn unwatch(&mut self, token: u32, socket: BorrowedFd<'_>) -> io::Result<()> {
        match &mut self.0 {
            Backend::Ring(ring) => ring.unwatch(token),
            Backend::Epoll(sends) => sends.unwatch(token, socket),
            Backend::Simulated => Err(no_sockets()),
        }
    }

    /// Completes whenever there is something to read, and once the peer has closed its side.
    /// Instead of [`Sends::watch`]; asked for again only after it said that no more will come.
    pub fn watch_input(&mut self, token: u32, socket: BorrowedFd<'_>) -> io::Result<()> {
        match &mut self.0 {
            Backend::Ring(ring) => ring.watch_input(token, socket),
            Backend::Epoll(sends) => sends.watch_input(token, socket),
            Backend::Simulated => Err(no_sockets()),
        }
    }

    /// Takes such a watch back. If it has not said that no more will come, it does soon.
    pub fn unwatch_input(&mut self, token: u32, socket: BorrowedFd<'_>) -> io::Result<()> {
        match &mut self.0 {
            Backend::Ring(ring) => ring.unwatch_input(token),
            Backend::Epoll(sends) => sends.unwatch(token, socket),
            Backend::Simulated => Err(no_sockets()),
        }
    }

    /// Makes [`SendsReady`] complete soon, whatever the sockets do.
    pub fn nudge(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Backend::Ring(ring) => ring.nudge(),
            Backend::Epoll(sends) => sends.nudge(),
            Backend::Simulated => Ok(()),
        }
    }

    /// Hands what was asked for to the kernel. Nothing may be closed before.
    pub fn submit(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Backend::Ring(ring) => ring.submit(),
            Backend::Epoll(sends) => sends.submit(),
            Backend::Simulated => Ok(()),
        }
    }

    /// What was done so far, and what is under way.
    pub fn stats(&mut self) -> SendStats {
        match &mut self.0 {
            Backend::Ring(ring) => ring.stats(),
            Backend::Epoll(sends) => SendStats {
                calls: sends.sent,
                operations: sends.sent,
                under_way: sends.full.len() as u64,
                overflows: 0,
            },
            Backend::Simulated => SendStats::default(),
        }
    }

    /// Takes at most `most` completions.
    pub fn completions(&mut self, most: usize, take: impl FnMut(u32, Completion)) {
        match &mut self.0 {
            Backend::Ring(ring) => {
                ring.completions(most, take);
            }
            Backend::Epoll(sends) => sends.completions(most, take),
            Backend::Simulated => {}
        }
    }
}

/// Completes while completions wait to be taken.
pub struct SendsReady(Option<UnixStream>);

impl SendsReady {
    /// Waits.
    pub async fn ready(&self) -> io::Result<()> {
        match &self.0 {
            Some(descriptor) => descriptor.readable(false).await,
            None => std::future::pending().await,
        }
    }
}

fn no_sockets() -> io::Error {
    io::Error::other("a simulated world has no sockets")
}

/// One send(2) for each, edge-triggered readiness for those that were full.
struct EpollSends {
    epoll: OwnedFd,
    /// Readable after a nudge, and while `done` holds something.
    bell: OwnedFd,
    done: VecDeque<(u32, Completion)>,
    full: HashMap<u32, Bytes>,
    /// How often.
    sent: u64,
    watches: HashMap<u32, Watch>,
    /// Tells the events of a token's watch from those of an earlier one.
    generation: u32,
    events: Vec<epoll::Event>,
}

struct Watch {
    generation: u32,
    /// Its end was told; the kernel may report it in several steps.
    told: bool,
    /// It tells of input too.
    input: bool,
}

impl EpollSends {
    fn new() -> io::Result<EpollSends> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        epoll::add(&epoll, &bell, epoll::EventData::new_u64(BELL), epoll::EventFlags::IN)?;
        let events = Vec::with_capacity(SENDS_PER_CALL as usize);
        Ok(EpollSends {
            epoll,
            bell,
            done: VecDeque::new(),
            full: HashMap::new(),
            sent: 0,
            watches: HashMap::new(),
            generation: 0,
            events,
        })
    }

    fn send(&mut self, token: u32, socket: BorrowedFd<'_>, mut bytes: Bytes) {
        self.sent += 1;
        match rustix::net::send(socket, &bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
            Ok(sent) => {
                self.done.push_back((token, Completion::Sent(Ok(bytes.split_off(sent)))));
            }
            Err(Errno::AGAIN) => {
                self.full.insert(token, bytes);
            }
            Err(error) => self.done.push_back((token, Completion::Sent(Err(error.into())))),
        }
    }

    fn watch(&mut self, token: u32, socket: BorrowedFd<'_>) -> io::Result<()> {
        self.add(token, socket, epoll::EventFlags::empty())
    }

    fn watch_input(&mut self, token: u32, socket: BorrowedFd<'_>) -> io::Result<()> {
        self.add(token, socket, epoll::EventFlags::IN)
    }

    fn add(
        &mut self,
        token: u32,
        socket: BorrowedFd<'_>,
        input: epoll::EventFlags,
    ) -> io::Result<()> {
        let always = epoll::EventFlags::OUT | epoll::EventFlags::RDHUP | epoll::EventFlags::ET;
        let (flags, input) = (always | input, !input.is_empty());
        self.generation = self.generation.wrapping_add(1) & MAX_GENERATION;
        let data = u64::from(self.generation) << u32::BITS | u64::from(token);
        epoll::add(&self.epoll, socket, epoll::EventData::new_u64(data), flags)?;
        self.watches.insert(token, Watch { generation: self.generation, told: false, input });
        Ok(())
    }

    fn unwatch(&mut self, token: u32, socket: BorrowedFd<'_>) -> io::Result<()> {
        epoll::delete(&self.epoll, socket)?;
        if let Some(watch) = self.watches.get_mut(&token)
            && !std::mem::replace(&mut watch.told, true)
        {
            self.done.push_back((token, watch.end()));
        }
        Ok(())
    }

    fn nudge(&mut self) -> io::Result<()> {
        match rustix::io::write(&self.bell, &1u64.to_ne_bytes()) {
            Ok(_) | Err(Errno::AGAIN) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn submit(&mut self) -> io::Result<()> {
        if self.done.is_empty() { Ok(()) } else { self.nudge() }
    }

    fn completions(&mut self, most: usize, mut take: impl FnMut(u32, Completion)) {
        self.poll();
        for _ in 0..most {
            let Some((token, completion)) = self.done.pop_front() else { return };
            take(token, completion);
        }
        if !self.done.is_empty() {
            // The counter holds much more than there are completions.
            let _ = self.nudge();
        }
    }

    fn poll(&mut self) {
        self.events.clear();
        let now = Timespec::default();
        // An error here is an interruption; readiness stays and is found by the next call.
        let _ = epoll::wait(&self.epoll, spare_capacity(&mut self.events), Some(&now));
        for event in &self.events {
            let (data, flags) = (event.data.u64(), event.flags);
            if data == BELL {
                let mut count = [0; 8];
                let _ = rustix::io::read(&self.bell, &mut count);
                continue;
            }
            let (generation, token) = ((data >> u32::BITS) as u32, data as u32);
            let watch = self.watches.get_mut(&token);
            let Some(watch) = watch.filter(|watch| watch.generation == generation) else {
                continue;
            };
            let lost = epoll::EventFlags::RDHUP | epoll::EventFlags::HUP | epoll::EventFlags::ERR;
            if let Some(rest) = self.full.remove(&token) {
                self.done.push_back((token, Completion::Sent(Ok(rest))));
            }
            if flags.intersects(lost) && !std::mem::replace(&mut watch.told, true) {
                self.done.push_back((token, watch.end()));
            } else if watch.input && !watch.told && flags.contains(epoll::EventFlags::IN) {
                self.done.push_back((token, Completion::Input { lost: false, more: true }));
            }
        }
    }
}

impl Watch {
    /// What is told when the peer has closed its side, or when it is taken back.
    fn end(&self) -> Completion {
        match self.input {
            true => Completion::Input { lost: true, more: false },
            false => Completion::Gone,
        }
    }
}

/// No watch has this number.
const BELL: u64 = u64::MAX;
const MAX_GENERATION: u32 = u32::MAX >> 1;

//! The null server: answers appends at once and streams them to live readers, and does nothing
//! else; what it costs is what the kernel's sockets cost.
//!
//! Threads of its own, on other processors than the generator where there are any; each has its
//! own listener on the same port. Plain epoll, one write per reader for all that it lacks.
//!
//! Deliberately absent: storage, offsets that mean something, and every protocol rule that the
//! calibration's plans do not need.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::time::{ClockId, clock_gettime};
use socket2::{Domain, Protocol, Socket, Type};

use super::hub::Hub;
use super::wire::{self, Request};
use crate::live::Board;

/// A server that runs until it is stopped.
#[derive(Debug)]
pub(super) struct NullServer {
    pub(super) address: SocketAddr,
    hub: Arc<Hub>,
    threads: Vec<JoinHandle<io::Result<()>>>,
}

impl NullServer {
    /// Starts `threads` threads, on the given processors in turn if there are any. `board` is the
    /// generator's: what it has taken decides when an append is answered.
    pub(super) fn start(threads: usize, cpus: &[usize], board: Board) -> io::Result<NullServer> {
        let hub = Arc::new(Hub::new(threads, board)?);
        let mut address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut listeners = Vec::new();
        for _ in 0..threads {
            let listener = listen(address)?;
            address = listener.local_addr()?;
            listeners.push(listener);
        }
        let threads = listeners.into_iter().enumerate().map(|(index, listener)| {
            let hub = Arc::clone(&hub);
            let cpu = cpus.get(index % cpus.len().max(1)).copied();
            std::thread::Builder::new().name(format!("null {index}")).spawn(move || {
                pin(cpu);
                Worker::new(index, hub, listener)?.run()
            })
        });
        let threads = threads.collect::<io::Result<_>>()?;
        Ok(NullServer { address, hub, threads })
    }

    /// CPU time by wall time of the busiest thread, from the first append to the last.
    pub(super) fn stop(self) -> io::Result<f64> {
        self.hub.end();
        for thread in self.threads {
            thread.join().unwrap_or_else(|_| Err(io::Error::other("a thread failed")))?;
        }
        Ok(self.hub.busiest())
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(4096)?;
    Ok(socket.into())
}

/// A processor that cannot be had is no reason to stop: the figures say who was busy.
fn pin(cpu: Option<usize>) {
    if let Some(cpu) = cpu {
        let mut set = rustix::thread::CpuSet::new();
        set.set(cpu);
        let _ = rustix::thread::sched_setaffinity(None, &set);
    }
}

/// One thread.
struct Worker {
    index: usize,
    hub: Arc<Hub>,
    listener: TcpListener,
    epoll: rustix::fd::OwnedFd,
    connections: Vec<Connection>,
    /// Indices of live readers.
    readers: Vec<usize>,
    /// Indices of those with appends that wait for their answer.
    waiting: Vec<usize>,
    /// This thread's copy of all messages.
    log: Vec<u8>,
    buf: Vec<u8>,
    meter: Meter,
}

struct Connection {
    stream: TcpStream,
    input: Vec<u8>,
    output: Vec<u8>,
    /// Bytes of the log that a live reader has been sent.
    sent: Option<usize>,
    /// The socket takes no more for now.
    full: bool,
    gone: bool,
    /// Appends without an answer, by the number of their message.
    unanswered: std::collections::VecDeque<u64>,
}

impl Worker {
    fn new(index: usize, hub: Arc<Hub>, listener: TcpListener) -> io::Result<Worker> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
        epoll::add(&epoll, hub.waker(index), EventData::new_u64(WAKER), EventFlags::IN)?;
        Ok(Worker {
            index,
            hub,
            listener,
            epoll,
            connections: Vec::new(),
            readers: Vec::new(),
            waiting: Vec::new(),
            log: Vec::new(),
            buf: vec![0; READ_BYTES],
            meter: Meter::default(),
        })
    }

    fn run(mut self) -> io::Result<()> {
        let mut events = vec![NO_EVENT; EVENTS];
        while !self.hub.is_over() {
            // An append that waits for deliveries is looked after now and then.
            let nap_ns = if self.waiting.is_empty() { LONG_NAP_NS } else { SHORT_NAP_NS };
            let timeout = Timespec { tv_sec: 0, tv_nsec: nap_ns };
            let count = match epoll::wait(&self.epoll, &mut events[..], Some(&timeout)) {
                Err(rustix::io::Errno::INTR) => 0,
                count => count?,
            };
            for event in &events[..count] {
                match event.data.u64() {
                    LISTENER => self.accept()?,
                    WAKER => {
                        let _ = rustix::io::read(self.hub.waker(self.index), &mut [0_u8; 8]);
                    }
                    index => self.ready(index as usize, event.flags),
                }
            }
            self.deliver();
            self.answer();
            if count > 0 && self.meter.is_due() {
                let (cpu_ns, wall_ns) = self.meter.used();
                self.hub.set_usage(self.index, cpu_ns, wall_ns);
            }
        }
        Ok(())
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            let data = EventData::new_u64(self.connections.len() as u64);
            epoll::add(
                &self.epoll,
                &stream,
                data,
                EventFlags::IN | EventFlags::OUT | EventFlags::ET,
            )?;
            self.connections.push(Connection {
                stream,
                input: Vec::new(),
                output: Vec::new(),
                sent: None,
                full: false,
                gone: false,
                unanswered: std::collections::VecDeque::new(),
            });
        }
    }

    fn ready(&mut self, index: usize, flags: EventFlags) {
        let Some(connection) = self.connections.get_mut(index) else { return };
        if flags.contains(EventFlags::OUT) {
            connection.full = false;
        }
        if flags.contains(EventFlags::IN) {
            connection.receive(&mut self.buf);
        }
        let mut input = std::mem::take(&mut connection.input);
        let mut taken = 0;
        while let Some((request, length)) = wire::request(&input[taken..]) {
            self.take(index, request);
            taken += length;
        }
        input.drain(..taken);
        let connection = &mut self.connections[index];
        connection.input = input;
        connection.flush();
    }

    fn take(&mut self, index: usize, request: Request<'_>) {
        let connection = &mut self.connections[index];
        match request {
            Request::Append(body) if self.hub.has_readers() => {
                self.meter.begin();
                connection.unanswered.push_back(self.hub.publish(body));
                if connection.unanswered.len() == 1 {
                    self.waiting.push(index);
                }
            }
            Request::Follow => {
                wire::push_followed(&mut connection.output);
                self.hub.follow(&mut self.log);
                connection.sent = Some(self.log.len());
                self.readers.push(index);
                self.hub.add_reader();
            }
            other => {
                if matches!(other, Request::Append(_)) {
                    self.meter.begin();
                }
                wire::push_answer(&mut connection.output, other, 0);
            }
        }
    }

    /// Sends each reader what it lacks.
    fn deliver(&mut self) {
        if self.readers.is_empty() {
            return;
        }
        self.hub.follow(&mut self.log);
        for index in &self.readers {
            self.connections[*index].deliver(&self.log);
        }
    }

    /// Answers appends whose messages all readers have.
    fn answer(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let taken = self.hub.taken();
        let connections = &mut self.connections;
        self.waiting.retain(|index| {
            let connection = &mut connections[*index];
            while let Some(message) = connection.unanswered.pop_front_if(|one| *one <= taken) {
                wire::push_answer(&mut connection.output, Request::Append(b""), message);
            }
            connection.flush();
            !connection.unanswered.is_empty()
        });
    }
}

impl Connection {
    fn receive(&mut self, buf: &mut [u8]) {
        loop {
            match self.stream.read(buf) {
                Ok(0) => break self.gone = true,
                Ok(read) => {
                    self.input.extend_from_slice(&buf[..read]);
                    if read < buf.len() {
                        // The next byte that comes is told anew.
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => break self.gone = true,
            }
        }
    }

    fn flush(&mut self) {
        if !self.output.is_empty() {
            let sent = self.write(None);
            self.output.drain(..sent);
        }
    }

    fn deliver(&mut self, log: &[u8]) {
        let Some(sent) = self.sent else { return };
        if self.full || self.gone || sent == log.len() || !self.output.is_empty() {
            return;
        }
        let written = self.write(Some(&log[sent..]));
        self.sent = Some(sent + written);
    }

    /// How much of the output, or of `bytes`, went out.
    fn write(&mut self, bytes: Option<&[u8]>) -> usize {
        let bytes = bytes.unwrap_or(&self.output);
        match self.stream.write(bytes) {
            Ok(written) => {
                self.full = written < bytes.len();
                written
            }
            Err(error) => {
                match error.kind() {
                    io::ErrorKind::WouldBlock => self.full = true,
                    _ => self.gone = true,
                }
                0
            }
        }
    }
}

/// CPU time of a thread from its first append on.
#[derive(Default)]
struct Meter {
    begin: Option<(u64, Instant)>,
    read_ms: u128,
}

impl Meter {
    fn begin(&mut self) {
        self.begin.get_or_insert_with(|| (cpu_ns(), Instant::now()));
    }

    /// Every ten milliseconds.
    fn is_due(&mut self) -> bool {
        let Some((_, begin)) = self.begin else { return false };
        let tens = begin.elapsed().as_millis() / 10;
        std::mem::replace(&mut self.read_ms, tens) != tens
    }

    fn used(&self) -> (u64, u64) {
        self.begin.map_or((0, 0), |(cpu, begin)| {
            (cpu_ns().saturating_sub(cpu), begin.elapsed().as_nanos() as u64)
        })
    }
}

fn cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

const LISTENER: u64 = u64::MAX;
const WAKER: u64 = u64::MAX - 1;
const EVENTS: usize = 1024;
const NO_EVENT: Event = Event { flags: EventFlags::empty(), data: EventData::new_u64(0) };
const READ_BYTES: usize = 64 * 1024;
const LONG_NAP_NS: i64 = 100_000_000;
const SHORT_NAP_NS: i64 = 1_000_000;

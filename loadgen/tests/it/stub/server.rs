//! The loop, and what requests mean.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::fd::OwnedFd;

use super::Shared;
use super::answers::{chunk, control, head, page, plain_events, status};
use super::connection::{Connection, Live, Request};
use super::faults::{Cut, Faults, Harm, Target, Then};
use super::log::{Harmed, Logged};
use super::streams::{Stream, Streams};

/// The loop and what it knows.
pub(super) struct Server {
    shared: Arc<Shared>,
    listener: TcpListener,
    epoll: OwnedFd,
    connections: BTreeMap<u64, Connection>,
    next: u64,
    streams: Streams,
    /// Bytes that are sent at a time.
    later: Vec<(Instant, u64, Vec<u8>)>,
    /// Live readers that are answered at a time.
    postponed: Vec<(Instant, u64, Request)>,
    /// When messages of a stream become visible.
    visible: Vec<(Instant, String)>,
    events: u64,
    /// As they were when the loop's round began.
    faults: Faults,
}

impl Server {
    pub(super) fn bind(shared: Arc<Shared>) -> io::Result<Server> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let faults = shared.faults().clone();
        if let Some(bytes) = faults.send_buffer {
            socket2::SockRef::from(&listener).set_send_buffer_size(bytes)?;
        }
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
        Ok(Server {
            shared,
            listener,
            epoll,
            connections: BTreeMap::new(),
            next: LISTENER + 1,
            streams: Streams::default(),
            later: Vec::new(),
            postponed: Vec::new(),
            visible: Vec::new(),
            events: 0,
            faults,
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.listener.local_addr().expect("bound")
    }

    pub(super) fn run(mut self) -> io::Result<()> {
        let mut events: Vec<Event> = Vec::with_capacity(1024);
        while !self.shared.is_stopped() {
            let wait = Timespec { tv_sec: 0, tv_nsec: self.patience().as_nanos() as i64 };
            let buffer = rustix::buffer::spare_capacity(&mut events);
            match epoll::wait(&self.epoll, buffer, Some(&wait)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            self.faults = self.shared.faults().clone();
            for event in std::mem::replace(&mut events, Vec::with_capacity(1024)) {
                match event.data.u64() {
                    LISTENER => self.accept()?,
                    id => self.serve(id),
                }
            }
            self.what_is_due();
        }
        Ok(())
    }

    /// Until something is due.
    fn patience(&self) -> Duration {
        let now = Instant::now();
        let polls = self.connections.values().filter_map(|one| one.live.as_ref()?.until);
        let due = self.later.iter().map(|later| later.0).chain(self.visible.iter().map(|at| at.0));
        let due = due.chain(self.postponed.iter().map(|postponed| postponed.0));
        let next = due.chain(polls).map(|at| at.saturating_duration_since(now)).min();
        next.unwrap_or(MOST_PATIENCE).min(MOST_PATIENCE)
    }

    fn accept(&mut self) -> io::Result<()> {
        while let Ok((socket, _)) = self.listener.accept() {
            socket.set_nonblocking(true)?;
            socket.set_nodelay(true)?;
            let id = self.next;
            self.next += 1;
            if !self.faults.deaf {
                epoll::add(&self.epoll, &socket, EventData::new_u64(id), EventFlags::IN)?;
            }
            self.connections.insert(id, Connection::new(socket));
            let mut log = self.shared.log();
            log.accepted += 1;
            log.open += 1;
        }
        Ok(())
    }

    fn serve(&mut self, id: u64) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let goes_on = connection.read();
        while let Some(connection) = self.connections.get_mut(&id) {
            let Some(request) = connection.next_request() else { break };
            self.shared.log().requests.push(Logged {
                at: Instant::now(),
                method: request.method.clone(),
                path: request.path.clone(),
                query: request.query.clone(),
                fields: request.fields.clone(),
                body: request.body.clone(),
            });
            self.answer(id, &request);
        }
        match goes_on {
            true => self.flush(id),
            false => self.close(id),
        }
        // It may have waited for its socket.
        self.deliver(id);
    }

    fn close(&mut self, id: u64) {
        let Some(connection) = self.connections.remove(&id) else { return };
        self.shared.log().open -= 1;
        if let Some(stream) = connection.live.and_then(|live| self.streams.0.get_mut(&live.stream))
        {
            stream.followers.retain(|follower| *follower != id);
        }
    }

    /// Hands on what is to be sent, and asks to be woken for the rest.
    fn flush(&mut self, id: u64) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        if !connection.flush() {
            return self.close(id);
        }
        let mut flags = EventFlags::IN;
        if connection.is_blocked() {
            flags |= EventFlags::OUT;
        }
        let _ = epoll::modify(&self.epoll, &connection.socket, EventData::new_u64(id), flags);
    }

    fn what_is_due(&mut self) {
        let now = Instant::now();
        for (_, id, bytes) in take_due(&mut self.later, |later| later.0 <= now) {
            self.send(id, &bytes);
        }
        for (_, id, request) in take_due(&mut self.postponed, |postponed| postponed.0 <= now) {
            self.follow(id, &request);
        }
        for (_, stream) in take_due(&mut self.visible, |visible| visible.0 <= now) {
            self.wake(&stream);
        }
        let over = |one: &Connection| one.live.as_ref().and_then(|live| live.until) <= Some(now);
        let polls = self.connections.iter().filter(|(_, one)| {
            one.live.as_ref().is_some_and(|live| live.until.is_some()) && over(one)
        });
        let polls: Vec<u64> = polls.map(|(id, _)| *id).collect();
        polls.into_iter().for_each(|id| self.deliver(id));
    }

    fn send(&mut self, id: u64, bytes: &[u8]) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.send(bytes);
            self.flush(id);
        }
    }

    fn answer(&mut self, id: u64, request: &Request) {
        let live = kind_of_reader(request);
        let target = match (request.method.as_str(), live) {
            ("POST", _) => Some(Target::Appends),
            ("GET", None) => Some(Target::Reads),
            ("GET", Some(_)) => Some(Target::Live),
            _ => None,
        };
        if let (Some(target), Some((wanted, reply))) = (target, self.faults.reply.clone())
            && target == wanted
        {
            if let Some(connection) = self.connections.get_mut(&id) {
                connection.ends = reply.then == Then::Close;
            }
            return self.send(id, &reply.bytes);
        }
        let answer = match request.method.as_str() {
            "PUT" => self.create(request),
            "POST" => return self.append(id, request),
            "HEAD" => self.streams.0.get(&request.path).map(|stream| head("200 OK", stream, "")),
            "DELETE" => self.streams.0.remove(&request.path).map(|_| status("204 No Content")),
            "GET" if live.is_some() && self.faults.follow_after > Duration::ZERO => {
                let at = Instant::now() + self.faults.follow_after;
                return self.postponed.push((at, id, request.clone()));
            }
            "GET" if live.is_some() => return self.follow(id, request),
            "GET" => self.read(request),
            _ => Some(status("405 Method Not Allowed")),
        };
        let answer = answer.unwrap_or_else(|| status("404 Not Found"));
        match self.faults.halves.filter(|_| request.method == "GET") {
            Some(pause) => self.send_halves(id, &answer, pause),
            None => self.send(id, &answer),
        }
    }

    /// The first half cuts what the answer carries in two.
    fn send_halves(&mut self, id: u64, answer: &[u8], pause: Duration) {
        let (first, second) = answer.split_at(answer.len() - answer.len().min(10));
        self.later.push((Instant::now() + pause, id, second.to_vec()));
        self.send(id, first);
    }

    fn create(&mut self, request: &Request) -> Option<Vec<u8>> {
        if self.streams.0.contains_key(&request.path) {
            return Some(status("200 OK"));
        }
        let mut stream = match request.field("stream-forked-from") {
            Some(from) => Stream { followers: Vec::new(), ..self.streams.0.get(from)?.clone() },
            None => {
                let content_type = request.field("content-type").unwrap_or_default().to_owned();
                Stream { content_type, ..Stream::default() }
            }
        };
        if !request.body.is_empty() {
            stream.append(&request.body, Instant::now());
        }
        self.streams.0.insert(request.path.clone(), stream);
        Some(status("201 Created"))
    }

    fn append(&mut self, id: u64, request: &Request) {
        let number = {
            let mut log = self.shared.log();
            log.appends += 1;
            log.appends
        };
        if let Some((at, length)) = self.faults.stall
            && at == number
        {
            std::thread::sleep(length);
        }
        let refused = self.faults.refuse_one_in.is_some_and(|n| number.is_multiple_of(n));
        let visible = Instant::now() + self.faults.visible_after;
        let answer = match self.streams.0.get_mut(&request.path) {
            _ if refused => {
                self.shared.log().refused += 1;
                status("503 Service Unavailable")
            }
            None => status("404 Not Found"),
            Some(stream) if stream.closed => head("409 Conflict", stream, "content-length: 0\r\n"),
            Some(stream) => {
                if !request.body.is_empty() {
                    stream.append(&request.body, visible);
                }
                stream.closed = request.field("stream-closed") == Some("true");
                head("204 No Content", stream, "")
            }
        };
        match self.faults.answer_after {
            Duration::ZERO => self.send(id, &answer),
            after => self.later.push((Instant::now() + after, id, answer)),
        }
        match self.faults.visible_after {
            Duration::ZERO => self.wake(&request.path),
            _ => self.visible.push((visible, request.path.clone())),
        }
    }

    fn offset(stream: &Stream, request: &Request) -> usize {
        match request.parameter("offset") {
            None | Some("-1") => 0,
            Some("now") => stream.visible(Instant::now()),
            Some(offset) => offset.parse().expect("an offset of ours"),
        }
    }

    fn read(&mut self, request: &Request) -> Option<Vec<u8>> {
        let stream = self.streams.0.get(&request.path)?;
        let from = Server::offset(stream, request);
        let end = stream.visible(Instant::now());
        let to = end.min(from.saturating_add(self.faults.page.unwrap_or(usize::MAX)));
        let messages = self.harmed(&request.path, stream.range(from, to), &mut None);
        let stream = self.streams.0.get(&request.path)?;
        Some(page(stream, &messages, to, to == end))
    }

    fn follow(&mut self, id: u64, request: &Request) {
        let path = request.path.replacen("/live/", "/s/", 1);
        let Some(stream) = self.streams.0.get_mut(&path) else {
            return self.send(id, &status("404 Not Found"));
        };
        let kind = kind_of_reader(request);
        let plain = kind == Some(EVENTS);
        let at = match request.field("last-event-id").filter(|_| plain) {
            Some(at) => at.parse().expect("an id of ours"),
            None if plain => stream.visible(Instant::now()),
            None => Server::offset(stream, request),
        };
        stream.followers.push(id);
        let is_sse = plain || kind == Some("sse");
        let until = (!is_sse).then(|| Instant::now() + LONG_POLL);
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.live = Some(Live { stream: path, plain, at, until });
        }
        if is_sse {
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
                        transfer-encoding: chunked\r\n\r\n";
            let control = if plain { Vec::new() } else { chunk(&control(at, false)) };
            self.send(id, &[head.as_bytes(), &control].concat());
        }
        self.deliver(id);
    }

    fn wake(&mut self, stream: &str) {
        let followers = self.streams.0.get(stream).map(|stream| stream.followers.clone());
        followers.into_iter().flatten().for_each(|id| self.deliver(id));
    }

    /// Sends a live reader what it does not have, when its socket takes something.
    fn deliver(&mut self, id: u64) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let Some(live) = connection.live.clone() else { return };
        let Some(stream) = self.streams.0.get(&live.stream) else { return };
        let (now, closed) = (Instant::now(), stream.closed);
        let to = stream.visible(now);
        if connection.is_blocked() {
            let mut log = self.shared.log();
            let most = log.most_behind.entry(id).or_default();
            *most = to.saturating_sub(live.at).max(*most);
            return;
        }
        let is_over = live.until.is_some_and(|until| until <= now);
        if to <= live.at && !closed && !is_over {
            return;
        }
        let mut held = connection.held.take();
        let messages = self.harmed(&live.stream, stream.range(live.at, to), &mut held);
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.held = held;
        }
        match live.until {
            None => self.event(id, &live, &messages, to),
            Some(_) => self.end_poll(id, &live, &messages, to),
        }
    }

    fn event(&mut self, id: u64, live: &Live, messages: &[Vec<u8>], to: usize) {
        let Some(stream) = self.streams.0.get(&live.stream) else { return };
        let closed = stream.closed && to == stream.len();
        let data = match messages {
            [] => Vec::new(),
            _ if live.plain => plain_events(messages, to),
            _ => [b"event: data\ndata:", &*stream.join(messages), b"\n\n"].concat(),
        };
        let control = if live.plain { Vec::new() } else { control(to, closed) };
        let bytes = chunk(&[&*data, &*control].concat());
        self.events += 1;
        let cut = self.faults.cut.filter(|(every, _)| self.events.is_multiple_of(*every));
        let cut_at = match cut {
            Some((_, Cut::Data)) => data.len() / 2,
            Some((_, Cut::Control)) => bytes.len() - 2 - control.len(),
            Some((_, Cut::Proper)) | None => bytes.len(),
        };
        let mut bytes = bytes[..cut_at].to_vec();
        if closed || matches!(cut, Some((_, Cut::Proper))) {
            bytes.extend_from_slice(b"0\r\n\r\n");
        }
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.ends = closed || cut.is_some();
            connection.live = Some(Live { at: to, ..live.clone() }).filter(|_| !connection.ends);
        }
        if cut.is_some() {
            self.shared.log().cuts += 1;
        }
        self.send(id, &bytes);
    }

    fn end_poll(&mut self, id: u64, live: &Live, messages: &[Vec<u8>], to: usize) {
        let Some(stream) = self.streams.0.get_mut(&live.stream) else { return };
        stream.followers.retain(|follower| *follower != id);
        let answer = match messages {
            [] => head("204 No Content", stream, "stream-cursor: 1\r\n"),
            _ => page(stream, messages, to, true),
        };
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.live = None;
        }
        match self.faults.halves {
            Some(pause) => self.send_halves(id, &answer, pause),
            None => self.send(id, &answer),
        }
    }

    /// What a reader gets of its messages.
    fn harmed(
        &self,
        stream: &str,
        mut messages: Vec<Vec<u8>>,
        held: &mut Option<Vec<u8>>,
    ) -> Vec<Vec<u8>> {
        if !messages.is_empty()
            && let Some(message) = held.take()
        {
            messages.insert(1, message);
        }
        let mut log = self.shared.log();
        let begin = log.deliveries;
        log.deliveries += messages.len() as u64;
        let wanted = self.faults.harm.filter(|(at, _)| {
            log.harmed.is_empty() && (begin..begin + messages.len() as u64).contains(at)
        });
        let Some((at, harm)) = wanted else { return messages };
        let at = (at - begin) as usize;
        log.harmed.push(Harmed { stream: stream.to_owned(), message: messages[at].clone() });
        match harm {
            Harm::Drop => drop(messages.remove(at)),
            Harm::Repeat => messages.insert(at, messages[at].clone()),
            Harm::Delay => *held = Some(messages.remove(at)),
            Harm::Damage => {
                let padding = messages[at].len() - 3;
                messages[at][padding] = b'y';
            }
            Harm::Number => {
                let text = String::from_utf8_lossy(&messages[at]).into_owned();
                let mut parts: Vec<&str> = text.split('.').collect();
                parts[2] = "4000000000";
                messages[at] = parts.join(".").into_bytes();
            }
        }
        messages
    }
}

/// `sse`, `long-poll`, or a reader that says nothing of the protocol.
fn kind_of_reader(request: &Request) -> Option<&str> {
    let accepts = request.field("accept") == Some("text/event-stream");
    request.parameter("live").or(accepts.then_some(EVENTS))
}

/// Those that are due, in their order; the others stay.
fn take_due<T>(all: &mut Vec<T>, is_due: impl Fn(&T) -> bool) -> Vec<T> {
    let (due, later) = std::mem::take(all).into_iter().partition(is_due);
    *all = later;
    due
}

const LISTENER: u64 = 0;
const EVENTS: &str = "events";
/// The server looks for its end as often.
const MOST_PATIENCE: Duration = Duration::from_millis(20);
const LONG_POLL: Duration = Duration::from_secs(20);

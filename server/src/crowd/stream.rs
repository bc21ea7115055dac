//! One SSE reader on a connection that carries others too (HTTP/2). It has no socket: its bytes go
//! into the connection, which sends what all its readers got in one write.
//!
//! ```text
//! Idle --news--> (taken by the connection) --> Idle        Idle --behind--> Fetching --> Idle
//!   '--news, no room--> Waiting --room--> Idle
//! ```
//!
//! Invariant: the connection holds at most a bounded number of bytes for its readers, and none
//! for one whose window is closed: a reader that does not read holds nobody up.

use std::collections::VecDeque;
use std::rc::Rc;

use bytes::Bytes;

use super::reading::{Found, Reading};
use super::table::{Entry, Table};
use super::{Crowd, page};
use crate::core::Core;
use crate::http2::{Link, Offered, Sink};
use crate::rt;

/// See the module.
pub struct StreamMember {
    pub(super) reading: Reading,
    /// Away while a task waits for room.
    sink: Option<Sink>,
    /// What the connection has not taken.
    rest: Bytes,
    pub(super) state: State,
}

/// What is under way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    Idle,
    /// `rest` waits for room.
    Waiting,
    /// A page is being read.
    Fetching,
}

impl StreamMember {
    /// A reader whose answer begins.
    #[must_use]
    pub fn new(reading: Reading, sink: Sink) -> StreamMember {
        StreamMember { reading, sink: Some(sink), rest: Bytes::new(), state: State::Idle }
    }
}

impl Crowd {
    /// Takes a reader in and sends it its first page.
    pub fn join_stream(&self, core: &Rc<Core>, member: StreamMember, first: Bytes) {
        let mut inner = self.0.borrow_mut();
        let number = inner.table.add(Entry::Stream(member));
        if let Some(member) = inner.table.stream(number) {
            member.reading.call_as(number);
        }
        push(core, &mut inner.table, number, first);
    }

    /// There is room in their connection again.
    pub fn make_room(&self, core: &Rc<Core>, waiting: Vec<u32>) {
        let mut inner = self.0.borrow_mut();
        for number in waiting {
            go_on(core, &mut inner.table, number);
        }
    }

    /// Takes out the readers whose clients have gone, of `connection` all. Called now and then:
    /// nobody calls for a reader that only leaves.
    pub fn sweep_streams(&self, core: &Rc<Core>, connection: Option<&Rc<crate::http2::Link>>) {
        let mut inner = self.0.borrow_mut();
        let gone = inner.table.streams_where(|member| {
            let sink = member.sink.as_mut();
            member.state == State::Idle
                && sink.is_none_or(|sink| match connection {
                    Some(connection) => sink.belongs_to(connection),
                    None => sink.is_lost(),
                })
        });
        for number in gone {
            if connection.is_none() {
                core.metrics.http2.client_resets.increment();
            }
            remove(core, &mut inner.table, number);
        }
    }

    fn has_room(&self, core: &Rc<Core>, number: u32, sink: Option<Sink>) {
        let mut inner = self.0.borrow_mut();
        let table = &mut inner.table;
        let Some(member) = table.stream(number) else { return };
        match sink {
            Some(sink) => member.sink = Some(sink),
            None => return remove(core, table, number),
        }
        go_on(core, table, number);
    }
}

/// Puts a called reader to the others of its connection, which stands in `links` if it has any.
/// False if it has a socket of its own.
pub(super) fn sort(table: &mut Table, number: u32, links: &mut VecDeque<Rc<Link>>) -> bool {
    let member = match table.get(number) {
        Some(Entry::Stream(member)) => member,
        Some(Entry::Member(_) | Entry::Watch(_) | Entry::Poller(_)) => return false,
        None => return true,
    };
    match &member.sink {
        Some(sink) if member.state == State::Idle => links.extend(sink.call(number)),
        _ => member.reading.look_again = true,
    }
    true
}

/// Brings readers into the processor's cache. They are many, and cold when an event comes: side by
/// side they take a fraction of the time that each would take alone.
pub(super) fn touch(table: &mut Table, numbers: &[u32]) {
    let sum = numbers.iter().fold(0, |sum, number| match table.stream(*number) {
        Some(member) => {
            let sink = member.sink.as_ref().map_or(0, Sink::touch);
            sum ^ member.reading.touch() ^ sink ^ member.rest.len() as u64
        }
        None => sum,
    });
    std::hint::black_box(sum);
}

/// Looks whether a reader has something to be sent, and sends it.
pub(super) fn look(core: &Rc<Core>, table: &mut Table, number: u32, current: u64) {
    let Some(member) = table.stream(number) else { return };
    if member.state != State::Idle {
        member.reading.look_again = true;
        return;
    }
    match member.reading.look(current) {
        Found::Nothing => {}
        Found::Page => {
            member.state = State::Fetching;
            page::fetch(core, number, &member.reading);
        }
        Found::Bytes(bytes) => {
            super::count(core, &bytes);
            push(core, table, number, bytes);
        }
    }
}

/// Hands bytes to the connection; nothing is waiting before them.
pub(super) fn push(core: &Rc<Core>, table: &mut Table, number: u32, mut bytes: Bytes) {
    let Some(member) = table.stream(number) else { return };
    member.state = State::Idle;
    let Some(sink) = &mut member.sink else { return };
    match sink.offer(&mut bytes, member.reading.over) {
        Offered::Taken if member.reading.over => remove(core, table, number),
        Offered::Taken => {
            if std::mem::take(&mut member.reading.look_again) {
                core.fanout.ready.push(number);
            }
        }
        Offered::Lost => {
            core.metrics.http2.client_resets.increment();
            remove(core, table, number);
        }
        Offered::Full => {
            member.rest = bytes;
            member.state = State::Waiting;
            sink.wait_for_connection(number);
        }
        Offered::Closed => {
            member.rest = bytes;
            member.state = State::Waiting;
            let Some(sink) = member.sink.take() else { return };
            let core = Rc::clone(core);
            rt::spawn(async move {
                let sink = sink.wait_for_window(&core).await;
                core.crowd.has_room(&core, number, sink);
            });
        }
    }
}

fn go_on(core: &Rc<Core>, table: &mut Table, number: u32) {
    let Some(member) = table.stream(number) else { return };
    if member.state == State::Waiting {
        let rest = std::mem::take(&mut member.rest);
        push(core, table, number, rest);
    }
}

fn remove(core: &Rc<Core>, table: &mut Table, number: u32) {
    if let Some(member) = table.stream(number) {
        member.reading.leave(core);
        table.remove(number);
    }
}

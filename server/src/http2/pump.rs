//! The two tasks between a socket and the pipe: one reads, one writes. TLS happens here.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use bytes::BytesMut;

use super::link::Link;
use crate::config::limits::{HTTP2_SEND_BYTES, LINGER_BYTES, READ_BUFFER_BYTES};
use crate::core::Core;
use crate::local::{Receiver, oneshot};
use crate::rt::{self, Socket, SocketReader, SocketWriter};
use crate::tls::Session;

/// See the module.
pub(super) struct Pump {
    reader: Receiver<SocketReader>,
    writer: Receiver<SocketWriter>,
}

type Tls = Option<Rc<RefCell<Session>>>;

impl Pump {
    pub(super) fn start(
        core: &Rc<Core>,
        link: &Rc<Link>,
        socket: Socket,
        session: Option<Box<Session>>,
    ) -> Pump {
        let tls: Tls = session.map(|session| Rc::new(RefCell::new(*session)));
        let (reading, writing) = socket.split();
        let (read, reader) = oneshot();
        let (written, writer) = oneshot();
        let (other, other_tls, other_core) = (Rc::clone(link), tls.clone(), Rc::clone(core));
        let link = Rc::clone(link);
        let core = Rc::clone(core);
        rt::spawn(async move { read.send(read_all(&core, &link, reading, &tls).await) });
        rt::spawn(async move {
            written.send(write_all(&other_core, &other, writing, &other_tls).await);
        });
        Pump { reader, writer }
    }

    /// Sends what is left, says that nothing more comes, then takes in for a moment what the peer
    /// still sends, so that it gets to read the end.
    pub(super) async fn end(self, core: &Rc<Core>, link: &Rc<Link>, patience: Duration) {
        let writer = self.writer.recv().await;
        link.lingers(core, patience);
        // Ends the sending side.
        drop(writer);
        let reader = self.reader.recv().await;
        link.forget_deadline();
        drop(reader);
    }
}

async fn read_all(core: &Core, link: &Link, mut socket: SocketReader, tls: &Tls) -> SocketReader {
    let pipe = &link.pipe;
    let mut room = READ_BUFFER_BYTES;
    let mut discarded = 0;
    let mut accepted = true;
    loop {
        while !pipe.is_empty() {
            pipe.taken.notified().await;
        }
        let (result, mut buf) = socket.read(BytesMut::with_capacity(room)).await;
        let Ok(read @ 1..) = result else {
            link.reading_ended();
            return socket;
        };
        if pipe.closed.get() || !accepted {
            discarded += read;
            if discarded > LINGER_BYTES {
                return socket;
            }
            continue;
        }
        room = next_room(room, read);
        if let Some(tls) = tls {
            let (plain, is_last) = opened(link, tls, &buf);
            if is_last {
                link.hears(core, plain);
                pipe.end();
                take_in_the_rest(&mut socket).await;
                return socket;
            }
            buf = plain;
        }
        // After a flood nothing counts: it would arrive out of order.
        accepted = link.hears(core, buf);
    }
}

/// What came, decrypted, and whether nothing comes after it.
fn opened(link: &Link, tls: &RefCell<Session>, bytes: &[u8]) -> (BytesMut, bool) {
    let mut plain = BytesMut::new();
    let mut session = tls.borrow_mut();
    let received = session.take_in(bytes, &mut plain);
    if session.outgoing_len() > 0 {
        link.pipe.news.notify();
    }
    (plain, received.is_err() || session.peer_closed())
}

/// After the end of what means something.
async fn take_in_the_rest(socket: &mut SocketReader) {
    let mut taken = 0;
    while taken < LINGER_BYTES {
        match socket.read(BytesMut::with_capacity(READ_BUFFER_BYTES)).await.0 {
            Ok(read @ 1..) => taken += read,
            _ => return,
        }
    }
}

/// A peer that sends much gets large buffers, one that is quiet waits with a small one.
fn next_room(room: usize, read: usize) -> usize {
    if read == room { (2 * room).min(MOST_ROOM) } else { READ_BUFFER_BYTES.max(room / 2) }
}

async fn write_all(
    core: &Rc<Core>,
    link: &Rc<Link>,
    mut socket: SocketWriter,
    tls: &Tls,
) -> SocketWriter {
    let pipe = &link.pipe;
    let mut spare = Vec::new();
    loop {
        let closing = pipe.closed.get();
        let plain = pipe.take(std::mem::take(&mut spare));
        let Some(bytes) = sealed(tls, plain, closing) else { break };
        if bytes.is_empty() {
            if closing {
                break;
            }
            link.flushed(core);
            spare = small(bytes);
            pipe.news.notified().await;
            continue;
        }
        link.writes(core, Some(bytes.len()));
        let (result, bytes) = socket.write_buf(bytes).await;
        link.writes(core, None);
        if result.is_err() {
            pipe.lose();
            break;
        }
        spare = small(bytes);
        if pipe.is_drained() {
            link.flushed(core);
        }
    }
    socket
}

/// The bytes for the wire; `None`: the session has failed, or has said its last word before.
fn sealed(tls: &Tls, plain: Vec<u8>, closing: bool) -> Option<Vec<u8>> {
    let Some(tls) = tls else { return Some(plain) };
    let mut session = tls.borrow_mut();
    // What the peer says is processed where it is read.
    let mut none = BytesMut::new();
    let sent = session.send(&plain, &mut none);
    if closing && plain.is_empty() {
        // After a failure there is nothing left to say.
        let _ = session.close(&mut none);
    }
    let bytes = session.take_outgoing();
    (sent.is_ok() || !bytes.is_empty()).then_some(bytes)
}

/// An idle connection keeps no large buffer.
fn small(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.clear();
    if bytes.capacity() > KEPT_BYTES { Vec::new() } else { bytes }
}

const MOST_ROOM: usize = 64 * 1024;
const KEPT_BYTES: usize = 4 * 1024;
const _: () = assert!(KEPT_BYTES < HTTP2_SEND_BYTES);

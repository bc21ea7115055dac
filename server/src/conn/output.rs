//! Writing answers: a head and shared pieces in one vectored write.

use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use thalweg_proto::cors::AllowOrigin;
use thalweg_proto::http1::Version;
use thalweg_proto::http1::encode::{Framing, HeadOptions, write_head};
use thalweg_proto::response::Response;

use super::Meta;
use super::deadlines::{Guard, Phase};
use super::transport::Transport;
use crate::config::limits::{LINGER_BYTES, MIN_ANSWER_BYTES_PER_SECOND};
use crate::core::Core;

/// The writing half of a connection.
#[derive(Default)]
pub(super) struct Output {
    head: Vec<u8>,
}

impl Output {
    /// Writes an answer. False if the peer is lost.
    pub(super) async fn write(
        &mut self,
        core: &Rc<Core>,
        transport: &mut Transport,
        deadline: &Guard,
        mut response: Response,
        meta: &Meta,
    ) -> bool {
        self.head.clear();
        let framing = if meta.head_only { Framing::HeadOnly } else { Framing::Sized };
        encode(core, &mut self.head, &response, meta.version, meta.keep_alive, framing);
        let mut pieces = std::mem::take(&mut response.body);
        if meta.head_only {
            pieces.clear();
        }
        let len: usize = pieces.iter().map(Bytes::len).sum();
        if len <= COPY_BYTES {
            pieces.iter().for_each(|piece| self.head.extend_from_slice(piece));
            pieces.clear();
        }
        deadline.set(core.clock.about(), time_to_take(core, len), Phase::Writing);
        let written = if pieces.is_empty() {
            let (result, head) = transport.write_buf(std::mem::take(&mut self.head)).await;
            self.head = head;
            result
        } else {
            pieces.insert(0, Bytes::copy_from_slice(&self.head));
            transport.write_all(pieces).await
        };
        deadline.clear();
        written.is_ok()
    }
}

/// A body up to this size is copied behind the head: one send is cheaper than a gathered one.
const COPY_BYTES: usize = 4096;

/// How long a peer may take for an answer of so many bytes.
pub(crate) fn time_to_take(core: &Core, len: usize) -> Duration {
    core.limits.get().write_stall_timeout
        + Duration::from_secs(len as u64 / MIN_ANSWER_BYTES_PER_SECOND)
}

/// The head of an answer after which the connection stays open.
pub(crate) fn encode_answer(core: &Core, response: &Response) -> Vec<u8> {
    let mut head = Vec::new();
    encode(core, &mut head, response, Version::Http11, true, Framing::Sized);
    head
}

/// Appends an answer's head.
pub(super) fn encode(
    core: &Core,
    out: &mut Vec<u8>,
    response: &Response,
    version: Version,
    keep_alive: bool,
    framing: Framing,
) {
    let date = core.clock.date();
    let options =
        HeadOptions { version, keep_alive, date: &date, allow_origin: AllowOrigin::Any, framing };
    write_head(out, response, &options);
}

impl Transport {
    /// Closes so that the peer gets to read the last answer: says that nothing more comes, then
    /// takes in for a moment what the peer still sends. Closing with unread data would reset the
    /// connection, and the answer with it.
    pub(super) async fn linger(&mut self, core: &Rc<Core>, deadline: &Guard, time: Duration) {
        deadline.set(core.clock.instant(), time, Phase::Writing);
        if self.finish().await.is_err() {
            return;
        }
        deadline.set(core.clock.instant(), time, Phase::Reading);
        let mut taken = 0;
        let mut buf = BytesMut::new();
        while taken < LINGER_BYTES {
            buf.clear();
            buf.reserve(64 * 1024);
            let (result, back) = self.read_raw(buf).await;
            buf = back;
            match result {
                Ok(read @ 1..) => taken += read,
                _ => return,
            }
        }
    }
}

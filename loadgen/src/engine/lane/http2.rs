//! A lane over HTTP/2: each request is a stream of its own.
//!
//! Invariant: requests leave in the order in which they were sent. The protocol promises no order
//! of what the server makes of them.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use http::Method;

use super::Lane;
use crate::engine::http2::{Incoming, Trunk};

/// What a lane has for it.
#[derive(Default)]
pub(super) struct Half {
    serial: Cell<u64>,
    /// Requests that have not been handed to the connection.
    queued: RefCell<VecDeque<(u64, Vec<u8>)>>,
    trunk: RefCell<Option<Rc<Trunk>>>,
}

impl Half {
    pub(super) fn next_serial(&self) -> u64 {
        self.serial.set(self.serial.get() + 1);
        self.serial.get()
    }

    /// Queues a request that is written by `push`.
    pub(super) fn queue(&self, serial: u64, push: impl FnOnce(&mut Vec<u8>) -> u64) -> u64 {
        let mut request = Vec::new();
        let bytes = push(&mut request);
        self.queued.borrow_mut().push_back((serial, request));
        bytes
    }

    /// Nothing is sent any more, and the connection ends with its last answer.
    pub(super) fn clear(&self) {
        self.queued.borrow_mut().clear();
        self.trunk.borrow_mut().take();
    }
}

impl Lane {
    /// Begins what is queued.
    pub(super) async fn begin_all(self: &Rc<Self>) {
        while !self.http2.queued.borrow().is_empty() {
            let open = self.http2.trunk.borrow().clone().filter(|trunk| trunk.is_open());
            let trunk = match open {
                Some(trunk) => trunk,
                None => match self.trunk().await {
                    Some(trunk) => trunk,
                    None => return,
                },
            };
            let Some((serial, request)) = self.http2.queued.borrow_mut().pop_front() else {
                return;
            };
            match trunk.begin(&request) {
                Ok(incoming) => {
                    drop(monoio::spawn(Rc::clone(self).answer(serial, incoming)));
                }
                Err(error) => return self.fail(error.kind(), &error.to_string()),
            }
        }
    }

    /// A new connection.
    async fn trunk(&self) -> Option<Rc<Trunk>> {
        self.core.connect_slot().await;
        match self.core.open_trunk(1).await {
            Ok((trunk, took)) => {
                self.connect_ns.set(Some(took));
                *self.http2.trunk.borrow_mut() = Some(Rc::clone(&trunk));
                Some(trunk)
            }
            Err(error) => {
                self.fail(error.kind(), &error.to_string());
                None
            }
        }
    }

    /// Waits for an answer. One that was given up is nobody's any more.
    async fn answer(self: Rc<Self>, serial: u64, incoming: Incoming) {
        let answer = incoming.whole(&Method::POST).await;
        let sent = {
            let mut waiting = self.waiting.borrow_mut();
            let at = waiting.iter().position(|sent| sent.serial == serial);
            at.and_then(|at| waiting.remove(at))
        };
        let Some(sent) = sent else { return };
        match answer {
            Ok(response) => self.complete(&sent, &response),
            Err(error) => self.failed(&sent, error.kind(), &error.to_string()),
        }
    }
}

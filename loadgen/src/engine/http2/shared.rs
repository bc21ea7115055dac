//! The HTTP/2 connections of one thread, and which reader goes over which.
//!
//! Invariant: so many readers of a group have one connection, and when it is over they have the
//! next one together.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::time::Duration;

use super::{Line, Link, Trunk};
use crate::engine::core::Core;
use crate::engine::wire::WireError;

/// See the module.
#[derive(Default)]
pub(crate) struct Trunks {
    pub(crate) line: Line,
    /// Of readers, by group and by which of its connections.
    slots: RefCell<HashMap<(u32, u32), Slot>>,
    /// All of them, to end them.
    links: RefCell<Vec<Weak<Link>>>,
}

enum Slot {
    /// Somebody makes it.
    Connecting,
    Open(Rc<Trunk>),
}

impl Trunks {
    /// Takes note of a connection.
    pub(crate) fn add(&self, trunk: &Trunk) {
        let mut links = self.links.borrow_mut();
        if links.len() == links.capacity() {
            links.retain(|link| link.strong_count() > 0);
        }
        links.push(Rc::downgrade(&trunk.link));
    }

    /// Ends all connections: who waits on them is told.
    pub(crate) fn end(&self) {
        self.slots.borrow_mut().clear();
        let links: Vec<_> = self.links.borrow().iter().filter_map(Weak::upgrade).collect();
        links.iter().for_each(|link| link.end());
    }

    /// The connection of a reader; `None`: another one makes it at present.
    fn slot(&self, key: (u32, u32)) -> Option<Option<Rc<Trunk>>> {
        match self.slots.borrow().get(&key) {
            Some(Slot::Connecting) => None,
            Some(Slot::Open(trunk)) if trunk.is_open() => Some(Some(Rc::clone(trunk))),
            Some(Slot::Open(_)) | None => Some(None),
        }
    }

    fn set(&self, key: (u32, u32), slot: Option<Slot>) {
        match slot {
            Some(slot) => drop(self.slots.borrow_mut().insert(key, slot)),
            None => drop(self.slots.borrow_mut().remove(&key)),
        }
    }
}

impl Core {
    /// The connection of reader `number` of a group, made if it has to be.
    pub(crate) async fn trunk(&self, group: u32, number: u32) -> Result<Rc<Trunk>, WireError> {
        let readers = self.program.plan.transport.readers_per_connection.max(1);
        let key = (group, number / self.part.of / readers);
        loop {
            match self.trunks.slot(key) {
                Some(Some(trunk)) => return Ok(trunk),
                Some(None) => break,
                None => monoio::time::sleep(LOOK).await,
            }
        }
        self.trunks.set(key, Some(Slot::Connecting));
        self.connect_slot().await;
        let opened = self.open_trunk(readers).await;
        let slot = opened.as_ref().ok().map(|(trunk, _)| Slot::Open(Rc::clone(trunk)));
        self.trunks.set(key, slot);
        opened.map(|(trunk, _)| trunk)
    }
}

const LOOK: Duration = Duration::from_millis(1);

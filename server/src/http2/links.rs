//! The HTTP/2 connections of a core, to tell them that the server stops.

use std::cell::RefCell;
use std::rc::Rc;

use super::link::Link;
use crate::core::Core;

/// See the module.
#[derive(Default)]
pub struct Links(RefCell<Slab>);

#[derive(Default)]
struct Slab {
    entries: Vec<Option<Rc<Link>>>,
    free: Vec<usize>,
    /// Requests were taken back at the last look.
    some_left: bool,
}

impl Links {
    /// Adds a connection; its place, for the end of it.
    pub(super) fn add(&self, link: &Rc<Link>) -> usize {
        let mut slab = self.0.borrow_mut();
        let entry = Some(Rc::clone(link));
        if let Some(place) = slab.free.pop() {
            slab.entries[place] = entry;
            return place;
        }
        slab.entries.push(entry);
        slab.entries.len() - 1
    }

    pub(super) fn remove(&self, place: usize) {
        let mut slab = self.0.borrow_mut();
        slab.entries[place] = None;
        slab.free.push(place);
    }

    /// Whether requests were taken back since the last call or between the two before it: their
    /// readers have left. A second look finds one that began while its end came.
    pub fn somebody_left(&self) -> bool {
        let mut slab = self.0.borrow_mut();
        let links = slab.entries.iter().flatten();
        let any = links.fold(false, |any, link| any | link.lane.take_left());
        std::mem::replace(&mut slab.some_left, any) | any
    }

    /// Tells them all to finish what is under way and to take nothing new (GOAWAY).
    pub fn drain(&self, core: &Core) {
        self.0.borrow().entries.iter().flatten().for_each(|link| link.drain(core));
    }
}

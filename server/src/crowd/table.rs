//! Members of both kinds, and the watches of other connections, by number. Numbers are used again.

use super::Member;
use super::poller::Poller;
use super::stream::StreamMember;
use super::watch::Watch;

/// A slab.
#[derive(Default)]
pub(super) struct Table {
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
}

/// What a number stands for.
pub(super) enum Entry {
    Member(Member),
    Stream(StreamMember),
    Watch(Watch),
    /// Boxed: the others are many too, and smaller.
    Poller(Box<Poller>),
}

impl Table {
    pub(super) fn add(&mut self, entry: Entry) -> u32 {
        if let Some(number) = self.free.pop() {
            self.entries[number as usize] = Some(entry);
            return number;
        }
        self.entries.push(Some(entry));
        // Descriptors run out long before.
        (self.entries.len() - 1) as u32
    }

    pub(super) fn get(&mut self, number: u32) -> Option<&mut Entry> {
        self.entries.get_mut(number as usize)?.as_mut()
    }

    pub(super) fn member(&mut self, number: u32) -> Option<&mut Member> {
        match self.get(number)? {
            Entry::Member(member) => Some(member),
            _ => None,
        }
    }

    pub(super) fn poller(&mut self, number: u32) -> Option<&mut Poller> {
        match self.get(number)? {
            Entry::Poller(poller) => Some(poller),
            _ => None,
        }
    }

    /// Takes a poller out. Its number stays taken, for [`Table::put`] or [`Table::remove`].
    pub(super) fn take_poller(&mut self, number: u32) -> Option<Box<Poller>> {
        let entry = self.get(number)?;
        if !matches!(entry, Entry::Poller(_)) {
            return None;
        }
        match std::mem::replace(entry, Entry::Watch(Watch::default())) {
            Entry::Poller(poller) => Some(poller),
            _ => None,
        }
    }

    /// Something else has the number now.
    pub(super) fn put(&mut self, number: u32, entry: Entry) {
        if let Some(place) = self.get(number) {
            *place = entry;
        }
    }

    pub(super) fn stream(&mut self, number: u32) -> Option<&mut StreamMember> {
        match self.get(number)? {
            Entry::Stream(member) => Some(member),
            _ => None,
        }
    }

    /// The numbers of the streams for which something holds.
    pub(super) fn streams_where(
        &mut self,
        mut holds: impl FnMut(&mut StreamMember) -> bool,
    ) -> Vec<u32> {
        let numbered = self.entries.iter_mut().enumerate();
        let found = numbered.filter_map(|(number, entry)| match entry {
            Some(Entry::Stream(member)) => holds(member).then_some(number as u32),
            _ => None,
        });
        found.collect()
    }

    pub(super) fn watch(&mut self, number: u32) -> Option<&mut Watch> {
        match self.get(number)? {
            Entry::Watch(watch) => Some(watch),
            _ => None,
        }
    }

    pub(super) fn remove(&mut self, number: u32) {
        let Some(entry) = self.entries.get_mut(number as usize) else { return };
        if entry.take().is_some() {
            self.free.push(number);
        }
        if self.free.len() == self.entries.len() {
            // A crowd has left: the table is as small as it began.
            *self = Table::default();
        }
    }
}

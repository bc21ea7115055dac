//! Members by number. Numbers are used again.

use super::Member;

/// A slab of members.
#[derive(Default)]
pub(super) struct Table {
    entries: Vec<Option<Member>>,
    free: Vec<u32>,
}

impl Table {
    pub(super) fn add(&mut self, member: Member) -> u32 {
        if let Some(number) = self.free.pop() {
            self.entries[number as usize] = Some(member);
            return number;
        }
        self.entries.push(Some(member));
        // Descriptors run out long before.
        (self.entries.len() - 1) as u32
    }

    pub(super) fn get(&mut self, number: u32) -> Option<&mut Member> {
        self.entries.get_mut(number as usize)?.as_mut()
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

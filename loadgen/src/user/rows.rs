//! Rows of a data set, shared by all users of a thread.

use super::names::{Names, Slot, Variables};
use crate::plan::DataSet;

/// Where a thread stands in a data set.
///
/// All threads together take the rows in turn: thread `c` of `n` those at `c`, `c + n`, …, and
/// likewise on every further time round, whatever the number of rows.
#[derive(Clone, Debug)]
pub struct Rows {
    slots: Vec<Slot>,
    next: u64,
    stride: u64,
}

impl Rows {
    /// The part of thread `core` of `cores`.
    #[must_use]
    pub fn new(data: &DataSet, names: &mut Names, core: u32, cores: u32) -> Rows {
        let slots = data.variables.iter().map(|name| names.slot(name)).collect();
        Rows { slots, next: u64::from(core), stride: u64::from(cores.max(1)) }
    }

    /// Sets the variables of the next row of the data set that this was made for. `false`: there
    /// is none, nothing is set, and the user ends.
    pub fn next_row(&mut self, data: &DataSet, variables: &mut Variables) -> bool {
        let count = data.rows.len() as u64;
        if count == 0 || self.next >= count && !data.recycle {
            return false;
        }
        let row = &data.rows[(self.next % count) as usize];
        for (slot, value) in self.slots.iter().zip(row) {
            variables.set(*slot, value.as_bytes());
        }
        self.next = self.next.saturating_add(self.stride);
        true
    }
}

#[cfg(test)]
mod tests;

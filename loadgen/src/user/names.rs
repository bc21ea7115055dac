//! Variables of a user, by slot instead of by name.

use std::collections::HashMap;

use super::template::{Compiled, Context, compile, render};
use crate::plan::{Piece, Plan, Step, Template};

/// The place of a variable among those of a user.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Slot(u32);

/// Slots of names, and what the plan sets its variables to.
#[derive(Clone, Debug, Default)]
pub struct Names {
    slots: HashMap<String, Slot>,
    /// In an order in which each comes after those that it refers to.
    initial: Vec<(Slot, Compiled)>,
}

impl Names {
    /// All names that a plan gives values to. Templates may bring more.
    #[must_use]
    pub fn of(plan: &Plan) -> Names {
        let mut names = Names::default();
        for (name, template) in in_order(plan) {
            let value = compile(template, &mut names);
            let slot = names.slot(name);
            names.initial.push((slot, value));
        }
        plan.data.iter().flat_map(|data| &data.variables).for_each(|name| {
            names.slot(name);
        });
        plan.groups.iter().for_each(|group| names.add_extracted(&group.steps));
        names
    }

    /// The slot of a name, a new one if need be.
    pub fn slot(&mut self, name: &str) -> Slot {
        if let Some(slot) = self.slots.get(name) {
            return *slot;
        }
        let slot = Slot(self.slots.len() as u32);
        self.slots.insert(name.to_owned(), slot);
        slot
    }

    /// Sets the plan's variables for a user that begins, and forgets all others.
    pub fn begin(&self, context: &mut Context<'_>) {
        context.variables.values.iter_mut().for_each(|value| value.set = false);
        let mut out = Vec::new();
        for (slot, template) in &self.initial {
            out.clear();
            render(template, context, &mut out);
            context.variables.set(*slot, &out);
        }
    }

    fn add_extracted(&mut self, steps: &[Step]) {
        for step in steps {
            match step {
                Step::Sample(sampler) => {
                    for extraction in &sampler.extractions {
                        self.slot(&extraction.variable);
                    }
                }
                Step::Pause(_) => {}
                Step::Loop { steps, .. }
                | Step::If { steps, .. }
                | Step::Transaction { steps, .. } => self.add_extracted(steps),
            }
        }
    }
}

/// The plan's variables, each after those that it refers to as far as they allow it.
fn in_order(plan: &Plan) -> Vec<(&String, &Template)> {
    let mut waiting: Vec<_> = plan.variables.iter().collect();
    let mut ready = Vec::with_capacity(waiting.len());
    while !waiting.is_empty() {
        let refers = |(_, template): &(&String, &Template)| {
            template.0.iter().any(|piece| match piece {
                Piece::Variable(name) => waiting.iter().any(|(other, _)| *other == name),
                _ => false,
            })
        };
        let (later, now): (Vec<_>, Vec<_>) = waiting.iter().partition(|entry| refers(entry));
        if now.is_empty() {
            // They refer to one another in a circle: as they come.
            ready.extend(later);
            break;
        }
        ready.extend(now);
        waiting = later;
    }
    ready
}

/// Values of the variables of one user. Bytes: what a server answered need not be UTF-8.
#[derive(Clone, Debug, Default)]
pub struct Variables {
    values: Vec<Value>,
}

#[derive(Clone, Debug, Default)]
struct Value {
    set: bool,
    /// Its memory stays when another value comes.
    bytes: Vec<u8>,
}

impl Variables {
    /// None has a value; [`Names::begin`] sets the plan's.
    #[must_use]
    pub fn new(names: &Names) -> Variables {
        Variables { values: vec![Value::default(); names.slots.len()] }
    }

    /// The value, if it has one.
    #[must_use]
    pub fn get(&self, slot: Slot) -> Option<&[u8]> {
        let value = self.values.get(slot.0 as usize)?;
        value.set.then_some(value.bytes.as_slice())
    }

    /// Sets the value.
    pub fn set(&mut self, slot: Slot, bytes: &[u8]) {
        let index = slot.0 as usize;
        if index >= self.values.len() {
            self.values.resize(index + 1, Value::default());
        }
        let value = &mut self.values[index];
        value.set = true;
        value.bytes.clear();
        value.bytes.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests;

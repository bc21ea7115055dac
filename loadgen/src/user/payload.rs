//! The bodies of appends.

use super::names::Names;
use super::template::{Compiled, Context, compile, render};
use crate::message::Stamp;
use crate::plan::Payload;
use crate::schedule::Sizer;

/// The messages of one sampler.
#[derive(Clone, Debug)]
pub struct Messages(How);

#[derive(Clone, Debug)]
enum How {
    Stamped(Sizer),
    Template(Compiled),
}

impl Messages {
    /// Prepares a payload.
    #[must_use]
    pub fn new(payload: &Payload, names: &mut Names) -> Messages {
        Messages(match payload {
            Payload::Stamped(size) => How::Stamped(Sizer::new(size)),
            Payload::Template(template) => How::Template(compile(template, names)),
        })
    }

    /// Whether readers can judge them.
    #[must_use]
    pub fn are_stamped(&self) -> bool {
        matches!(self.0, How::Stamped(_))
    }

    /// Appends the next message. One that is not stamped ignores `stamp`.
    pub fn write(&mut self, stamp: Stamp, context: &mut Context<'_>, out: &mut Vec<u8>) {
        match &self.0 {
            How::Stamped(sizer) => stamp.append_to(out, sizer.size(context.rng) as usize),
            How::Template(template) => render(template, context, out),
        }
    }
}

#[cfg(test)]
mod tests;

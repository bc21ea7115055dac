//! A page of a stream: what a read returns, with the plan for reading what is not at hand.

use smallvec::SmallVec;
use thalweg_proto::answer::PageFacts;
use thalweg_proto::offset::Offset;
use thalweg_proto::response::Pieces;

use super::range::{Range, RangeRequest};
use super::slot::Slot;

/// A page.
#[derive(Clone, Debug)]
pub struct Page {
    /// What it covers.
    pub facts: PageFacts,
    /// The stored bytes.
    pub stored: Pieces,
}

/// A page whose bytes are still to be read.
#[derive(Clone, Debug)]
pub struct PagePlan {
    /// The facts as far as they are known: `end` is the visible tail.
    pub facts: PageFacts,
    /// Where the bytes come from, in order: inherited runs, then the stream's own.
    pub runs: SmallVec<[RangeRequest; 2]>,
    /// About how many bytes at most.
    pub max_bytes: usize,
}

impl PagePlan {
    /// Plans a page from `start` towards the visible tail.
    #[must_use]
    pub fn new(slot: &Slot, start: u64, max_bytes: usize) -> PagePlan {
        let state = &slot.state;
        let facts = PageFacts {
            stream: state.id,
            content_type: state.config.content_type.clone(),
            start,
            end: slot.visible_tail,
            next: slot.visible_offset(),
            up_to_date: true,
            closed: slot.visible_closed,
            expires_at: state.expires_at(),
        };
        let own = (&state.path, state.id, slot.visible_tail);
        let inherited = state.config.lineage().iter().map(|run| (&run.path, run.id, run.end));
        let mut from = start;
        let mut runs = SmallVec::new();
        for (path, id, end) in inherited.chain([own]) {
            if from < end {
                runs.push(RangeRequest {
                    path: path.clone(),
                    id,
                    from,
                    to: end,
                    max_bytes,
                    framing: state.config.content_type.framing(),
                    one_record: false,
                });
                from = end;
            }
        }
        PagePlan { facts, runs, max_bytes }
    }

    /// The page, given bytes up to a position in the last run that was read.
    #[must_use]
    pub fn finish(mut self, stored: Pieces, end: u64, last_run: Option<&RangeRequest>) -> Page {
        if end < self.facts.end {
            self.facts.up_to_date = false;
            self.facts.closed = false;
            let epoch = last_run.map_or(self.facts.stream.0, |run| run.id.0);
            self.facts.next = Offset { epoch, position: end };
            self.facts.end = end;
        }
        Page { facts: self.facts, stored }
    }

    /// The page, when its only run was at hand.
    #[must_use]
    pub fn finish_with(self, range: Range) -> Page {
        let run = self.runs.first().cloned();
        self.finish(range.pieces, range.end, run.as_ref())
    }
}

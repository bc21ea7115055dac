//! GET and HEAD: what is durable, and nothing else.

use std::sync::Arc;

use thalweg_proto::answer;
use thalweg_proto::limits::{READ_PAGE_BYTES, SSE_PAGE_BYTES};
use thalweg_proto::offset::ReadFrom;
use thalweg_proto::path::StreamPath;
use thalweg_proto::problem::Problem;
use thalweg_proto::request::{LiveMode, ReadRequest};
use thalweg_proto::response::Pieces;
use thalweg_proto::stream::record::StreamId;
use thalweg_proto::time::Timestamp;

use super::history::{Chunk, ChunkPlan, Held};
use super::page::PagePlan;
use super::range::{Range, RangeRequest, Source};
use super::retention::trimmed_at;
use super::slot::Slot;
use super::{Answer, Job, Op, Output, ReplyTo, Shard, refused};
use crate::config::limits::HELD_PAGE_BYTES;
use crate::mailbox::CoreId;

/// What a look at a path for reading comes to.
enum Look {
    Problem(Problem),
    Wait(thalweg_storage::Lsn),
    Readable,
}

/// What a look for a piece of a stream's history comes to.
pub enum LookBack {
    /// It is in the read cache.
    Here(Arc<Chunk>),
    /// It can be read, and then be kept.
    Read(ChunkPlan),
    /// It is not history, or cannot be kept.
    Nothing,
}

impl Shard {
    pub(super) fn metadata(&mut self, path: StreamPath, to: ReplyTo, now: Timestamp) {
        match self.look(&path, now) {
            Look::Problem(problem) => self.reply(to, refused(problem)),
            Look::Wait(lsn) => self.retry_after(lsn, Op::Metadata(path), to),
            Look::Readable => {
                let Some(slot) = self.streams.at(&path) else { return };
                let found = answer::metadata(&slot.state, &self.visible(slot));
                self.reply(to, Answer::Response(Box::new(found)));
            }
        }
    }

    pub(super) fn read(
        &mut self,
        request: ReadRequest,
        follower: Option<CoreId>,
        to: ReplyTo,
        now: Timestamp,
    ) {
        match self.look(&request.path, now) {
            Look::Problem(problem) => self.reply(to, Answer::Page(Err(Box::new(problem)))),
            Look::Wait(lsn) => self.retry_after(lsn, Op::Read(request, follower), to),
            Look::Readable => {
                self.touch(&request.path, now);
                if let Some(core) = follower {
                    self.follow(core, &request.path, now);
                }
                let Some(slot) = self.streams.at(&request.path) else { return };
                match start_of(slot, request.from) {
                    Ok(start) => self.page(&request, start, to),
                    Err(problem) => self.reply(to, Answer::Page(Err(Box::new(problem)))),
                }
            }
        }
    }

    fn page(&mut self, request: &ReadRequest, start: u64, to: ReplyTo) {
        let Some(slot) = self.streams.at(&request.path) else { return };
        let max_bytes = match request.live {
            LiveMode::Sse => SSE_PAGE_BYTES,
            LiveMode::CatchUp | LiveMode::LongPoll => READ_PAGE_BYTES,
        };
        let max_bytes = match self.history.is_stretched() {
            true => max_bytes.min(HELD_PAGE_BYTES),
            false => max_bytes,
        };
        let plan = PagePlan::new(slot, start, max_bytes);
        let located = match &plan.runs[..] {
            [] => Some(Ok(Source::Hot(Range { pieces: Pieces::new(), end: slot.visible_tail }))),
            [run] if run.id == slot.state.id => self.locate(run),
            _ => None,
        };
        let answer = match located {
            Some(Ok(Source::Hot(range))) => {
                self.counters.hot_reads += 1;
                Ok(Box::new(plan.finish_with(range)))
            }
            Some(Ok(Source::Cold(_))) | None => {
                self.counters.cold_reads += 1;
                return self.outputs.push_back(Output::Job(Job::Page(plan, to)));
            }
            Some(Err(problem)) => Err(problem),
        };
        self.reply(to, Answer::Page(answer));
    }

    /// Bytes that a stream wrote itself, also when only forks may see them.
    pub(super) fn range(&mut self, request: RangeRequest, to: ReplyTo) {
        let Some(located) = self.locate(&request) else {
            // It was deleted between planning and reading.
            let gone = answer::not_found(&request.path);
            return self.reply(to, Answer::Range(Err(Box::new(gone))));
        };
        match located {
            Ok(Source::Hot(range)) => self.reply(to, Answer::Range(Ok(Box::new(range)))),
            Ok(Source::Cold(spans)) => {
                let job = Job::Range(request, spans.into_vec(), to);
                self.outputs.push_back(Output::Job(job));
            }
            Err(problem) => self.reply(to, Answer::Range(Err(problem))),
        }
    }

    /// The piece of a stream's history that has a position.
    pub fn look_back(&mut self, id: StreamId, position: u64) -> LookBack {
        let Some(slot) = self.streams.get(id) else { return LookBack::Nothing };
        if position >= slot.hot_start() || trimmed_at(slot, position).is_some() {
            return LookBack::Nothing;
        }
        if let Some(chunk) = self.history.get(id, position) {
            return LookBack::Here(chunk);
        }
        self.history.plan(slot, position).map_or(LookBack::Nothing, LookBack::Read)
    }

    /// A piece of a stream's history was read: others may want it too.
    pub fn remember(&mut self, id: StreamId, chunk: &Arc<Chunk>) {
        // The stream may have gone meanwhile, and its bytes need not stay.
        if self.streams.get(id).is_some() {
            self.history.insert(id, Arc::clone(chunk));
        }
    }

    /// Counts the memory that is made for readers.
    #[must_use]
    pub fn held(&self) -> &Held {
        self.history.held()
    }

    /// A core has a live reader from the page on that is read now: nothing after it is missed.
    fn follow(&mut self, core: CoreId, path: &StreamPath, now: Timestamp) {
        let Some(slot) = self.streams.at_mut(path) else { return };
        let first = slot.followers == 0;
        slot.followers |= 1u128 << core;
        if first {
            let id = slot.state.id;
            self.watch_followed(id, now);
        }
    }

    /// A core has no live readers of a path any more.
    pub(super) fn unfollow(&mut self, core: CoreId, path: &StreamPath) {
        if let Some(slot) = self.streams.at_mut(path) {
            slot.followers &= !(1u128 << core);
        }
    }

    fn look(&mut self, path: &StreamPath, now: Timestamp) -> Look {
        self.expire_if_due(path, now);
        let Some(slot) = self.streams.at(path) else {
            return Look::Problem(answer::not_found(path));
        };
        if slot.lifecycle_lsn > self.log.durable() {
            Look::Wait(slot.lifecycle_lsn)
        } else if slot.deleted {
            Look::Problem(answer::not_found(path))
        } else if slot.soft_deleted() {
            Look::Problem(answer::soft_deleted(path))
        } else if slot.state.is_expired(now) {
            // It could not be deleted, because there is no space to say so.
            Look::Problem(answer::disk_full())
        } else {
            Look::Readable
        }
    }
}

fn start_of(slot: &Slot, from: ReadFrom) -> Result<u64, Problem> {
    match from {
        ReadFrom::Start => Ok(slot.visible_earliest),
        ReadFrom::Now => Ok(slot.visible_tail),
        ReadFrom::At(offset) => slot
            .state
            .position_of(offset, slot.readable())
            .map_err(|error| answer::bad_offset(error, "offset")),
    }
}

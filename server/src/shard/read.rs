//! GET and HEAD: what is durable, and nothing else.

use thalweg_proto::answer;
use thalweg_proto::offset::ReadFrom;
use thalweg_proto::path::StreamPath;
use thalweg_proto::problem::Problem;
use thalweg_proto::request::ReadRequest;
use thalweg_proto::time::Timestamp;

use super::page::PagePlan;
use super::range::{RangeRequest, Source, locate};
use super::slot::Slot;
use super::{Answer, Job, Op, Output, ReplyTo, Shard, refused};
use crate::mailbox::CoreId;

/// What a look at a path for reading comes to.
enum Look {
    Problem(Problem),
    Wait(thalweg_storage::Lsn),
    Readable,
}

impl Shard {
    pub(super) fn metadata(&mut self, path: StreamPath, to: ReplyTo, now: Timestamp) {
        match self.look(&path, now) {
            Look::Problem(problem) => self.reply(to, refused(problem)),
            Look::Wait(lsn) => self.retry_after(lsn, Op::Metadata(path), to),
            Look::Readable => {
                let Some(slot) = self.streams.at(&path) else { return };
                let found = answer::metadata(&slot.state, slot.visible_tail, slot.visible_closed);
                self.reply(to, Answer::Response(Box::new(found)));
            }
        }
    }

    pub(super) fn read(&mut self, request: ReadRequest, to: ReplyTo, now: Timestamp) {
        match self.look(&request.path, now) {
            Look::Problem(problem) => self.reply(to, Answer::Page(Err(Box::new(problem)))),
            Look::Wait(lsn) => self.retry_after(lsn, Op::Read(request), to),
            Look::Readable => {
                self.touch(&request.path, now);
                let Some(slot) = self.streams.at(&request.path) else { return };
                match start_of(slot, request.from) {
                    Ok(start) => self.page(&request.path, start, to),
                    Err(problem) => self.reply(to, Answer::Page(Err(Box::new(problem)))),
                }
            }
        }
    }

    fn page(&mut self, path: &StreamPath, start: u64, to: ReplyTo) {
        let Some(slot) = self.streams.at(path) else { return };
        let plan = PagePlan::new(slot, start);
        let answer = match &plan.runs[..] {
            [] => Answer::Page(Ok(Box::new(plan.finish_with(super::range::Range {
                pieces: thalweg_proto::response::Pieces::new(),
                end: slot.visible_tail,
            })))),
            [run] if run.id == slot.state.id => match locate(slot, run) {
                Ok(Source::Hot(range)) => Answer::Page(Ok(Box::new(plan.finish_with(range)))),
                Ok(Source::Cold(_)) => {
                    return self.outputs.push_back(Output::Job(Job::Page(plan, to)));
                }
                Err(problem) => Answer::Page(Err(problem)),
            },
            _ => return self.outputs.push_back(Output::Job(Job::Page(plan, to))),
        };
        self.reply(to, answer);
    }

    /// Bytes that a stream wrote itself, also when only forks may see them.
    pub(super) fn range(&mut self, request: RangeRequest, to: ReplyTo) {
        let Some(slot) = self.streams.get(request.id) else {
            // It was deleted between planning and reading.
            let gone = answer::not_found(&request.path);
            return self.reply(to, Answer::Range(Err(Box::new(gone))));
        };
        match locate(slot, &request) {
            Ok(Source::Hot(range)) => self.reply(to, Answer::Range(Ok(range))),
            Ok(Source::Cold(spans)) => {
                let job = Job::Range(request, spans.into_vec(), to);
                self.outputs.push_back(Output::Job(job));
            }
            Err(problem) => self.reply(to, Answer::Range(Err(problem))),
        }
    }

    /// A core begins or ends to have live readers of a path.
    pub(super) fn follow(&mut self, core: CoreId, path: &StreamPath, follows: bool) {
        let Some(slot) = self.streams.at_mut(path) else { return };
        let bit = 1u128 << core;
        slot.followers = if follows { slot.followers | bit } else { slot.followers & !bit };
    }

    fn look(&mut self, path: &StreamPath, now: Timestamp) -> Look {
        self.expire_if_due(path, now);
        let Some(slot) = self.streams.at(path) else {
            return Look::Problem(answer::not_found(path));
        };
        if slot.lifecycle_lsn > self.log.durable() {
            Look::Wait(slot.lifecycle_lsn)
        } else if slot.soft_deleted() {
            Look::Problem(answer::soft_deleted(path))
        } else {
            Look::Readable
        }
    }
}

fn start_of(slot: &Slot, from: ReadFrom) -> Result<u64, Problem> {
    match from {
        ReadFrom::Start => Ok(0),
        ReadFrom::Now => Ok(slot.visible_tail),
        ReadFrom::At(offset) => slot
            .state
            .position_of(offset, slot.visible_tail)
            .map_err(|error| answer::bad_offset(error, "offset")),
    }
}

//! The source's side of a fork (section 4.2): resolve the point, count the reference.
//!
//! References are not logged. A fork's own record names its source, and recovery counts them
//! again, so that the count cannot disagree with the forks there are.

use thalweg_proto::content_type::Framing;
use thalweg_proto::limits::HARD_MAX_BODY_BYTES;
use thalweg_proto::path::StreamPath;
use thalweg_proto::request::ForkRequest;
use thalweg_proto::stream::OffsetError;
use thalweg_proto::stream::fork::{self, ForkPoint, ForkRefusal};
use thalweg_proto::stream::record::StreamId;
use thalweg_proto::time::Timestamp;

use super::page::PagePlan;
use super::{Answer, Job, Op, Output, ReplyTo, Shard};

impl Shard {
    pub(super) fn fork(
        &mut self,
        path: StreamPath,
        wanted: ForkRequest,
        to: ReplyTo,
        now: Timestamp,
    ) {
        self.expire_if_due(&path, now);
        let Some(slot) = self.streams.at(&path) else {
            return self.fork_reply(to, Err(ForkRefusal::SourceNotFound));
        };
        if slot.lifecycle_lsn > self.log.durable() {
            let lsn = slot.lifecycle_lsn;
            return self.retry_after(lsn, Op::Fork(path, wanted), to);
        }
        let source = slot.state.id;
        let anchor = match fork::anchor(&slot.state, &wanted, slot.readable()) {
            Ok(anchor) => anchor,
            Err(refusal) => return self.fork_reply(to, Err(refusal)),
        };
        let json = slot.state.config.content_type.framing() == Framing::Json;
        let inside = anchor > 0 && anchor < slot.visible_tail;
        // Reading shows whether the offset lies between two messages.
        if wanted.sub_offset == 0 && !(json && inside) {
            return self.fork_at(source, Ok(anchor), to, now);
        }
        let run = PagePlan::new(slot, anchor, HARD_MAX_BODY_BYTES).runs.into_iter().next().map(
            |mut run| {
                run.one_record = true;
                run
            },
        );
        let sub_offset = wanted.sub_offset;
        self.outputs.push_back(Output::Job(Job::SubOffset { run, source, anchor, sub_offset, to }));
    }

    /// Answers with the fork point at a resolved position, and counts the fork.
    pub fn fork_at(
        &mut self,
        source: StreamId,
        position: Result<u64, ForkRefusal>,
        to: ReplyTo,
        now: Timestamp,
    ) {
        // It may have been deleted while its data was read.
        let slot =
            self.streams.get_mut(source).filter(|slot| !slot.deleted && !slot.soft_deleted());
        let point = match (slot, position) {
            (None, _) => Err(ForkRefusal::SourceNotFound),
            (Some(_), Err(refusal)) => Err(refusal),
            (Some(slot), Ok(position)) if position < slot.visible_earliest => {
                let earliest = slot.state.offset_at(slot.visible_earliest);
                Err(ForkRefusal::Offset(OffsetError::Trimmed { earliest }))
            }
            (Some(slot), Ok(position)) => {
                slot.forks += 1;
                Ok(fork::point_at(&slot.state, position, slot.visible_earliest))
            }
        };
        if point.is_ok() {
            let path = self.streams.get(source).map(|slot| slot.state.path.clone());
            path.iter().for_each(|path| self.touch(path, now));
        }
        self.fork_reply(to, point);
    }

    /// The content type of a stream, for interpreting a sub-offset.
    #[must_use]
    pub fn content_type_of(
        &self,
        id: StreamId,
    ) -> Option<thalweg_proto::content_type::ContentType> {
        self.streams.get(id).map(|slot| slot.state.config.content_type.clone())
    }

    fn fork_reply(&mut self, to: ReplyTo, point: Result<ForkPoint, ForkRefusal>) {
        self.reply(to, Answer::ForkPoint(point.map(Box::new).map_err(Box::new)));
    }
}

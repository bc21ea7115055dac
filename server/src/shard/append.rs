//! POST.

use thalweg_proto::answer;
use thalweg_proto::request::AppendRequest;
use thalweg_proto::stream::append::{self, AppendDecision};
use thalweg_proto::time::Timestamp;
use thalweg_storage::Lsn;
use thalweg_storage::planted::{self, Bug};

use super::{Answer, ReplyTo, Shard, refused};

impl Shard {
    pub(super) fn append(&mut self, request: &AppendRequest, to: ReplyTo, now: Timestamp) {
        if let Some(problem) = self.overloaded() {
            return self.reply(to, refused(problem));
        }
        self.expire_if_due(&request.path, now);
        let Some(slot) = self.streams.at(&request.path).filter(|slot| !slot.deleted) else {
            let depends_on = self.last_lsn_at(&request.path);
            return self.reply_after(depends_on, to, refused(answer::not_found(&request.path)));
        };
        let (id, last_lsn) = (slot.state.id, slot.last_lsn);
        match append::decide(&slot.state, request, now) {
            Ok(AppendDecision::Write(record, ack)) => {
                let bytes = record.payload().map_or(0, |(_, payload)| payload.bytes.len());
                if let Err(problem) = self.room_for_bytes(id, bytes) {
                    return self.reply_after(last_lsn, to, refused(problem));
                }
                let lsn = self.write(record);
                self.access_logged(&request.path, now);
                self.reply_after(lsn, to, Answer::Response(Box::new(answer::appended(ack))));
            }
            Ok(AppendDecision::Known(ack)) => {
                let known = Answer::Response(Box::new(answer::appended(ack)));
                self.reply_after(last_lsn, to, known);
            }
            Err(refusal) => {
                if planted::is(Bug::ApplyBeforeDecide) {
                    self.apply_refused(request);
                }
                let problem = answer::append_refused(refusal, &request.path);
                self.reply_after(last_lsn, to, refused(problem));
            }
        }
    }

    /// A planted mistake: the next try counts as a repetition.
    fn apply_refused(&mut self, request: &AppendRequest) {
        let slot = self.streams.at_mut(&request.path);
        if let (Some(slot), Some(mark)) = (slot, &request.producer) {
            slot.state.producers.accept(mark);
        }
    }

    /// The newest record about whatever lives or lived at a path: what "not found" depends on.
    pub(super) fn last_lsn_at(&self, path: &thalweg_proto::path::StreamPath) -> Lsn {
        self.streams.at(path).map_or_else(Lsn::default, |slot| slot.last_lsn)
    }
}

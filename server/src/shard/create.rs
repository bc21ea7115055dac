//! PUT.

use std::sync::Arc;

use thalweg_proto::answer::{self, Visible};
use thalweg_proto::request::CreateRequest;
use thalweg_proto::stream::StreamState;
use thalweg_proto::stream::create;
use thalweg_proto::stream::fork::{ForkPoint, ForkRefusal};
use thalweg_proto::stream::record::StreamId;
use thalweg_proto::time::Timestamp;

use super::slot::Slot;
use super::{Answer, Job, Note, Output, PublicUrl, ReplyTo, Shard, refused};
use crate::limits::Members;

impl Shard {
    pub(super) fn create(
        &mut self,
        request: CreateRequest,
        url: PublicUrl,
        to: ReplyTo,
        now: Timestamp,
    ) {
        if let Some(problem) = self.overloaded() {
            return self.reply(to, refused(problem));
        }
        if self.confirm(&request, to, now) {
            return;
        }
        if request.fork.is_some() {
            self.outputs.push_back(Output::Job(Job::Fork(Box::new(request), url, to)));
        } else {
            self.create_with(&request, None, &url, to, now);
        }
    }

    /// Carries on with a fork: `point` is what the source's owner said.
    pub fn create_fork(
        &mut self,
        request: &CreateRequest,
        point: Result<ForkPoint, ForkRefusal>,
        url: &PublicUrl,
        to: ReplyTo,
        now: Timestamp,
    ) {
        let Some(wanted) = &request.fork else { return };
        let point = match point {
            Ok(point) => point,
            Err(refusal) => {
                let problem = answer::fork_refused(refusal, &wanted.source);
                return self.reply(to, refused(problem));
            }
        };
        let source_id = point.source_id;
        // Somebody may have taken the path while the source was asked.
        let taken = self.confirm(request, to, now);
        if taken || !self.create_with(request, Some(point), url, to, now) {
            let note = Note::Unfork { path: wanted.source.clone(), id: source_id };
            self.tell(self.owner(&wanted.source), note);
        }
    }

    /// Answers a PUT on a path that is taken. False if it is free.
    fn confirm(&mut self, request: &CreateRequest, to: ReplyTo, now: Timestamp) -> bool {
        self.expire_if_due(&request.path, now);
        let Some(slot) = self.streams.at(&request.path).filter(|slot| !slot.deleted) else {
            return false;
        };
        let confirmed = create::confirm(&slot.state, request);
        let is_read = confirmed.is_ok();
        let answer = match confirmed {
            Ok(()) => {
                let response = answer::created(&slot.state, &self.accepted(&slot.state), None);
                Answer::Response(Box::new(response))
            }
            Err(refusal) => refused(answer::create_refused(refusal, &request.path)),
        };
        let last_lsn = slot.last_lsn;
        if is_read {
            self.touch(&request.path, now);
        }
        self.reply_after(last_lsn, to, answer);
        true
    }

    fn create_with(
        &mut self,
        request: &CreateRequest,
        fork: Option<ForkPoint>,
        url: &PublicUrl,
        to: ReplyTo,
        now: Timestamp,
    ) -> bool {
        let newer_than = fork.as_ref().map_or(0, |point| point.source_id.0);
        let id = self.streams.next_id(now, newer_than);
        match create::decide(request, fork, id, now) {
            Ok(record) => {
                let Some(mut state) = StreamState::created_by(&record) else { return false };
                let bytes = record.payload().map_or(0, |(_, payload)| payload.bytes.len());
                let members = match self.room_for_stream(&request.path, bytes) {
                    Ok(members) => members,
                    Err(problem) => {
                        let depends_on = self.last_lsn_at(&request.path);
                        self.reply_after(depends_on, to, refused(problem));
                        return false;
                    }
                };
                self.trims.adopt(&mut state);
                let location = url.as_deref().unwrap_or_default().to_owned();
                let created = answer::created(&state, &self.accepted(&state), Some(location));
                self.insert(state, members, bytes);
                let lsn = self.write(record);
                self.born(id, lsn);
                self.reply_after(lsn, to, Answer::Response(Box::new(created)));
                true
            }
            Err(refusal) => {
                let depends_on = self.last_lsn_at(&request.path);
                let problem = answer::create_refused(refusal, &request.path);
                self.reply_after(depends_on, to, refused(problem));
                false
            }
        }
    }

    /// What will be visible once everything accepted is durable.
    fn accepted(&self, state: &StreamState) -> Visible {
        Visible {
            earliest: state.earliest,
            tail: state.tail,
            closed: state.closed.is_some(),
            retention: self.trims.limits(state),
        }
    }

    fn insert(&mut self, state: StreamState, members: Option<Arc<Members>>, bytes: usize) {
        let mut slot = Slot::new(state, thalweg_storage::Lsn::default());
        slot.members = members;
        slot.counted_bytes = bytes as u64;
        self.expiries.watch(&slot);
        self.streams.insert(slot);
    }

    fn born(&mut self, id: StreamId, lsn: thalweg_storage::Lsn) {
        if let Some(slot) = self.streams.get_mut(id) {
            slot.born_lsn = lsn;
            slot.lifecycle_lsn = lsn;
        }
    }
}

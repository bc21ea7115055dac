//! DELETE, and what goes away with the last fork.

use http::StatusCode;
use thalweg_proto::answer;
use thalweg_proto::path::StreamPath;
use thalweg_proto::response::Response;
use thalweg_proto::stream::record::{Record, StreamId};
use thalweg_proto::time::Timestamp;
use thalweg_storage::Lsn;

use super::{Answer, ReplyTo, Shard, refused};

impl Shard {
    pub(super) fn delete(&mut self, path: &StreamPath, to: ReplyTo, now: Timestamp) {
        if let Some(problem) = self.overloaded() {
            return self.reply(to, refused(problem));
        }
        self.expire_if_due(path, now);
        let depends_on = self.last_lsn_at(path);
        let Some(slot) = self.streams.at(path).filter(|slot| !slot.deleted) else {
            return self.reply_after(depends_on, to, refused(answer::not_found(path)));
        };
        if slot.soft_deleted() {
            return self.reply_after(depends_on, to, refused(answer::soft_deleted(path)));
        }
        let lsn = self.remove(slot.state.id, now);
        let done = Response::new(StatusCode::NO_CONTENT);
        self.reply_after(lsn, to, Answer::Response(Box::new(done)));
    }

    /// Deletes a stream, or hides it while forks read it.
    pub(super) fn remove(&mut self, id: StreamId, now: Timestamp) -> Lsn {
        let forks = self.streams.get(id).map_or(0, |slot| slot.forks);
        let lsn = if forks > 0 {
            self.write(Record::SoftDelete { id, at: now })
        } else {
            self.write(Record::Delete { id, at: now })
        };
        if let Some(slot) = self.streams.get_mut(id) {
            slot.deleted = forks == 0;
            slot.lifecycle_lsn = lsn;
        }
        lsn
    }

    /// A fork of this stream is gone, or was never made.
    pub(super) fn unfork(&mut self, id: StreamId, now: Timestamp) {
        let Some(slot) = self.streams.get_mut(id) else { return };
        slot.forks = slot.forks.saturating_sub(1);
        self.give_up_trimmed(id);
        self.purge_if_unreferenced(id, now);
    }

    /// After a restart: what waited for its last fork may have waited in vain.
    pub fn purge_unreferenced(&mut self, now: Timestamp) {
        for id in std::mem::take(&mut self.hidden) {
            self.purge_if_unreferenced(id, now);
        }
    }

    /// Deletes a soft-deleted stream that no fork reads any more.
    fn purge_if_unreferenced(&mut self, id: StreamId, now: Timestamp) {
        let purge = self
            .streams
            .get(id)
            .is_some_and(|slot| slot.soft_deleted() && slot.forks == 0 && !slot.deleted);
        if purge {
            self.remove(id, now);
        }
    }
}

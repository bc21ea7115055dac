//! Answers against facts, one function for each kind of request.

use super::message::stored_of;
use super::{AppendState, Model, Page};
use crate::clients::{Answer, Call, Producer, Purpose};
use thalweg_proto::offset::Offset;

/// What the run does to the server, as far as answers depend on it.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Tolerance {
    /// Reads may fail: the disk gives errors, other bytes, or damaged ones.
    pub(crate) unreadable: bool,
    /// There may be no space.
    pub(crate) full: bool,
}

impl Model {
    /// Judges what came back for a call; nothing, if the server died first.
    pub(crate) fn judge(&mut self, call: &Call, answer: Option<&Answer>, tolerance: Tolerance) {
        if let Purpose::Append { number, .. } = call.purpose {
            self.appends[number].under_way = false;
        }
        let Some(answer) = answer else { return };
        match answer.status {
            500 if tolerance.unreadable && answer.code == "unreadable" => {
                self.not_executed(call);
            }
            503 if matches!(answer.code.as_str(), "overloaded" | "stopping") => {
                self.not_executed(call);
            }
            507 if tolerance.full => self.not_executed(call),
            _ => match call.purpose.clone() {
                Purpose::Create => self.judge_create(call, answer),
                Purpose::Append { number, producer, conditional, again, closes } => {
                    let facts = AppendFacts { number, producer, conditional, again, closes };
                    self.judge_append(call, answer, facts);
                }
                Purpose::Close => self.judge_close(call, answer),
                Purpose::Delete => self.judge_delete(call, answer),
                Purpose::Look => self.judge_look(call, answer),
                Purpose::Read { from, .. } => self.judge_read(call, answer, from),
            },
        }
    }

    fn unexpected(&mut self, call: &Call, answer: &Answer) {
        let name = self.paths[call.path].name();
        let what =
            format!("{:?} to {name} was answered {} {}", call.purpose, answer.status, answer.code);
        self.broken("protocol", what);
    }

    /// The request was refused before it could do anything.
    fn not_executed(&mut self, call: &Call) {
        let path = &mut self.paths[call.path];
        match call.purpose {
            Purpose::Create => {
                path.create_tries -= 1;
                path.creating = path.create_tries > 0;
            }
            Purpose::Delete => {
                path.deleting -= 1;
                if path.deleting == 0 && call.stable {
                    path.stable_since = Some(self.now);
                }
            }
            Purpose::Append { number, .. } => {
                let append = &mut self.appends[number];
                append.tries = append.tries.saturating_sub(1);
                if append.tries == 0 && append.state == AppendState::Unknown {
                    append.state = AppendState::Refused;
                }
            }
            _ => {}
        }
    }

    fn judge_create(&mut self, call: &Call, answer: &Answer) {
        let path = &mut self.paths[call.path];
        let (name, tries) = (path.name(), path.create_tries);
        let Some(wish) = path.wish.clone() else { return };
        match (answer.status, answer.code.as_str()) {
            (200 | 201, _) => {
                path.creating = false;
                path.created_at = Some(self.now);
                path.accessed_ms = path.accessed_ms.max(call.wall_ms);
                path.stable_since = wish.ttl.is_none().then_some(self.now);
                if answer.status == 200 && tries == 1 {
                    self.broken("I6", format!("{name} was free, and has a stream already"));
                }
                self.created(call, answer, wish.body);
            }
            (409, "stream-deleted") if !path.past.is_empty() || tries > 1 => {
                self.not_created(call.path, wish.body);
            }
            (400 | 404 | 409 | 410, _) if wish.fork.is_some() => {
                self.not_created(call.path, wish.body);
                let source = wish.source.map(|source| &self.paths[source]);
                let there = source.is_some_and(|source| {
                    source.stable_since.is_some_and(|since| since < call.sent)
                        && source.known == wish.fork.map(|(id, _)| id)
                });
                let source = wish.fork.and_then(|(id, _)| self.streams.get(&id));
                let trims = source.is_some_and(|source| source.trims);
                if there && !trims && answer.code != "fork-too-deep" && call.source_stable {
                    let what = format!("a fork to {name} was refused: {}", answer.code);
                    self.broken("I7", what);
                }
            }
            _ => self.unexpected(call, answer),
        }
    }

    fn created(&mut self, call: &Call, answer: &Answer, body: Option<usize>) {
        let (Some(next), Some(number)) = (answer.next, body) else {
            if let Some(id) = answer.next.and_then(|next| self.own_id(call, next)) {
                self.heard_of(id, call.path, call.sent);
            }
            return;
        };
        let Some(id) = self.own_id(call, next) else { return };
        if !self.heard_of(id, call.path, call.sent) {
            return;
        }
        if answer.status == 201 {
            self.stored(number, id, call.path, Some(next.position));
        } else {
            self.stored(number, id, call.path, None);
        }
    }

    fn not_created(&mut self, path: usize, body: Option<usize>) {
        let state = &mut self.paths[path];
        let once = state.create_tries == 1;
        state.creating = false;
        state.wish = None;
        if let Some(number) = body {
            let refused = if once { AppendState::Refused } else { AppendState::Forgotten };
            self.appends[number].state = refused;
        }
    }

    /// The incarnation that a token of the tail names, unless it may be one of a fork's source.
    fn own_id(&self, call: &Call, next: Offset) -> Option<u64> {
        let wish = self.paths[call.path].wish.as_ref();
        let point = wish.and_then(|wish| wish.fork).map_or(0, |(_, point)| point);
        let point = point.max(call.fork_point);
        (point == 0 || next.position > point).then_some(next.epoch)
    }

    /// An append was acknowledged.
    fn stored(&mut self, number: usize, id: u64, path: usize, end: Option<u64>) {
        self.checked.acknowledged += 1;
        let append = &mut self.appends[number];
        let before = append.state;
        append.state = AppendState::Stored { stream: id, end };
        if let Some(end) = end {
            let stored = append.stored.clone();
            self.shown(id, path, end.saturating_sub(stored.len() as u64), &stored);
        } else if let AppendState::Stored { end, .. } = before {
            self.appends[number].state = AppendState::Stored { stream: id, end };
        }
    }

    fn judge_append(&mut self, call: &Call, answer: &Answer, facts: AppendFacts) {
        let AppendFacts { number, producer, conditional, again, .. } = facts;
        let name = self.paths[call.path].name();
        match (answer.status, answer.code.as_str()) {
            (200 | 204, _) => self.appended(call, answer, facts),
            (409, "stream-closed") => {
                if again && self.is_stable(call) && self.is_in_known(number, call.path) {
                    let what = format!("append {number} to {name} is not known any more");
                    self.broken("I5", what);
                }
                if self.is_stable(call) && !self.paths[call.path].close_sent {
                    self.broken("I4", format!("{name} is closed, and nobody closed it"));
                }
                self.refuse(number);
            }
            (409, "unexpected-tail") if conditional => self.refuse(number),
            (409, "producer-sequence-gap") | (403, _) | (400, "epoch-must-start-at-zero") => {
                let stream = producer.and_then(|producer| producer.stream);
                let same = stream.is_some() && stream == self.paths[call.path].known;
                if same && self.is_stable(call) {
                    let what = format!(
                        "append {number} to {name} as {producer:?} was refused: {}",
                        answer.code
                    );
                    self.broken("I5", what);
                }
                self.refuse(number);
            }
            (404 | 410, _) => {
                self.missing(call.path, call.sent);
                self.refuse(number);
            }
            _ => self.unexpected(call, answer),
        }
    }

    fn appended(&mut self, call: &Call, answer: &Answer, facts: AppendFacts) {
        let AppendFacts { number, producer, again, closes, .. } = facts;
        let name = self.paths[call.path].name();
        let Some(next) = answer.next else { return self.unexpected(call, answer) };
        let id = next.epoch;
        if !self.heard_of(id, call.path, call.sent) {
            self.appends[number].state = AppendState::Forgotten;
            return;
        }
        let is_new = producer.is_none() || answer.status == 200;
        if is_new && self.paths[call.path].known == Some(id) {
            self.accessed(call.path, call.wall_ms);
        }
        let state = self.appends[number].state;
        if is_new {
            if matches!(state, AppendState::Stored { stream, .. } if stream == id) {
                self.broken("I5", format!("append {number} to {name} was stored twice"));
            }
            self.stored(number, id, call.path, Some(next.position));
        } else {
            self.checked.repeated += 1;
            let tries = self.appends[number].tries;
            if tries == 1 && !again && !matches!(state, AppendState::Stored { .. }) {
                let what = format!("append {number} to {name} counts as repeated, was sent once");
                self.broken("I5", what);
            }
            self.stored(number, id, call.path, None);
        }
        if closes && is_new && !answer.closed {
            self.broken("I4", format!("append {number} to {name} closed, and the answer not"));
        }
        let floor = call.floor_of(id);
        self.told_tail(id, call.path, next.position, floor, answer.closed);
    }

    /// Whether the stream of the path has been the same since before the call.
    fn is_stable(&self, call: &Call) -> bool {
        let since = self.paths[call.path].stable_since;
        call.stable && since.is_some_and(|since| since < call.sent)
    }

    fn refuse(&mut self, number: usize) {
        let append = &mut self.appends[number];
        if append.state == AppendState::Unknown {
            append.state =
                if append.tries <= 1 { AppendState::Refused } else { AppendState::Forgotten };
        }
        append.tries = 0;
    }

    fn is_in_known(&self, number: usize, path: usize) -> bool {
        let known = self.paths[path].known;
        matches!(self.appends[number].state,
            AppendState::Stored { stream, .. } if Some(stream) == known)
    }

    fn judge_close(&mut self, call: &Call, answer: &Answer) {
        match answer.status {
            204 if answer.closed => {
                let next = answer.next;
                if let Some((id, next)) =
                    next.and_then(|next| Some((self.own_id(call, next)?, next)))
                    && self.heard_of(id, call.path, call.sent)
                {
                    self.told_tail(id, call.path, next.position, call.floor_of(id), true);
                }
            }
            404 | 410 => self.missing(call.path, call.sent),
            _ => self.unexpected(call, answer),
        }
    }

    fn judge_delete(&mut self, call: &Call, answer: &Answer) {
        match answer.status {
            204 => self.gone(call.path),
            404 | 410 => {
                if call.stable && self.paths[call.path].deleting == 1 {
                    let name = self.paths[call.path].name();
                    let what = format!("{name} is deleted already: {}", answer.status);
                    self.broken("I1", what);
                }
                self.gone(call.path);
            }
            _ => self.unexpected(call, answer),
        }
    }

    fn judge_look(&mut self, call: &Call, answer: &Answer) {
        match (answer.status, answer.next) {
            (200, Some(next)) => {
                if let Some(id) = self.own_id(call, next)
                    && self.heard_of(id, call.path, call.sent)
                {
                    let floor = call.floor_of(id);
                    self.told_tail(id, call.path, next.position, floor, answer.closed);
                }
            }
            (404 | 410, _) => self.missing(call.path, call.sent),
            _ => self.unexpected(call, answer),
        }
    }

    fn judge_read(&mut self, call: &Call, answer: &Answer, from: Option<Offset>) {
        let name = self.paths[call.path].name();
        match (answer.status, answer.code.as_str()) {
            (200, _) => {
                let json = self.paths[call.path].json;
                let (Some((id, start, end)), Some(stored)) =
                    (answer.tag, stored_of(answer.body.clone(), json))
                else {
                    return self.unexpected(call, answer);
                };
                if !self.heard_of(id, call.path, call.sent) {
                    return;
                }
                if self.paths[call.path].known == Some(id) {
                    self.accessed(call.path, call.wall_ms);
                }
                if from.is_none() {
                    let page = Page { start, end, up_to_date: answer.up_to_date };
                    self.begins_at(id, call.path, call.beginning_of(id), &page);
                }
                if start + stored.len() as u64 != end {
                    let what = format!("{name}: {start}..{end} came as {} bytes", stored.len());
                    self.broken("I8", what);
                }
                self.shown(id, call.path, start, &stored);
                if answer.up_to_date {
                    self.told_tail(id, call.path, end, call.floor_of(id), answer.closed);
                }
            }
            (400, "offset-beyond-tail" | "offset-foreign") => {
                // A token of the stream that is there means the same for ever.
                let current = from.map(|from| from.epoch);
                if self.is_stable(call)
                    && current.is_some()
                    && current == self.paths[call.path].known
                {
                    self.broken("I3", format!("{name}: {from:?} is refused: {}", answer.code));
                }
            }
            (410, "offset-gone") => {
                let current = from.map(|from| from.epoch);
                if self.is_stable(call)
                    && current.is_some()
                    && current == self.paths[call.path].known
                {
                    self.broken("I3", format!("{name}: {from:?} is said to be gone"));
                }
            }
            (410, "offset-trimmed") => {
                let stream = from.and_then(|from| self.streams.get(&from.epoch));
                // A fork's tokens may be its source's; those are not looked at.
                let own = stream.is_some_and(|stream| stream.path == call.path);
                if own && !stream.is_some_and(|stream| stream.trims) {
                    self.broken("I1", format!("{name}: {from:?} was dropped, and nothing may be"));
                }
            }
            (404 | 410, _) => self.missing(call.path, call.sent),
            _ => self.unexpected(call, answer),
        }
    }
}

/// See [`Purpose::Append`].
#[derive(Clone, Copy)]
struct AppendFacts {
    number: usize,
    producer: Option<Producer>,
    conditional: bool,
    again: bool,
    closes: bool,
}

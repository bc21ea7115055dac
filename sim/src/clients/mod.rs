//! Clients: what they ask for next, as the seed and what they know suggest.
//!
//! A client has one request under way, as a connection has. Each path has one client that creates,
//! closes and deletes there; everybody appends and reads everywhere. A request without an answer
//! is repeated as it was, if that is safe: creates, deletes and appends of producers.

mod call;
mod follow;
mod render;

use std::collections::BTreeMap;

pub(crate) use call::{Answer, Call, Producer, Purpose};
pub(crate) use follow::{Followed, follow};
pub(crate) use render::render;
use thalweg_proto::offset::Offset;

use crate::model::{Append, AppendState, CreateWish, Model, body_of};
use crate::random::Random;

/// See the module.
pub(crate) struct Clients {
    pub(crate) random: Random,
    clients: Vec<Client>,
    /// How large appends may be.
    pub(crate) largest: u64,
}

#[derive(Default)]
struct Client {
    producers: BTreeMap<usize, Sending>,
    /// A producer's append without an answer.
    unanswered: Option<(usize, usize, Producer)>,
}

/// A producer of one client on one path.
#[derive(Clone, Copy)]
struct Sending {
    epoch: u64,
    next: u64,
    stream: Option<u64>,
    /// The newest append that was acknowledged.
    last: Option<(usize, u64)>,
}

impl Clients {
    pub(crate) fn new(random: Random, count: usize, largest: u64) -> Clients {
        let clients = (0..count).map(|_| Client::default()).collect();
        Clients { random, clients, largest }
    }

    /// Everything that clients remember is worth nothing any more.
    pub(crate) fn start_over(&mut self) {
        self.clients.iter_mut().for_each(|client| *client = Client::default());
    }

    /// The next request of a client.
    pub(crate) fn next_call(&mut self, model: &mut Model, client: usize) -> Call {
        let (path, purpose) = self.choose(model, client);
        let mut call = Clients::call(model, client, path, purpose);
        self.send(model, &mut call);
        call
    }

    /// A call as it is sent now.
    pub(crate) fn call(model: &Model, client: usize, path: usize, purpose: Purpose) -> Call {
        let state = &model.paths[path];
        let source = state.wish.as_ref().and_then(|wish| wish.source);
        Call {
            client,
            path,
            purpose,
            sent: model.now,
            wall_ms: model.wall_ms,
            floor: state
                .known
                .and_then(|id| model.streams.get(&id).map(|stream| (id, stream.min_tail))),
            began: model.beginning(path),
            stable: state.stable_since.is_some(),
            source_stable: source.is_some_and(|source| model.paths[source].stable_since.is_some()),
            fork_point: state
                .wish
                .as_ref()
                .and_then(|wish| wish.fork)
                .map_or(0, |(_, point)| point),
        }
    }

    /// Notes in the model that a call is on its way.
    fn send(&mut self, model: &mut Model, call: &mut Call) {
        let life = model.life;
        let path = &mut model.paths[call.path];
        match call.purpose {
            Purpose::Create => {
                path.creating = true;
                path.create_tries += 1;
                let source = path.wish.as_ref().and_then(|wish| wish.source);
                let stable = source.map(|source| model.paths[source].stable_since.is_some());
                call.source_stable = stable == Some(true);
            }
            Purpose::Delete => {
                path.deleting += 1;
                path.stable_since = None;
            }
            Purpose::Close => path.close_sent = true,
            Purpose::Append { number, closes, .. } => {
                path.close_sent |= closes;
                let append = &mut model.appends[number];
                append.tries += 1;
                append.life = life;
                append.under_way = true;
                if !matches!(append.state, AppendState::Stored { .. }) {
                    append.state = AppendState::Unknown;
                }
            }
            Purpose::Look | Purpose::Read { .. } => {}
        }
    }

    /// What a client makes of an answer, after the model has judged it.
    pub(crate) fn answered(&mut self, model: &Model, call: &Call, answer: Option<&Answer>) {
        let Purpose::Append { number, producer: Some(producer), .. } = call.purpose else {
            return;
        };
        let client = &mut self.clients[call.client];
        match answer.map(|answer| answer.status) {
            None | Some(500..) => {
                client.unanswered = Some((call.path, number, producer));
            }
            Some(200 | 204) => {
                client.unanswered = None;
                let stream = answer.and_then(|answer| answer.next).map(|next| next.epoch);
                let (epoch, next) = (producer.epoch, producer.seq + 1);
                let last = Some((number, producer.seq));
                client.producers.insert(call.path, Sending { epoch, next, stream, last });
            }
            // Refused: the same number may be tried again, in whatever stream is there then.
            Some(_) => {
                client.unanswered = None;
                let known = model.paths[call.path].known;
                let moved = producer.stream != known;
                if moved || answer.is_some_and(|answer| answer.code.contains("producer")) {
                    client.producers.remove(&call.path);
                }
            }
        }
    }

    fn choose(&mut self, model: &mut Model, client: usize) -> (usize, Purpose) {
        let owned: Vec<usize> =
            (0..model.paths.len()).filter(|path| model.paths[*path].owner == client).collect();
        for path in &owned {
            let state = &model.paths[*path];
            if state.creating && self.random.chance(3, 4) {
                return (*path, Purpose::Create);
            }
            if state.deleting > 0 && self.random.chance(3, 4) {
                return (*path, Purpose::Delete);
            }
        }
        if let Some((path, number, producer)) = self.clients[client].unanswered
            && self.random.chance(4, 5)
        {
            return (path, again(number, producer, false));
        }
        let free: Vec<usize> =
            owned.iter().copied().filter(|path| model.paths[*path].is_free()).collect();
        if let Some(path) = self.random.pick(&free).copied()
            && self.random.chance(1, 2)
        {
            self.wish(model, path);
            return (path, Purpose::Create);
        }
        self.choose_among_all(model, client, &owned)
    }

    fn choose_among_all(
        &mut self,
        model: &mut Model,
        client: usize,
        owned: &[usize],
    ) -> (usize, Purpose) {
        let path = self.random.index(model.paths.len());
        let there: Vec<usize> =
            owned.iter().copied().filter(|path| model.paths[*path].is_there()).collect();
        let mine = self.random.pick(&there).copied();
        // Closed streams are soon of little interest.
        let is_closed = |path: usize| {
            let stream = model.paths[path].known.and_then(|id| model.streams.get(&id));
            stream.is_some_and(|stream| stream.closed_at.is_some())
        };
        if let Some(path) = mine.filter(|path| is_closed(*path))
            && self.random.chance(1, 6)
        {
            return (path, Purpose::Delete);
        }
        match (self.random.below(100), mine) {
            (0..3, Some(path)) => (path, Purpose::Delete),
            (3..5, Some(path)) => (path, Purpose::Close),
            (5..7, Some(path)) => {
                let number = self.append(model, path);
                (path, plain(number, true))
            }
            (7..13, _) => (path, Purpose::Look),
            (13..30, _) => {
                let from = self.token(model, path);
                (path, Purpose::Read { from, audit: false })
            }
            (30..34, _) => self.repeat(client).unwrap_or((path, Purpose::Look)),
            (34..75, _) => self.produce(model, client, path),
            _ => {
                let number = self.append(model, path);
                (path, plain(number, false))
            }
        }
    }

    /// The newest acknowledged append of a producer, once more.
    fn repeat(&mut self, client: usize) -> Option<(usize, Purpose)> {
        let client = &self.clients[client];
        if client.unanswered.is_some() {
            return None;
        }
        let known: Vec<(usize, Sending)> =
            client.producers.iter().map(|(path, sending)| (*path, *sending)).collect();
        let (path, Sending { epoch, stream, last, .. }) = *self.random.pick(&known)?;
        let (number, seq) = last?;
        Some((path, again(number, Producer { epoch, seq, stream }, true)))
    }

    fn produce(&mut self, model: &mut Model, client: usize, path: usize) -> (usize, Purpose) {
        if self.clients[client].unanswered.is_some() {
            return (path, Purpose::Look);
        }
        let known = model.paths[path].known;
        let number = self.append(model, path);
        let sending = self.clients[client].producers.get(&path).copied();
        let sending = sending.filter(|sending| sending.stream == known);
        let producer = match sending {
            None => Producer { epoch: 0, seq: 0, stream: known },
            Some(Sending { epoch, stream, .. }) if self.random.chance(1, 30) => {
                Producer { epoch: epoch + 1, seq: 0, stream }
            }
            Some(Sending { epoch, next, stream, .. }) => Producer { epoch, seq: next, stream },
        };
        let conditional = known.is_some() && self.random.chance(1, 6);
        let producer = Some(producer);
        let closes = false;
        (path, Purpose::Append { number, producer, conditional, again: false, closes })
    }

    /// A new append for a path.
    fn append(&mut self, model: &mut Model, path: usize) -> usize {
        let pad = match self.random.below(20) {
            0 => self.random.below(self.largest),
            1..4 => self.random.below(4_000),
            _ => self.random.below(200),
        };
        let json = model.paths[path].json;
        let messages = if json { 1 + self.random.index(3) } else { 1 };
        let number = model.appends.len();
        let (body, stored) = body_of(number, json, messages, pad as usize);
        model.appends.push(Append {
            path,
            body,
            stored: stored.into_bytes(),
            state: AppendState::Unknown,
            tries: 0,
            life: model.life,
            under_way: false,
        });
        number
    }

    /// What the next stream of a free path shall be.
    fn wish(&mut self, model: &mut Model, path: usize) {
        let mut wish = CreateWish::default();
        if self.random.chance(1, 3) {
            let forkable = |source: &usize| {
                let state = &model.paths[*source];
                *source != path && state.json == model.paths[path].json && state.is_there()
            };
            let sources: Vec<usize> = (0..model.paths.len()).filter(forkable).collect();
            let source = self.random.pick(&sources).copied();
            let token = source.and_then(|source| self.token(model, source));
            if let (Some(source), Some(token)) = (source, token) {
                wish.fork = Some((token.epoch, token.position));
                wish.source = Some(source);
                wish.ttl = model.paths[source].wish.as_ref().and_then(|wish| wish.ttl);
            }
        }
        if wish.fork.is_none() && self.random.chance(1, 5) {
            wish.ttl = Some(1 + self.random.below(20));
        }
        if wish.fork.is_none() && self.random.chance(1, 4) {
            wish.keep_bytes = self.random.chance(2, 3).then(|| 100 + self.random.below(4_000));
            wish.keep_seconds = self.random.chance(1, 3).then(|| 1 + self.random.below(5));
        }
        if self.random.chance(1, 4) {
            wish.body = Some(self.append(model, path));
        }
        let state = &mut model.paths[path];
        state.wish = Some(wish);
        state.create_tries = 0;
        state.close_sent = false;
    }

    /// A token between two appends of the stream of a path, if one is known.
    fn token(&mut self, model: &Model, path: usize) -> Option<Offset> {
        let known = model.paths[path].known?;
        let ends = model.appends.iter().filter_map(|append| match append.state {
            AppendState::Stored { stream, end: Some(end) } if stream == known => Some(end),
            _ => None,
        });
        let ends: Vec<u64> = ends.collect();
        let position = *self.random.pick(&ends)?;
        Some(Offset { epoch: known, position })
    }
}

fn plain(number: usize, closes: bool) -> Purpose {
    Purpose::Append { number, producer: None, conditional: false, again: false, closes }
}

fn again(number: usize, producer: Producer, again: bool) -> Purpose {
    let producer = Some(producer);
    Purpose::Append { number, producer, conditional: false, again, closes: false }
}

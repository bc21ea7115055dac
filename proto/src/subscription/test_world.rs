//! A server around the state machine, for tests: a log, streams with tails, a clock.
#![allow(clippy::needless_pass_by_value)] // JSON literals read better without `&`.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use serde_json::Value;

use super::token::tests::ToySigner;
use super::*;

pub(super) const SIGNER: ToySigner = ToySigner(42);

pub(super) struct World {
    pub(super) subs: Subscriptions,
    pub(super) now: Timestamp,
    /// The streams' owners: what exists, up to where.
    pub(super) tails: BTreeMap<StreamPath, Offset>,
    checkpoint: Bytes,
    log: Vec<Bytes>,
    seed: u64,
    epochs: u64,
}

/// What an HTTP client sees.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Value,
}

impl World {
    pub(super) fn new() -> World {
        let subs = Subscriptions::new();
        World {
            checkpoint: subs.snapshot(),
            subs,
            now: Timestamp(1_000_000),
            tails: BTreeMap::new(),
            log: Vec::new(),
            seed: 1,
            epochs: 0,
        }
    }

    /// Logs and applies, by way of the stored bytes.
    pub(super) fn commit(&mut self, events: Vec<Event>) {
        for event in events {
            let bytes = event.encode();
            assert_eq!(Event::decode(&bytes).as_ref(), Ok(&event));
            self.subs.apply(&event);
            self.log.push(bytes);
        }
    }

    pub(super) fn request(
        &mut self,
        method: &str,
        tail: &str,
        token: Option<&str>,
        body: Value,
    ) -> Answer {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let authorization = token.map(|token| format!("Bearer {token}"));
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let parsed = SubscriptionRequest::parse(&method, tail, authorization.as_deref(), &body);
        let reply = match parsed {
            Ok(SubscriptionRequest::On { id, operation }) => self.decide(&id, &operation),
            Ok(SubscriptionRequest::Jwks) => panic!("the server answers this"),
            Err(refusal) => refusal.reply(),
        };
        let body = serde_json::from_slice(&reply.body).unwrap_or(Value::Null);
        Answer { status: reply.status, body }
    }

    pub(super) fn decide(&mut self, id: &Arc<str>, operation: &Operation) -> Reply {
        match self.try_decide(id, operation) {
            Ok(decision) => {
                self.commit(decision.events);
                self.subs.render(id, &decision.outcome, "ds_kid")
            }
            Err(refusal) => refusal.reply(),
        }
    }

    pub(super) fn try_decide(
        &mut self,
        id: &Arc<str>,
        operation: &Operation,
    ) -> Result<Decision, Refusal> {
        let tails: Vec<_> = self.tails.iter().map(|(path, tail)| (path.clone(), *tail)).collect();
        let mut context = Context {
            now: self.now,
            entropy: &mut draw(&mut self.seed),
            signer: &SIGNER,
            base_url: "http://host/v1/stream",
            tails: &tails,
        };
        self.subs.decide(id, operation, &mut context)
    }

    /// Appends to a stream, creating it if need be.
    pub(super) fn append(&mut self, path: &str, bytes: u64) -> Offset {
        let path = StreamPath::new(path).unwrap();
        let epochs = &mut self.epochs;
        let tail = self.tails.entry(path.clone()).or_insert_with(|| {
            *epochs += 1;
            Offset { epoch: *epochs, position: 0 }
        });
        tail.position += bytes;
        let tail = *tail;
        self.report(&path, tail);
        tail
    }

    pub(super) fn delete_stream(&mut self, path: &str) {
        let path = StreamPath::new(path).unwrap();
        if self.tails.remove(&path).is_some() {
            let events = self.subs.stream_deleted(&path);
            self.commit(events);
        }
    }

    fn report(&mut self, path: &StreamPath, tail: Offset) {
        let events = self.subs.stream_advanced(path, tail, self.now, &mut draw(&mut self.seed));
        self.commit(events);
    }

    pub(super) fn pass(&mut self, ms: u64) {
        self.now = self.now.plus_ms(ms);
        loop {
            let events = self.subs.tick(self.now, &mut draw(&mut self.seed));
            if events.is_empty() {
                break;
            }
            self.commit(events);
        }
    }

    pub(super) fn effect(&mut self) -> Option<Effect> {
        self.subs.poll_effect(&SIGNER)
    }

    /// `Some(done)` for a success.
    pub(super) fn result(&mut self, wake: &WakeRef, success: Option<bool>) {
        let (now, seed) = (self.now, &mut self.seed);
        let events = match success {
            Some(done) => self.subs.delivery_succeeded(wake, done, now, &mut draw(seed)),
            None => self.subs.delivery_failed(wake, now, &mut draw(seed)),
        };
        self.commit(events);
    }

    pub(super) fn checkpoint(&mut self) {
        self.checkpoint = self.subs.snapshot();
        self.log.clear();
    }

    /// Checkpoint and log give the state that was lost; then the streams report their tails.
    pub(super) fn crash(&mut self) {
        let mut restored = Subscriptions::restore(&self.checkpoint).unwrap();
        for bytes in &self.log {
            restored.apply(&Event::decode(bytes).unwrap());
        }
        assert_eq!(restored.snapshot(), self.subs.snapshot());
        self.subs = restored;
        for (path, tail) in self.tails.clone() {
            self.report(&path, tail);
        }
        self.pass(0);
    }
}

/// SplitMix64.
fn draw(seed: &mut u64) -> impl FnMut() -> u64 {
    move || {
        *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

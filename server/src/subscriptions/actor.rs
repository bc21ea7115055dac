//! The actor: state, inputs, effects.

use std::collections::HashMap;
use std::rc::Rc;

use bytes::Bytes;
use thalweg_proto::content_type::ContentType;
use thalweg_proto::json;
use thalweg_proto::path::StreamPath;
use thalweg_proto::request::{AppendRequest, Body};
use thalweg_proto::subscription::{Effect, Event, Subscriptions as State, WakeRef};
use thalweg_proto::time::Timestamp;
use thalweg_storage::Lsn;
use thalweg_storage::recovery::StoredSubscriptions;

use super::{Control, scan};
use crate::control::ssrf::Rejection;
use crate::control::webhook::{Delivery, DeliveryResult};
use crate::control::{ControlEvent, DeliveryOutcome, Handle};
use crate::core::Core;
use crate::local::Sender;
use crate::mailbox::message::{Answer, Note, Op};
use crate::rt;
use crate::serve::StartError;

/// The subscriptions of a server, and what is under way for them.
pub struct Subscriptions {
    pub(super) state: State,
    pub(super) control: Control,
    /// The newest stored event: answers and effects wait for it.
    pub(super) last_lsn: Lsn,
    /// The interest that the owners of streams were told.
    pub(super) announced: u64,
    /// Whether the owners of streams have said what they have: before that, tails are not known.
    pub(super) ready: bool,
    checks: HashMap<u64, Sender<Result<(), Rejection>>>,
    next_check: u64,
}

impl Subscriptions {
    /// From what was stored.
    pub fn restore(
        stored: &StoredSubscriptions,
        control: Control,
    ) -> Result<Subscriptions, StartError> {
        let failed = |error: &dyn std::fmt::Display| StartError::Subscriptions(error.to_string());
        let mut state = match &stored.snapshot {
            Some(snapshot) => State::restore(snapshot).map_err(|error| failed(&error))?,
            None => State::new(),
        };
        for event in &stored.events {
            state.apply(&Event::decode(event).map_err(|error| failed(&error))?);
        }
        Ok(Subscriptions {
            announced: u64::MAX,
            ready: false,
            state,
            control,
            last_lsn: Lsn::default(),
            checks: HashMap::new(),
            next_check: 0,
        })
    }

    /// Everything, for a checkpoint.
    #[must_use]
    pub fn snapshot(&self) -> Bytes {
        self.state.snapshot()
    }

    /// Starts to wait for a verdict on a URL; false if too many are waited for.
    pub(super) fn check_url(&mut self, url: &str, sender: Sender<Result<(), Rejection>>) -> bool {
        let token = self.next_check;
        self.next_check += 1;
        let begun = self.control.handle.check_url(url, token).is_ok();
        if begun {
            self.checks.insert(token, sender);
        }
        begun
    }
}

/// Applies and stores events; what follows from them happens once they are durable.
pub(super) fn commit(core: &Rc<Core>, events: &[Event]) {
    if events.is_empty() {
        return;
    }
    let encoded: Vec<Bytes> = events.iter().map(Event::encode).collect();
    core.with_subscriptions(|actor| events.iter().for_each(|event| actor.state.apply(event)));
    let lsn = core.with_shard(|shard, _| {
        let mut lsn = Lsn::default();
        let last = encoded.len() - 1;
        for (index, event) in encoded.into_iter().enumerate() {
            lsn = shard.store_event(event, (index == last).then_some(Note::SubscriptionsDurable));
        }
        lsn
    });
    core.with_subscriptions(|actor| actor.last_lsn = actor.last_lsn.max(lsn));
    scan::announce_if_changed(core);
}

/// Lets the state decide with fresh randomness, then commits.
pub(super) fn input(
    core: &Rc<Core>,
    decide: impl FnOnce(&mut State, Timestamp, &mut dyn FnMut() -> u64) -> Vec<Event>,
) -> bool {
    let now = core.clock.now();
    let mut entropy = || core.random();
    let events = core.with_subscriptions(|actor| decide(&mut actor.state, now, &mut entropy));
    let events = events.unwrap_or_default();
    commit(core, &events);
    !events.is_empty()
}

/// Lease expiries and retries that are due.
pub(super) fn tick(core: &Rc<Core>) {
    let now = core.clock.now();
    let due = core.with_subscriptions(|actor| {
        actor.ready && actor.state.next_deadline().is_some_and(|deadline| deadline <= now)
    });
    if due == Some(true) {
        while input(core, |state, now, entropy| state.tick(now, entropy)) {}
    }
    pump(core);
}

pub(super) fn take_note(core: &Rc<Core>, note: Note) {
    match note {
        Note::Advanced { path, tail } => {
            input(core, |state, now, entropy| state.stream_advanced(&path, tail, now, entropy));
        }
        Note::Vanished(path) => {
            input(core, |state, _, _| state.stream_deleted(&path));
        }
        Note::Control(event) => match *event {
            ControlEvent::Delivered(outcome) => delivered(core, &outcome),
            ControlEvent::UrlChecked { token, verdict } => {
                let sender = core.with_subscriptions(|actor| actor.checks.remove(&token));
                if let Some(Some(sender)) = sender {
                    sender.send(verdict);
                }
            }
        },
        _ => pump(core),
    }
}

fn delivered(core: &Rc<Core>, outcome: &DeliveryOutcome) {
    let DeliveryOutcome { wake, result } = outcome;
    input(core, |state, now, entropy| match result {
        DeliveryResult::Done => state.delivery_succeeded(wake, true, now, entropy),
        DeliveryResult::Accepted => state.delivery_succeeded(wake, false, now, entropy),
        DeliveryResult::Failed(_) => state.delivery_failed(wake, now, entropy),
    });
}

/// Hands out effects, if everything they follow from is durable.
fn pump(core: &Rc<Core>) {
    let durable = core.durable();
    loop {
        let effect = core.with_subscriptions(|actor| {
            let held = actor.last_lsn > durable || !actor.ready;
            if held || !actor.control.handle.has_room() {
                return None;
            }
            let effect = actor.state.poll_effect(&actor.control.keys.tokens)?;
            Some((effect, actor.control.handle.clone()))
        });
        match effect.flatten() {
            None => return,
            Some((Effect::Deliver { wake, url, body, .. }, handle)) => {
                deliver(core, &handle, Delivery { wake, url, body });
            }
            Some((Effect::WriteWake { wake, wake_stream, event }, _)) => {
                rt::spawn(write_wake(Rc::clone(core), wake, wake_stream, event));
            }
        }
    }
}

fn deliver(core: &Rc<Core>, handle: &Handle, delivery: Delivery) {
    let wake = delivery.wake.clone();
    if handle.deliver(delivery).is_err() {
        input(core, |state, now, entropy| state.delivery_failed(&wake, now, entropy));
    }
}

async fn write_wake(core: Rc<Core>, wake: WakeRef, path: StreamPath, event: Bytes) {
    let request = AppendRequest {
        path: path.clone(),
        content_type: ContentType::parse("application/json"),
        producer: None,
        seq: None,
        close: false,
        expected: None,
        body: Body { json: Some(json::flatten(&event)), raw: event },
    };
    let answer = core.ask_owner(&path, Op::Append(request)).await;
    let written =
        matches!(&answer, Some(Answer::Response(response)) if response.status.is_success());
    if !written {
        tracing::warn!(subscription = %wake.subscription, wake_stream = %path, "wake event refused");
    }
    input(&core, |state, now, entropy| {
        if written {
            state.delivery_succeeded(&wake, false, now, entropy)
        } else {
            state.delivery_failed(&wake, now, entropy)
        }
    });
}

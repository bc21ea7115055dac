//! When wakes begin, are retried and expire: the inputs from the server (section 7).
//!
//! Each input returns events for the owner to log and apply. `stream_advanced` and
//! `stream_deleted` also keep the tails, which are a cache of what the streams' owners know and
//! the only state that changes without an event.

use std::collections::HashMap;
use std::sync::Arc;

use super::config::{Delivery, MAX_WAKE_STREAMS};
use super::effect::WakeRef;
use super::event::{Change, Event, NewLink, WakeIssued};
use super::set::{Entropy, Subscriptions};
use super::state::{Stage, Subscription, Wake};
use super::wire::Position;
use crate::offset::Offset;
use crate::path::StreamPath;
use crate::time::Timestamp;

/// The first retry comes after this.
const FIRST_RETRY_MS: u64 = 1_000;
/// No retry waits longer.
const LAST_RETRY_MS: u64 = 60_000;
/// Subscriptions handled by one `tick`, so that one log batch stays small.
const TICK_BATCH: usize = 256;

impl Subscriptions {
    /// The stream at `path` has data up to `tail`: after each durable append, and for every stream
    /// once after a restart. Repetition and reordering do no harm.
    pub fn stream_advanced(
        &mut self,
        path: &StreamPath,
        tail: Offset,
        now: Timestamp,
        entropy: Entropy<'_>,
    ) -> Vec<Event> {
        let mut events = Vec::new();
        for id in self.linked_to(path) {
            let Some(one) = self.all.get_mut(&id) else { continue };
            let had_pending = one.has_pending();
            one.observe(path, tail);
            if one.pending.contains(path) && one.may_wake(had_pending) {
                let issued = one.issue_at(path, tail, now, entropy);
                events.push(one.event(Change::WakeIssued(issued)));
            }
        }
        if tail.position == 0 {
            // Nothing to read: it is discovered with its first data.
            return events;
        }
        for id in self.discovering(path) {
            let Some(one) = self.get(&id) else { continue };
            let link = NewLink { path: path.clone(), explicit: false, acked: Offset::ZERO, tail };
            events.push(one.event(Change::Linked { links: vec![link] }));
            if one.may_wake(one.has_pending()) {
                let issued = one.issue_at(path, tail, now, entropy);
                events.push(one.event(Change::WakeIssued(issued)));
            }
        }
        events
    }

    /// The stream at `path` is deleted or expired. Glob links go with it; explicit ones wait for
    /// a successor.
    pub fn stream_deleted(&mut self, path: &StreamPath) -> Vec<Event> {
        let mut events = Vec::new();
        for id in self.linked_to(path) {
            let Some(one) = self.all.get_mut(&id) else { continue };
            if one.links.get(path).is_some_and(|link| link.explicit) {
                one.forget_tail(path);
            } else {
                events.push(one.event(Change::Unlinked { path: path.clone() }));
            }
        }
        events
    }

    /// The webhook answered 2xx, with or without `{"done":true}`; or the wake event is durable in
    /// the wake stream (`done` false). A result for a wake that is over does nothing.
    #[must_use]
    pub fn delivery_succeeded(
        &self,
        wake: &WakeRef,
        done: bool,
        now: Timestamp,
        entropy: Entropy<'_>,
    ) -> Vec<Event> {
        let Some((one, wake)) = self.current(wake) else { return Vec::new() };
        if done && one.config.webhook_url().is_some() {
            return one.finish(wake, now, entropy);
        }
        match wake.stage {
            Stage::Attempting => vec![one.event(Change::Delivered)],
            Stage::Due(_) | Stage::Delivered => Vec::new(),
        }
    }

    /// The webhook answered something else or nothing; or the wake event could not be written.
    #[must_use]
    pub fn delivery_failed(
        &self,
        wake: &WakeRef,
        now: Timestamp,
        entropy: Entropy<'_>,
    ) -> Vec<Event> {
        match self.current(wake) {
            // A receiver that has called back is alive, whatever became of its answer.
            Some((one, wake)) if wake.stage == Stage::Attempting => {
                let (failures, next_attempt_at) = one.next_retry(now, entropy);
                vec![one.event(Change::AttemptFailed { failures, next_attempt_at })]
            }
            _ => Vec::new(),
        }
    }

    /// Lease expiries and due retries. Apply what it returns and call it again until it returns
    /// nothing.
    #[must_use]
    pub fn tick(&self, now: Timestamp, entropy: Entropy<'_>) -> Vec<Event> {
        let due = self.due(now).take(TICK_BATCH);
        due.flat_map(|one| one.time_passed(now, entropy)).collect()
    }

    fn current(&self, which: &WakeRef) -> Option<(&Subscription, &Wake)> {
        let one = self.get(&which.subscription)?;
        let wake = one.wake.as_ref()?;
        (one.generation == which.generation && wake.id == which.wake_id).then_some((one, wake))
    }
}

impl Subscription {
    /// The wake that pending work asks for once `acks` are applied and the current one is over.
    pub(super) fn next_wake(
        &self,
        acks: &[Position],
        now: Timestamp,
        entropy: Entropy<'_>,
    ) -> Option<WakeIssued> {
        let acked: HashMap<&StreamPath, Offset> =
            acks.iter().map(|ack| (&ack.path, ack.offset)).collect();
        // In turn after the stream that was named last, so that none starves.
        let (start, inclusive) = match &self.wake {
            Some(wake) => (&wake.stream, false),
            None => (self.pending.first()?, true),
        };
        let left = self
            .pending_from(start, inclusive)
            .filter(|(path, link)| acked.get(path).is_none_or(|offset| link.tail > *offset))
            .map(|(path, link)| Position { path: path.clone(), offset: link.tail });
        self.issue_from(left, now, entropy)
    }

    /// A wake because of `path`, which may not be linked yet.
    fn issue_at(
        &self,
        path: &StreamPath,
        tail: Offset,
        now: Timestamp,
        entropy: Entropy<'_>,
    ) -> WakeIssued {
        let reason = Position { path: path.clone(), offset: tail };
        let others = self
            .pending_from(path, false)
            .filter(|(other, _)| *other != path)
            .map(|(path, link)| Position { path: path.clone(), offset: link.tail });
        let issued = self.issue_from(std::iter::once(reason).chain(others), now, entropy);
        issued.unwrap_or_else(|| unreachable!("a reason was given"))
    }

    fn issue_from(
        &self,
        pending: impl Iterator<Item = Position>,
        now: Timestamp,
        entropy: Entropy<'_>,
    ) -> Option<WakeIssued> {
        let is_webhook = self.config.webhook_url().is_some();
        let limit = if is_webhook { MAX_WAKE_STREAMS } else { 1 };
        let mut snapshot: Vec<Position> = pending.take(limit).collect();
        let stream = snapshot.first()?.path.clone();
        if !is_webhook {
            // A claim lists what is pending when it is made, and acks name their streams.
            snapshot.clear();
        }
        Some(WakeIssued {
            generation: self.generation + 1,
            wake_id: wake_id(entropy),
            at: now,
            stream,
            snapshot,
            lease_until: is_webhook.then(|| self.lease_from(now)),
            failures: 0,
            due: None,
        })
    }

    /// Whether new work is reason for a wake: when idle, and when the wake event in flight is one
    /// that a worker may have looked at while nothing was pending.
    fn may_wake(&self, had_pending: bool) -> bool {
        match &self.wake {
            None => true,
            Some(wake) => {
                matches!(self.config.delivery(), Delivery::PullWake { .. })
                    && wake.holder.is_none()
                    && wake.stage == Stage::Delivered
                    && !had_pending
            }
        }
    }

    /// The receiver answered `{"done":true}`: everything it was told of is acked.
    fn finish(&self, wake: &Wake, now: Timestamp, entropy: Entropy<'_>) -> Vec<Event> {
        let is_new =
            |told: &&Position| self.acked(&told.path).is_some_and(|acked| told.offset > acked);
        let acks: Vec<Position> = wake.snapshot.iter().filter(is_new).cloned().collect();
        let next = self.next_wake(&acks, now, entropy);
        let acked = (!acks.is_empty()).then_some(Change::Acked { acks });
        let changes = [acked, Some(Change::WakeEnded), next.map(Change::WakeIssued)];
        changes.into_iter().flatten().map(|change| self.event(change)).collect()
    }

    fn time_passed(&self, now: Timestamp, entropy: Entropy<'_>) -> Vec<Event> {
        let Some(wake) = &self.wake else { return Vec::new() };
        let is_webhook = self.config.webhook_url().is_some();
        match wake.stage {
            // Not handed over: the receiver never had the time that its lease gives it.
            Stage::Attempting if wake.handed_over => self.expire(true, now, entropy),
            Stage::Due(_) | Stage::Attempting => {
                let lease_until = is_webhook.then(|| self.lease_from(now));
                vec![self.event(Change::AttemptStarted { lease_until })]
            }
            Stage::Delivered => self.expire(false, now, entropy),
        }
    }

    /// The lease ran out. If nobody took the wake, that is a failed delivery: the next wake waits
    /// its turn, or an endpoint that hangs would be called once per lease, for ever.
    fn expire(&self, unanswered: bool, now: Timestamp, entropy: Entropy<'_>) -> Vec<Event> {
        let mut next = self.next_wake(&[], now, entropy);
        if let Some(issued) = next.as_mut().filter(|_| unanswered) {
            let (failures, due) = self.next_retry(now, entropy);
            issued.failures = failures;
            issued.due = Some(due);
            issued.lease_until = None;
        }
        let changes = [Some(Change::WakeEnded), next.map(Change::WakeIssued)];
        changes.into_iter().flatten().map(|change| self.event(change)).collect()
    }

    fn next_retry(&self, now: Timestamp, entropy: Entropy<'_>) -> (u32, Timestamp) {
        let failures = self.failures.saturating_add(1);
        let unit = (entropy() >> 11) as f64 / (1u64 << 53) as f64;
        (failures, now.plus_ms(retry_delay_ms(failures, unit)))
    }
}

/// Exponential from 1 s to 60 s, with 20 % jitter either way inside these bounds. `unit` is a
/// random number in `[0, 1)`.
fn retry_delay_ms(failures: u32, unit: f64) -> u64 {
    let doublings = failures.saturating_sub(1).min(6);
    let base = (FIRST_RETRY_MS << doublings).min(LAST_RETRY_MS);
    let jittered = (base as f64 * (0.8 + 0.4 * unit)) as u64;
    jittered.clamp(FIRST_RETRY_MS, LAST_RETRY_MS)
}

fn wake_id(entropy: Entropy<'_>) -> Arc<str> {
    format!("w_{:016x}{:016x}", entropy(), entropy()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_delays() {
        let check = |failures: u32, unit: f64, want: u64| {
            assert_eq!(retry_delay_ms(failures, unit), want, "{failures} {unit}");
        };
        check(1, 0.0, 1_000);
        check(1, 0.5, 1_000);
        check(1, 0.999_999_9, 1_199);
        check(2, 0.0, 1_600);
        check(4, 0.5, 8_000);
        check(6, 0.5, 32_000);
        check(7, 0.0, 48_000);
        check(7, 0.999, 60_000);
        check(u32::MAX, 0.5, 60_000);
    }
}

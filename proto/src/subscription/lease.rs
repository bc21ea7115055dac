//! What workers do with a wake: claim, ack, callback, release (sections 7.1 to 7.3). Decisions
//! only.
//!
//! A claim needs pending work, but not a wake event in the wake stream: without one it begins the
//! wake itself. With nothing pending it is refused as `NO_PENDING_WORK`, because a lease on
//! nothing would only hold up the next wake.

use std::sync::Arc;

use super::config::Delivery;
use super::event::Change;
use super::refusal::Refusal;
use super::request::WakeReport;
use super::set::Subscriptions;
use super::state::{Subscription, Wake};
use super::token::{Claims, TOKEN_GRACE_MS};
use super::wire::Position;
use super::{Context, Decision, Outcome};
use crate::time::Timestamp;

const PULL_WAKE: &str = "pull-wake";
const WEBHOOK: &str = "webhook";

impl Subscriptions {
    pub(super) fn claim(
        &self,
        id: &Arc<str>,
        worker: &Arc<str>,
        context: &mut Context<'_>,
    ) -> Result<Decision, Refusal> {
        let one = self.existing_of(id, PULL_WAKE)?;
        if let Some(holder) = one.holder() {
            let generation = one.generation;
            return Err(Refusal::AlreadyClaimed { holder: holder.clone(), generation });
        }
        let mut events = Vec::new();
        let (generation, wake_id) = match &one.wake {
            _ if !one.has_pending() => return Err(Refusal::NoPendingWork),
            Some(wake) => (one.generation, wake.id.clone()),
            None => {
                let issued = one
                    .next_wake(&[], context.now, context.entropy)
                    .ok_or(Refusal::NoPendingWork)?;
                let names = (issued.generation, issued.wake_id.clone());
                events.push(one.event(Change::WakeIssued(issued)));
                names
            }
        };
        let lease_until = one.lease_from(context.now);
        let claims = one.claims(generation, &wake_id, lease_until);
        events.push(one.event(Change::Claimed { worker: worker.clone(), lease_until }));
        let token = claims.encode(context.signer).into();
        Ok(Decision { events, outcome: Outcome::Claimed { token } })
    }

    pub(super) fn ack(
        &self,
        id: &Arc<str>,
        report: &WakeReport,
        context: &mut Context<'_>,
    ) -> Result<Decision, Refusal> {
        let one = self.existing_of(id, PULL_WAKE)?;
        one.progress(report, context)
    }

    pub(super) fn callback(
        &self,
        id: &Arc<str>,
        report: &WakeReport,
        context: &mut Context<'_>,
    ) -> Result<Decision, Refusal> {
        let one = self.existing_of(id, WEBHOOK)?;
        one.progress(report, context)
    }

    pub(super) fn release(
        &self,
        id: &Arc<str>,
        report: &WakeReport,
        context: &mut Context<'_>,
    ) -> Result<Decision, Refusal> {
        let one = self.existing_of(id, PULL_WAKE)?;
        one.check_current(report, context)?;
        let next = one.next_wake(&[], context.now, context.entropy);
        let changes = [Some(Change::WakeEnded), next.map(Change::WakeIssued)];
        let events = changes.into_iter().flatten().map(|change| one.event(change)).collect();
        Ok(Decision { events, outcome: Outcome::NoContent })
    }

    fn existing_of(&self, id: &str, want: &'static str) -> Result<&Subscription, Refusal> {
        let one = self.existing(id)?;
        let is = match one.config.delivery() {
            Delivery::Webhook { .. } => WEBHOOK,
            Delivery::PullWake { .. } => PULL_WAKE,
        };
        if is == want { Ok(one) } else { Err(Refusal::WrongType { want }) }
    }
}

impl Subscription {
    /// An ack or a callback: cursors move, and the lease goes on or ends.
    fn progress(
        &self,
        report: &WakeReport,
        context: &mut Context<'_>,
    ) -> Result<Decision, Refusal> {
        self.check_current(report, context)?;
        let acks = self.check_acks(&report.acks)?;
        let mut changes = Vec::new();
        let mut next_wake = false;
        if report.done {
            let next = self.next_wake(&acks, context.now, context.entropy);
            next_wake = next.is_some();
            changes.push(Change::WakeEnded);
            changes.extend(next.map(Change::WakeIssued));
        } else {
            changes.push(Change::LeaseExtended { lease_until: self.lease_from(context.now) });
        }
        if !acks.is_empty() {
            changes.insert(0, Change::Acked { acks });
        }
        let events = changes.into_iter().map(|change| self.event(change)).collect();
        Ok(Decision { events, outcome: Outcome::Acked { next_wake } })
    }

    /// The four conditions of section 7.3, and a lease that has not run out.
    fn check_current(&self, report: &WakeReport, context: &Context<'_>) -> Result<(), Refusal> {
        let claims = Claims::verify(&report.token, &self.id, context.now, context.signer)?;
        let is_current = |wake: &Wake| {
            claims.generation == self.generation
                && report.generation == self.generation
                && *claims.wake_id == *wake.id
                && *report.wake_id == *wake.id
                && wake.lease_until.is_none_or(|until| context.now < until)
        };
        match &self.wake {
            Some(wake) if is_current(wake) => Ok(()),
            _ => Err(Refusal::Fenced),
        }
    }

    /// The acks that move a cursor. One that lies behind its cursor is old news, not an error.
    fn check_acks(&self, acks: &[Position]) -> Result<Vec<Position>, Refusal> {
        let mut moving = Vec::new();
        for ack in acks {
            let link =
                self.links.get(&ack.path).ok_or_else(|| Refusal::NotLinked(ack.path.clone()))?;
            if ack.offset > link.tail {
                return Err(Refusal::BeyondTail(ack.path.clone()));
            }
            if ack.offset > link.acked {
                moving.push(ack.clone());
            }
        }
        Ok(moving)
    }

    pub(super) fn lease_from(&self, now: Timestamp) -> Timestamp {
        now.plus_ms(self.config.lease_ttl_ms())
    }

    pub(super) fn claims(&self, generation: u64, wake_id: &str, lease_until: Timestamp) -> Claims {
        Claims {
            sub: self.id.to_string(),
            generation,
            wake_id: wake_id.to_owned(),
            exp: lease_until.plus_ms(TOKEN_GRACE_MS).seconds(),
        }
    }
}

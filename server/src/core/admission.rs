//! Whether a request may be made: the core's side of [`crate::auth`].
//!
//! Refusals are logged here, a few a second, with what is known about who asked and never with
//! what they showed.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use thalweg_proto::http1::{BodyLength, RequestHead};
use thalweg_proto::problem::Problem;
use thalweg_proto::request::{Resource, resource};
use thalweg_proto::time::Timestamp;

use super::Core;
use crate::auth::{Authority, Cache, Grant, Identity, Pass, Shown, Standing};
use crate::config::limits::{RATE_EARLY_BYTES, REFUSALS_LOGGED_PER_SECOND};
use crate::rt;

/// Who decides, and what was decided a moment ago.
pub(super) struct Admission {
    /// `None`: there is no access control.
    authority: RefCell<Option<Arc<Authority>>>,
    cache: Cache,
    /// Which rules are in force: a number that grows.
    rules: Cell<u64>,
    /// A second, and how many refusals were logged in it.
    logged: Cell<(u64, u32)>,
}

impl Admission {
    pub(super) fn new(authority: Option<Arc<Authority>>) -> Admission {
        Admission {
            authority: RefCell::new(authority),
            cache: Cache::default(),
            rules: Cell::new(0),
            logged: Cell::default(),
        }
    }
}

impl Core {
    /// A time, cut off where a permission ends.
    #[must_use]
    pub fn at_most_until(&self, time: Duration, until: Option<Timestamp>) -> Duration {
        let left = until.map(|until| until.0.saturating_sub(self.clock.now().0));
        left.map_or(time, |left| time.min(Duration::from_millis(left)))
    }

    /// Whether a body is worth taking in, as far as its head says: also when it has come already,
    /// because what a refusal looks like must not depend on how bytes arrive. Rates are looked at
    /// only if it says that much comes: after this refusal an HTTP/1.1 connection has to close.
    pub fn admit_body(
        &self,
        head: &RequestHead,
        client: Option<SocketAddr>,
        certificate: Option<&Arc<Identity>>,
    ) -> Result<(), Problem> {
        let grant = self.admit(head, certificate)?;
        if !matches!(head.body, BodyLength::Length(RATE_EARLY_BYTES..)) {
            return Ok(());
        }
        let stream = || match resource(head, &self.parse) {
            Resource::Stream(path) => Some(path),
            _ => None,
        };
        self.gate.looks(client, grant.as_ref(), stream, || self.clock.instant())
    }

    /// Whether something is counted against a client, or written down, for each request: then each
    /// takes the whole way, and the crowd takes no long-polls.
    #[must_use]
    pub fn looks_at_each_request(&self) -> bool {
        self.limits.observes() || self.gate.is_on()
    }

    /// Which access rules are in force. While the number is the same, so is the decision on the same
    /// head, until the permission ends.
    #[must_use]
    pub fn access_rules(&self) -> u64 {
        self.admission.rules.get()
    }

    /// Whether a request may be made, as far as its head and the certificate of the connection's
    /// client say. `Ok(None)`: everybody may.
    pub fn admit(
        &self,
        head: &RequestHead,
        certificate: Option<&Arc<Identity>>,
    ) -> Result<Option<Grant>, Problem> {
        let admission = &self.admission;
        let authority = admission.authority.borrow();
        let Some(authority) = &*authority else { return Ok(None) };
        let resource = resource(head, &self.parse);
        let now = self.clock.now();
        let shown = Shown::of(head, certificate);
        authority.admit(&shown, &resource, &admission.cache, now).map_err(|refusal| {
            let (second, count) = admission.logged.get();
            let count = if second == now.seconds() { count + 1 } else { 1 };
            admission.logged.set((now.seconds(), count));
            if count <= REFUSALS_LOGGED_PER_SECOND {
                let (method, path, code) = (&head.method, head.path(), refusal.code());
                tracing::warn!(core = self.id, %method, path, code, "access refused");
            }
            Problem::from(refusal)
        })
    }

    /// From now on this one decides, about live readers that have begun too.
    pub(super) fn judge_by(self: &Rc<Core>, authority: Option<Arc<Authority>>) {
        *self.admission.authority.borrow_mut() = authority;
        self.admission.cache.clear();
        self.admission.rules.set(self.admission.rules.get() + 1);
        rt::spawn(Rc::clone(self).judge_readers());
    }

    /// Ends the live readers that may not read any more; some at a time, because a signature costs
    /// as much as an append.
    async fn judge_readers(self: Rc<Core>) {
        for stream in self.fanout.streams() {
            let mut from = 0;
            loop {
                let Some(authority) = self.admission.authority.borrow().clone() else { return };
                let now = self.clock.now();
                let judge = |pass: Option<&Pass>| {
                    let path = stream.path();
                    match authority.judge(path, pass, &self.admission.cache, now) {
                        Standing::Until(until) => Some(until.map(|until| {
                            let left = Duration::from_millis(until.0.saturating_sub(now.0));
                            self.clock.instant() + left
                        })),
                        Standing::Ended => {
                            self.metrics.access_withdrawn.increment();
                            None
                        }
                    }
                };
                let to = from + READERS_JUDGED_AT_ONCE;
                if !stream.judge(from..to, &self.fanout.ready, judge) {
                    break;
                }
                from = to;
                rt::sleep(JUDGE_PAUSE).await;
            }
        }
    }
}

/// How many live readers are looked at before other work gets its turn.
const READERS_JUDGED_AT_ONCE: usize = 64;
/// How long other work gets.
const JUDGE_PAUSE: Duration = Duration::from_millis(1);

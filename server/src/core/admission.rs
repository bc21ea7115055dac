//! Whether a request may be made: the core's side of [`crate::auth`].
//!
//! Refusals are logged here, a few a second, with what is known about who asked and never with
//! what they showed.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Duration;

use thalweg_proto::http1::RequestHead;
use thalweg_proto::problem::Problem;
use thalweg_proto::request::resource;
use thalweg_proto::time::Timestamp;

use super::Core;
use crate::auth::{Authority, Cache, Grant};
use crate::config::limits::REFUSALS_LOGGED_PER_SECOND;

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

    /// From now on this one decides.
    pub(super) fn replace(&self, authority: Arc<Authority>) {
        *self.authority.borrow_mut() = Some(authority);
        self.cache.clear();
        self.rules.set(self.rules.get() + 1);
    }
}

impl Core {
    /// A time, cut off where a permission ends.
    #[must_use]
    pub fn at_most_until(&self, time: Duration, until: Option<Timestamp>) -> Duration {
        let left = until.map(|until| until.0.saturating_sub(self.clock.now().0));
        left.map_or(time, |left| time.min(Duration::from_millis(left)))
    }

    /// Which access rules are in force. While the number is the same, so is the decision on the same
    /// head, until the permission ends.
    #[must_use]
    pub fn access_rules(&self) -> u64 {
        self.admission.rules.get()
    }

    /// Whether a request may be made, as far as its head says. `Ok(None)`: everybody may.
    pub fn admit(&self, head: &RequestHead) -> Result<Option<Grant>, Problem> {
        let admission = &self.admission;
        let authority = admission.authority.borrow();
        let Some(authority) = &*authority else { return Ok(None) };
        let resource = resource(head, &self.parse);
        let now = self.clock.now();
        authority.admit(head, &resource, &admission.cache, now).map_err(|refusal| {
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
}

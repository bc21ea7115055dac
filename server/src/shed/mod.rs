//! Load shedding: a core that starts too late on what is ready refuses a part of the new work, so
//! that the rest is answered fast.
//!
//! What is measured is how late the core is, because that is where requests wait when it has more
//! to do than it can: in the socket's buffer, in the ring, in the queue of tasks. A timer's
//! descriptor is read through the same ring and its task stands in the same queue as those of the
//! sockets ([`probe`]): as late as the core is for it, it is for a request that came at the same
//! moment. To that come appends that wait while whole groups pass before theirs ([`backlog`]). A
//! write that takes long is no queue, and nothing is refused because of one: the next group takes
//! all that came meanwhile. Neither is a single long stall; most of the last samples must be late
//! ([`window`]). Then [`gate`] says which part of the new work is let in.
//!
//! Refused are creates, appends and new live readers first, other reads when that does not help.
//! Never: answers under way, closes and deletes, metadata, health, the control API.

pub mod backlog;
pub mod gate;
pub mod probe;
pub mod window;

use std::cell::RefCell;
use std::time::Duration;

use http::{Method, StatusCode};
use thalweg_proto::headers;
use thalweg_proto::http1::{BodyLength, RequestHead};
use thalweg_proto::problem::Problem;
use thalweg_proto::request::names_a_stream;

use crate::config::limits::{SHED_BODY_BYTES, SHED_RETRY_SECONDS};
use crate::core::Core;
use crate::metrics::Counter;
use crate::metrics::histogram::Times;
use gate::Gate;
use window::Window;

/// New work that may be refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// PUT.
    Create,
    /// POST that closes nothing.
    Append,
    /// GET with `live`.
    Live,
    /// Another GET.
    Read,
}

/// See the module; of one core.
#[derive(Default)]
pub struct Shed {
    judge: RefCell<Judge>,
    /// How late the core was, sample by sample.
    pub delay: Times,
    refused: [Counter; Kind::ALL.len()],
}

#[derive(Default)]
struct Judge {
    window: Window,
    gate: Gate,
}

impl Kind {
    /// All of them, in order.
    pub const ALL: [Kind; 4] = [Kind::Create, Kind::Append, Kind::Live, Kind::Read];

    /// As metrics name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Create => "create",
            Kind::Append => "append",
            Kind::Live => "live",
            Kind::Read => "read",
        }
    }

    /// What a request is; `None`: it is never refused.
    fn of(head: &RequestHead, core: &Core) -> Option<Kind> {
        if !names_a_stream(head, &core.parse) {
            return None;
        }
        match head.method {
            Method::PUT => Some(Kind::Create),
            Method::POST => {
                let closes = head.fields.get(headers::STREAM_CLOSED);
                (!closes.is_some_and(|value| value.eq_ignore_ascii_case("true")))
                    .then_some(Kind::Append)
            }
            Method::GET => {
                let is_live = head.query().is_some_and(|query| query.contains("live="));
                Some(if is_live { Kind::Live } else { Kind::Read })
            }
            _ => None,
        }
    }
}

impl Shed {
    /// The core was so late. Returns whether it is late at the moment.
    fn sample(&self, delay: Duration, limit: Duration, target: Duration) -> bool {
        self.delay.record_time(delay);
        let Judge { window, gate } = &mut *self.judge.borrow_mut();
        if let Some(median) = window.push(delay) {
            gate.judge(median, limit, target);
        }
        !gate.is_open_to_all() || delay > target
    }

    /// The share of new work that is let in, in thousandths.
    #[must_use]
    pub fn admitted(&self, kind: Kind) -> u32 {
        self.judge.borrow().gate.admitted(kind)
    }

    /// How much was refused.
    #[must_use]
    pub fn refused(&self, kind: Kind) -> u64 {
        self.refused[kind as usize].get()
    }
}

impl Core {
    /// Whether a request is let in, as far as its head says.
    pub(crate) fn check_load(&self, head: &RequestHead) -> Result<(), Problem> {
        if self.shed.judge.borrow().gate.is_open_to_all() || is_long(head) {
            return Ok(());
        }
        Kind::of(head, self).map_or(Ok(()), |kind| self.shed_kind(kind))
    }

    /// The same before a long body is taken in.
    pub(crate) fn check_load_before_body(&self, head: &RequestHead) -> Result<(), Problem> {
        if self.shed.judge.borrow().gate.is_open_to_all() || !is_long(head) {
            return Ok(());
        }
        Kind::of(head, self).map_or(Ok(()), |kind| self.shed_kind(kind))
    }

    /// Whether new work of a kind is let in now.
    pub(crate) fn shed_kind(&self, kind: Kind) -> Result<(), Problem> {
        let admitted = self.shed.admitted(kind);
        if admitted >= gate::ALL || self.random() % u64::from(gate::ALL) < u64::from(admitted) {
            return Ok(());
        }
        self.shed.refused[kind as usize].increment();
        let detail = "the server has more to do than it can do in time; try again";
        let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail);
        let seconds = 1 + self.random() % SHED_RETRY_SECONDS;
        Err(problem.with(headers::RETRY_AFTER, seconds))
    }
}

/// Whether a body is not to be taken in before it is decided.
fn is_long(head: &RequestHead) -> bool {
    matches!(head.body, BodyLength::Length(length) if length > SHED_BODY_BYTES)
}

//! Subscriptions on a running server (sections 6 and 7): one actor on core 0 that owns
//! [`thalweg_proto::subscription::Subscriptions`], stores its events in core 0's log, and hands
//! its effects to the control plane and to wake streams.
//!
//! Invariants: an event is applied when it is decided and acted on only once it is durable; the
//! owners of streams report every durable append that a subscription may want to hear of, and
//! after a change of what is wanted they are asked once more for what they have.

mod actor;
mod requests;
mod scan;

use std::rc::Rc;
use std::sync::Arc;

use http::StatusCode;
use thalweg_proto::request::ControlRequest;
use thalweg_proto::response::Response;
use thalweg_proto::time::Timestamp;

pub use actor::Subscriptions;
pub use scan::Wanted;

use crate::clock::Clock;
use crate::config::{Config, Durability};
use crate::control::keys::Keys;
use crate::control::{ControlPlane, Handle};
use crate::core::Core;
use crate::mailbox::Post;
use crate::mailbox::message::{Answer, Message, Note, Op};
use crate::serve::StartError;
use crate::shard::ReplyTo;

/// The core that owns the subscriptions.
const HOME: usize = 0;

/// The keys and the control plane, as the actor reaches them. Cheap to clone.
#[derive(Clone)]
pub struct Control {
    keys: Arc<Keys>,
    handle: Handle,
    /// Kept alive as long as any core is.
    _plane: Option<Arc<ControlPlane>>,
}

impl Control {
    /// Opens the keys and starts the control plane.
    pub fn start(config: &Config, post: &Post) -> Result<Control, StartError> {
        let failed = |error: &dyn std::fmt::Display| StartError::Control(error.to_string());
        let keys = match config.durability {
            Durability::Memory => Keys::ephemeral(),
            _ => Keys::open(&config.data_dir),
        };
        let keys = Arc::new(keys.map_err(|error| failed(&error))?);
        let post = post.clone();
        let report = move |event| {
            post.send_from_outside(HOME, Message::Tell(Note::Control(Box::new(event))));
        };
        let now: fn() -> Timestamp = || Clock::new().now();
        let (plane, handle) = ControlPlane::start(Arc::clone(&keys), now, Box::new(report))
            .map_err(|error| failed(&error))?;
        Ok(Control { keys, handle, _plane: Some(Arc::new(plane)) })
    }

    /// Keys of its own and no control plane, for a simulation: what is handed over goes nowhere.
    pub fn detached() -> Result<Control, StartError> {
        let keys = Keys::ephemeral().map_err(|error| StartError::Control(error.to_string()))?;
        Ok(Control { keys: Arc::new(keys), handle: Handle::detached(), _plane: None })
    }
}

/// Answers a request under `__ds/`, from any core. `None` only while the server stops.
pub(crate) async fn answer(core: &Rc<Core>, request: ControlRequest) -> Option<Response> {
    match core.ask(HOME, Op::Control(request)).await {
        Some(Answer::Response(response)) => Some(*response),
        _ => None,
    }
}

/// Handles a request on the home core.
pub(crate) async fn handle(core: Rc<Core>, request: ControlRequest, to: ReplyTo) {
    requests::handle(&core, request, to).await;
}

/// On the home core, once it runs: asks all owners for what happened while nobody listened.
pub(crate) fn start(core: &Rc<Core>) {
    if core.with_subscriptions(|_| ()).is_some() {
        crate::rt::spawn(scan::announce(Rc::clone(core)));
    }
}

/// Several times a second.
pub(crate) fn tick(core: &Rc<Core>) {
    actor::tick(core);
}

/// News for the actor.
pub(crate) fn take_note(core: &Rc<Core>, note: Note) {
    actor::take_note(core, note);
}

/// A JSON answer of this module.
fn json_response(status: u16, body: bytes::Bytes) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let response = Response::new(status).with("cache-control", "no-store");
    if body.is_empty() { response } else { response.with_body("application/json", body) }
}

//! What the owners of streams are told to report, and what they are asked for.

use std::rc::Rc;
use std::sync::Arc;

use thalweg_proto::glob::Glob;
use thalweg_proto::offset::Offset;
use thalweg_proto::path::StreamPath;
use thalweg_proto::subscription::Interest;

use super::actor::input;
use crate::core::Core;
use crate::mailbox::message::{Answer, Note, Op};
use crate::rt;

/// The streams that a scan wants to know of.
pub enum Wanted {
    /// Those that a request names: by pattern, and one by one.
    Request(Option<Glob>, Vec<StreamPath>),
    /// Those that any subscription wants.
    Interest(Arc<Interest>),
}

impl Wanted {
    /// Whether a stream is among them.
    #[must_use]
    pub fn matches(&self, path: &StreamPath) -> bool {
        match self {
            Wanted::Request(glob, paths) => {
                paths.contains(path)
                    || glob.as_ref().is_some_and(|glob| glob.matches(path.as_str()))
            }
            Wanted::Interest(interest) => interest.matches(path),
        }
    }
}

/// Asks every core for streams and their durable tails.
pub(super) async fn scan(core: &Rc<Core>, wanted: Wanted) -> Vec<(StreamPath, Offset)> {
    let wanted = Arc::new(wanted);
    let answers = core.ask_all(|| Op::Scan(Arc::clone(&wanted))).await;
    let found = answers.into_iter().filter_map(|answer| match answer {
        Answer::Scan(found) => Some(found),
        _ => None,
    });
    found.flatten().collect()
}

/// Announces the interest if it is not what the owners know.
pub(super) fn announce_if_changed(core: &Rc<Core>) {
    let changed =
        core.with_subscriptions(|actor| actor.announced != actor.state.interest_revision());
    if changed == Some(true) {
        rt::spawn(announce(Rc::clone(core)));
    }
}

/// Tells the owners what to report from now on, then asks for what they have: an append between
/// a subscription's first look and this one is not missed. Hearing of it twice does no harm.
pub(super) async fn announce(core: Rc<Core>) {
    let interest = core.with_subscriptions(|actor| {
        actor.announced = actor.state.interest_revision();
        Arc::new(actor.state.interest())
    });
    let Some(interest) = interest else { return };
    core.tell_all(|| Note::Watch(Arc::clone(&interest)));
    for (path, tail) in scan(&core, Wanted::Interest(interest)).await {
        input(&core, |state, now, entropy| state.stream_advanced(&path, tail, now, entropy));
    }
    core.with_subscriptions(|actor| actor.ready = true);
}

//! What a reader makes of the messages that it gets.
//!
//! Invariant: a message that came twice because the connection ended between it and the server's
//! word on the offset is not the server's fault, and counts once.

use super::core::Core;
use super::seen::{Arrival, Seen};
use crate::message::{Stamp, stamps};

/// Whose deliveries they are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Who {
    pub(crate) label: usize,
    pub(crate) stream: u32,
    pub(crate) number: u32,
    pub(crate) from_begin: bool,
}

/// Counts the messages in `data`, which was there at `now_ns`. Those in `again` are to come twice.
pub(crate) fn judge(
    core: &Core,
    who: Who,
    seen: &mut Seen,
    again: &mut Vec<Stamp>,
    data: &[u8],
    now_ns: u64,
) {
    let mut recorder = core.recorder.borrow_mut();
    let (label, stream) = (who.label, who.stream);
    let mut delivered = 0;
    for stamp in stamps(data) {
        let Some(stamp) = stamp else {
            recorder.labels[label].damaged += 1;
            recorder.fault(label, || fault(who, "got a damaged message"));
            continue;
        };
        if stamp.run != core.shared.run {
            continue;
        }
        let named = |what: &str| {
            let Stamp { sequence, source, .. } = stamp;
            fault(who, &format!("got message {sequence} of source {source} {what}"))
        };
        match seen.arrive(stamp.source, stamp.sequence, who.from_begin) {
            Arrival::Repeated => {
                if let Some(at) = again.iter().position(|wanted| *wanted == stamp) {
                    again.swap_remove(at);
                    continue;
                }
                recorder.labels[label].duplicated += 1;
                recorder.fault(label, || named("again"));
                continue;
            }
            Arrival::Late => {
                recorder.labels[label].reordered += 1;
                recorder.fault(label, || named("out of order"));
            }
            Arrival::Next => {}
        }
        delivered += 1;
        if recorder.is_measured(stamp.intended_ns) {
            let latency = now_ns.saturating_sub(stamp.intended_ns);
            seen.count += 1;
            seen.sum_ns += latency;
            seen.max_ns = seen.max_ns.max(latency);
        }
        recorder.delivered(label, stream, &stamp, now_ns);
    }
    core.shared.delivered.fetch_add(delivered, std::sync::atomic::Ordering::Relaxed);
}

fn fault(who: Who, what: &str) -> String {
    format!("reader {} of stream {} {what}", who.number + 1, who.stream)
}

//! What has come to a live reader, message by message: counted, timed, and named if it is wrong.
//!
//! Invariants: a message that comes twice because the connection ended between it and the server's
//! word on the offset is not the server's fault, and counts once; what was due during the warm-up
//! counts as nothing.
//!
//! Deliberately absent: what has not come; that is decided at the end (`assemble`).

use std::sync::atomic::Ordering::Relaxed;

use super::core::Core;
use super::recorder::LabelId;
use super::sample_log::{Delivery, Who};
use super::seen::{Again, Arrival, Seen};
use crate::message::{Stamp, stamps};

/// Whose messages are counted, and where.
#[derive(Clone, Copy)]
pub(super) struct Identity {
    pub(super) who: Who,
    pub(super) label: LabelId,
    pub(super) stream: u32,
    /// It followed the stream before the first message.
    pub(super) from_begin: bool,
}

impl Identity {
    fn fault(self, what: &str) -> String {
        format!("reader {} of stream {} {what}", self.who.user, self.stream)
    }
}

/// Counts the messages in `data`, which was received at `now_ns`. Those in `again` may come
/// once more.
pub(super) fn judge(
    core: &Core,
    of: Identity,
    seen: &mut Seen,
    again: &mut Again,
    data: &[u8],
    now_ns: u64,
) {
    let Identity { who, label, stream, from_begin } = of;
    let logs = core.logs_deliveries_of(who.user - 1);
    let mut bytes = data.len() as u64;
    let mut recorder = core.recorder.borrow_mut();
    let mut delivered = 0;
    for stamp in stamps(data) {
        let Some(stamp) = stamp else {
            recorder.damaged(label, now_ns, || of.fault("got a damaged message"));
            continue;
        };
        if stamp.run != core.shared.run {
            continue;
        }
        if !core.shared.is_possible(stamp.source, stamp.sequence) {
            let Stamp { sequence, source, .. } = stamp;
            let what =
                format!("got a damaged message: nobody sent message {sequence} of source {source}");
            recorder.damaged(label, now_ns, || of.fault(&what));
            continue;
        }
        let measured = recorder.is_measured(stamp.intended_ns);
        let named = |what: &str| {
            let Stamp { sequence, source, .. } = stamp;
            of.fault(&format!("got message {sequence} of source {source} {what}"))
        };
        let arrival = seen.arrive(stamp.source, stamp.sequence, from_begin);
        let excused = again.excuses(arrival, &stamp);
        match arrival {
            Arrival::Repeated => {
                if measured && !excused {
                    recorder.labels[label].duplicated += 1;
                    recorder.fault(label, || named("again"));
                }
                continue;
            }
            Arrival::Late if measured => {
                recorder.labels[label].reordered += 1;
                recorder.fault(label, || named("out of order"));
            }
            Arrival::Late | Arrival::Next => {}
        }
        delivered += 1;
        if measured {
            let latency = now_ns.saturating_sub(stamp.intended_ns);
            seen.count += 1;
            seen.sum_ns += latency;
            seen.max_ns = seen.max_ns.max(latency);
        }
        recorder.delivered(label, stream, &stamp, now_ns);
        if logs {
            drop(recorder);
            let intended_ns = stamp.intended_ns;
            let bytes = std::mem::take(&mut bytes);
            let delivery = Delivery { label, stream, intended_ns, received_ns: now_ns, bytes };
            core.log_delivery(who, &delivery);
            recorder = core.recorder.borrow_mut();
        }
    }
    core.shared.delivered.fetch_add(delivered, Relaxed);
}

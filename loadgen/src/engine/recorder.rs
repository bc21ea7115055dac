//! What one thread of the generator counts.
//!
//! Invariants: what was intended during the warm-up is not counted; each operation is counted in
//! the second in which it ended, once; nothing is averaged.

use std::collections::HashMap;

use crate::message::Stamp;
use crate::result::{ErrorCount, Interval, Times};

/// Index into [`super::program::Program::labels`].
pub(crate) type LabelId = usize;

/// Distinct kinds of failure that are kept by label; further ones count as `other`.
const MAX_ERROR_KINDS: usize = 64;
/// Faults of a label that are named one by one.
pub(crate) const MAX_NAMED_FAULTS: usize = 100;
/// Messages whose last reader is found out, by thread.
const MAX_TRACKED_MESSAGES: usize = 1 << 20;

/// An operation that has ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    pub(crate) label: LabelId,
    pub(crate) intended_ns: u64,
    pub(crate) sent_ns: u64,
    /// Of the answer; as `ended_ns` if there was none.
    pub(crate) first_byte_ns: u64,
    pub(crate) ended_ns: u64,
    /// If a connection had to be made for it.
    pub(crate) connect_ns: Option<u64>,
    pub(crate) bytes_sent: u64,
    pub(crate) bytes_received: u64,
}

#[derive(Debug)]
pub(crate) struct Recorder {
    /// Begin of the measured part.
    from_ns: u64,
    second: u64,
    pub(crate) labels: Vec<LabelRecord>,
    pub(crate) lateness: Times,
    pub(crate) recent_lateness: Times,
    pub(crate) intervals: Vec<Interval>,
    pub(crate) errors: HashMap<(LabelId, String), ErrorCount>,
    /// By label, stream and source: deliveries and the slowest one, of measured messages.
    pub(crate) messages: foldhash::HashMap<(LabelId, u32, u32), Vec<MessageRecord>>,
    tracked: usize,
    names: Vec<(String, bool)>,
}

#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct MessageRecord {
    pub(crate) deliveries: u32,
    pub(crate) slowest_ns: u64,
}

#[derive(Clone, Default, Debug)]
pub(crate) struct LabelRecord {
    pub(crate) succeeded: u64,
    pub(crate) failed: u64,
    pub(crate) bytes_sent: u64,
    pub(crate) bytes_received: u64,
    pub(crate) times: Times,
    pub(crate) service: Times,
    pub(crate) first_byte: Times,
    pub(crate) connect: Times,
    /// Of deliveries.
    pub(crate) duplicated: u64,
    pub(crate) reordered: u64,
    pub(crate) damaged: u64,
    pub(crate) reconnects: u64,
    pub(crate) failed_readers: u64,
    /// Repeated, reordered and damaged ones by name, as far as there is room.
    pub(crate) faults: Vec<String>,
    /// The second under way.
    pub(crate) now: Second,
    /// The last whole one.
    pub(crate) last: Second,
}

#[derive(Clone, Default, Debug)]
pub(crate) struct Second {
    pub(crate) succeeded: u64,
    pub(crate) failed: u64,
    pub(crate) bytes: u64,
    pub(crate) times: Times,
}

impl Recorder {
    /// For labels, each with whether it is one of deliveries. Counts nothing until it is told
    /// when to begin.
    pub(crate) fn new(names: Vec<(String, bool)>) -> Recorder {
        Recorder {
            from_ns: u64::MAX,
            second: 0,
            labels: vec![LabelRecord::default(); names.len()],
            lateness: Times::new(),
            recent_lateness: Times::new(),
            intervals: Vec::new(),
            errors: HashMap::new(),
            messages: foldhash::HashMap::default(),
            tracked: 0,
            names,
        }
    }

    /// Counts what is intended from `from_ns` on.
    pub(crate) fn begin(&mut self, from_ns: u64) {
        self.from_ns = from_ns;
    }

    pub(crate) fn is_measured(&self, intended_ns: u64) -> bool {
        intended_ns >= self.from_ns
    }

    /// Whether the measured part has begun: for what has no intended time.
    pub(crate) fn has_begun(&self, now_ns: u64) -> bool {
        now_ns >= self.from_ns
    }

    /// How late an operation was started.
    pub(crate) fn late(&mut self, intended_ns: u64, now_ns: u64) {
        if self.is_measured(intended_ns) {
            let late = now_ns.saturating_sub(intended_ns);
            self.lateness.record(late);
            self.recent_lateness.record(late);
        }
    }

    /// An operation that was as it should be, or not: then with the kind and a message.
    pub(crate) fn ended(&mut self, ended: &Ended, failure: Option<(&str, &str)>) {
        self.roll(ended.ended_ns);
        if !self.is_measured(ended.intended_ns) {
            return;
        }
        let total = ended.ended_ns.saturating_sub(ended.intended_ns);
        let record = &mut self.labels[ended.label];
        record.times.record(total);
        record.service.record(ended.ended_ns.saturating_sub(ended.sent_ns));
        record.first_byte.record(ended.first_byte_ns.saturating_sub(ended.intended_ns));
        if let Some(connect) = ended.connect_ns {
            record.connect.record(connect);
        }
        record.bytes_sent += ended.bytes_sent;
        record.bytes_received += ended.bytes_received;
        record.now.bytes += ended.bytes_received;
        record.now.times.record(total);
        match failure {
            None => {
                record.succeeded += 1;
                record.now.succeeded += 1;
            }
            Some((kind, message)) => {
                record.failed += 1;
                record.now.failed += 1;
                self.error(ended.label, kind, message);
            }
        }
    }

    /// A message that a reader did not have.
    pub(crate) fn delivered(&mut self, label: LabelId, stream: u32, stamp: &Stamp, now_ns: u64) {
        self.roll(now_ns);
        if !self.is_measured(stamp.intended_ns) {
            return;
        }
        let latency = now_ns.saturating_sub(stamp.intended_ns);
        let record = &mut self.labels[label];
        record.succeeded += 1;
        record.times.record(latency);
        record.now.succeeded += 1;
        record.now.times.record(latency);
        let messages = self.messages.entry((label, stream, stamp.source)).or_default();
        let at = stamp.sequence as usize;
        if at >= messages.len() && self.tracked < MAX_TRACKED_MESSAGES {
            let more = (at + 1 - messages.len()).min(MAX_TRACKED_MESSAGES - self.tracked);
            self.tracked += more;
            messages.resize(messages.len() + more, MessageRecord::default());
        }
        if let Some(message) = messages.get_mut(at) {
            message.deliveries += 1;
            message.slowest_ns = message.slowest_ns.max(latency);
        }
    }

    /// A message that nobody can read, or that nobody sent.
    pub(crate) fn damaged(&mut self, label: LabelId, now_ns: u64, name: impl FnOnce() -> String) {
        if self.has_begun(now_ns) {
            self.labels[label].damaged += 1;
            self.fault(label, name);
        }
    }

    /// A live reader's connection after its first.
    pub(crate) fn reconnected(&mut self, label: LabelId, now_ns: u64) {
        self.labels[label].reconnects += u64::from(self.has_begun(now_ns));
    }

    /// What came to a live reader, all of it.
    pub(crate) fn received(&mut self, label: LabelId, now_ns: u64, bytes: u64) {
        if self.has_begun(now_ns) {
            self.labels[label].bytes_received += bytes;
        }
    }

    /// Names a delivery that was not as it should be.
    pub(crate) fn fault(&mut self, label: LabelId, name: impl FnOnce() -> String) {
        let faults = &mut self.labels[label].faults;
        if faults.len() < MAX_NAMED_FAULTS {
            faults.push(name());
        }
    }

    /// Counts a failure that is not the end of an operation.
    pub(crate) fn error(&mut self, label: LabelId, kind: &str, message: &str) {
        let kinds = self.errors.keys().filter(|(of, _)| *of == label).count();
        let known = self.errors.contains_key(&(label, kind.to_owned()));
        let kind = if known || kinds < MAX_ERROR_KINDS { kind } else { "other" };
        let name = &self.names[label].0;
        let entry = self.errors.entry((label, kind.to_owned())).or_insert_with(|| ErrorCount {
            label: name.clone(),
            kind: kind.to_owned(),
            count: 0,
            example: message.to_owned(),
        });
        entry.count += 1;
    }

    /// Closes the seconds that have passed.
    pub(crate) fn roll(&mut self, now_ns: u64) {
        let second = now_ns.saturating_sub(self.from_ns) / 1_000_000_000;
        if second > self.second {
            self.close_second();
            self.second = second;
        }
    }

    /// Closes the second under way.
    pub(crate) fn close_second(&mut self) {
        self.recent_lateness.clear();
        for (record, (label, deliveries)) in self.labels.iter_mut().zip(&self.names) {
            let now = &mut record.now;
            if now.succeeded + now.failed > 0 {
                self.intervals.push(Interval {
                    at_ms: self.second * 1000,
                    length_ms: 1000,
                    label: label.clone(),
                    deliveries: *deliveries,
                    succeeded: now.succeeded,
                    failed: now.failed,
                    bytes: now.bytes,
                    times: now.times.packed(),
                });
            }
            std::mem::swap(&mut record.last, now);
            (now.succeeded, now.failed, now.bytes) = (0, 0, 0);
            now.times.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    fn ended(intended_ns: u64, ended_ns: u64) -> Ended {
        Ended {
            label: 0,
            intended_ns,
            sent_ns: intended_ns + 1,
            first_byte_ns: ended_ns,
            ended_ns,
            connect_ns: None,
            bytes_sent: 10,
            bytes_received: 20,
        }
    }

    #[test]
    fn warm_up_is_left_out_and_seconds_are_closed() {
        let mut recorder = Recorder::new(vec![("a".into(), false)]);
        recorder.ended(&ended(1, 5), None);
        recorder.begin(S);
        recorder.ended(&ended(S - 1, S + 5), None);
        recorder.ended(&ended(S, S + 100), None);
        recorder.ended(&ended(S, 3 * S + 7), Some(("timeout", "no answer")));
        recorder.close_second();
        let record = &recorder.labels[0];
        assert_eq!((record.succeeded, record.failed, record.times.count()), (1, 1, 2));
        let at: Vec<_> = recorder.intervals.iter().map(|interval| interval.at_ms).collect();
        assert_eq!(at, [0, 2000]);
        assert_eq!(recorder.intervals[1].failed, 1);
        let error = recorder.errors.values().next().unwrap();
        assert_eq!((error.kind.as_str(), error.count), ("timeout", 1));
    }

    #[test]
    fn readers_count_nothing_before_the_measured_part() {
        let mut recorder = Recorder::new(vec![("a".into(), true)]);
        let all = |recorder: &mut Recorder, now_ns| {
            recorder.damaged(0, now_ns, || "damaged".to_owned());
            recorder.reconnected(0, now_ns);
            recorder.received(0, now_ns, 10);
            let LabelRecord { damaged, reconnects, bytes_received, faults, .. } =
                &recorder.labels[0];
            (*damaged, *reconnects, *bytes_received, faults.len())
        };
        assert_eq!(all(&mut recorder, S), (0, 0, 0, 0), "during the set-up");
        recorder.begin(2 * S);
        assert_eq!(all(&mut recorder, 2 * S - 1), (0, 0, 0, 0));
        assert_eq!(all(&mut recorder, 2 * S), (1, 1, 10, 1));
    }

    #[test]
    fn kinds_of_failure_are_bounded() {
        let mut recorder = Recorder::new(vec![("a".into(), false)]);
        (0..500).for_each(|kind| recorder.error(0, &kind.to_string(), ""));
        assert_eq!(recorder.errors.len(), MAX_ERROR_KINDS + 1);
        let total: u64 = recorder.errors.values().map(|error| error.count).sum();
        assert_eq!(total, 500);
    }
}

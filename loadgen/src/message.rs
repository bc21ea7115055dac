//! The messages of a run: each says which run it belongs to, its sequence number and the time at
//! which it was meant to be sent, so that whoever receives it can judge it alone.
//!
//! One JSON string in one field, so that a server which re-writes JSON cannot reorder its parts:
//! `{"m":"<run>.<sequence>.<intended ns>.<padding>"}`, all numbers decimal.

use memchr::memmem;

/// What a message says about itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stamp {
    /// The run; messages of other runs on the same stream are not ours to judge.
    pub run: u64,
    /// From 0, without gaps.
    pub sequence: u32,
    /// When it was meant to be sent, in nanoseconds of the run's clock.
    pub intended_ns: u64,
}

impl Stamp {
    /// The message, filled up to `size` bytes. Longer if the stamp does not fit.
    #[must_use]
    pub fn message(self, size: usize) -> Vec<u8> {
        let Stamp { run, sequence, intended_ns } = self;
        let mut out = format!("{{\"m\":\"{run}.{sequence}.{intended_ns}.").into_bytes();
        out.resize(size.saturating_sub(END.len()).max(out.len()), b'x');
        out.extend_from_slice(END);
        out
    }

    fn parse(text: &str) -> Option<Stamp> {
        let mut parts = text.splitn(4, '.');
        let run = parts.next()?.parse().ok()?;
        let sequence = parts.next()?.parse().ok()?;
        let intended_ns = parts.next()?.parse().ok()?;
        parts.next()?.bytes().all(|byte| byte == b'x').then_some(Stamp {
            run,
            sequence,
            intended_ns,
        })
    }
}

/// Everything in `text` that begins like a message, in order. `None`: it is not a whole one.
pub fn stamps(text: &str) -> impl Iterator<Item = Option<Stamp>> {
    memmem::find_iter(text.as_bytes(), BEGIN).map(move |at| {
        let text = text.get(at + BEGIN.len()..)?;
        Stamp::parse(text.get(..text.find('"')?)?)
    })
}

const BEGIN: &[u8] = b"\"m\":\"";
const END: &[u8] = b"\"}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_the_size_asked_for() {
        let stamp = Stamp { run: 7, sequence: 4_294_967_295, intended_ns: u64::MAX };
        for size in [0, 10, 100, 1000] {
            let message = String::from_utf8(stamp.message(size)).unwrap();
            assert!(message.len() == size || size < 50, "{message}");
            assert_eq!(stamps(&message).collect::<Vec<_>>(), [Some(stamp)]);
        }
    }

    #[test]
    fn messages_in_a_batch() {
        let check = |text: &str, want: &[Option<(u64, u32, u64)>]| {
            let got: Vec<_> = stamps(text)
                .map(|stamp| stamp.map(|stamp| (stamp.run, stamp.sequence, stamp.intended_ns)))
                .collect();
            assert_eq!(got, want, "{text}");
        };
        check(r#"[{"m":"1.0.5.xx"},{"m":"1.1.6."}]"#, &[Some((1, 0, 5)), Some((1, 1, 6))]);
        check(r#"[{"n":"1.0.5.xx"},3]"#, &[]);
        check(r#"[{"m":"1.0.5"}]"#, &[None]);
        check(r#"[{"m":"1.0.5.xyx"}]"#, &[None]);
        check(r#"[{"m":"1.0.5.xx"#, &[None]);
        check(r#"[{"m":"1.-1.5.x"}]"#, &[None]);
    }
}

//! Streams in memory. An offset is the number of messages before it.

use std::collections::BTreeMap;
use std::time::Instant;

/// All streams by path.
#[derive(Default)]
pub(super) struct Streams(pub(super) BTreeMap<String, Stream>);

/// One stream.
#[derive(Clone, Default)]
pub(super) struct Stream {
    pub(super) content_type: String,
    /// Each with the time from which readers see it.
    pub(super) messages: Vec<(Instant, Vec<u8>)>,
    pub(super) closed: bool,
    /// Connections that wait for more.
    pub(super) followers: Vec<u64>,
}

impl Stream {
    /// Adds the messages of one body.
    pub(super) fn append(&mut self, body: &[u8], visible: Instant) {
        match body.strip_prefix(b"[").and_then(|body| body.strip_suffix(b"]")) {
            Some(array) if self.is_json() => {
                self.messages.extend(elements(array).map(|element| (visible, element.to_vec())));
            }
            _ => self.messages.push((visible, body.to_vec())),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    /// How many readers can see.
    pub(super) fn visible(&self, now: Instant) -> usize {
        self.messages.partition_point(|(visible, _)| *visible <= now)
    }

    /// Messages of a range, which has been found to be visible.
    pub(super) fn range(&self, from: usize, to: usize) -> Vec<Vec<u8>> {
        let range = self.messages.get(from..to).unwrap_or_default();
        range.iter().map(|(_, message)| message.clone()).collect()
    }

    /// Messages as a body or as the data of an event.
    pub(super) fn join(&self, messages: &[Vec<u8>]) -> Vec<u8> {
        match self.is_json() {
            true => [b"[", &*messages.join(&b','), b"]"].concat(),
            false => messages.concat(),
        }
    }

    fn is_json(&self) -> bool {
        self.content_type.starts_with("application/json")
    }
}

/// Elements of an array of flat objects.
fn elements(array: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = array;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = rest.windows(2).position(|pair| pair == b"},").map_or(rest.len(), |at| at + 1);
        let element = &rest[..end];
        rest = rest.get(end + 1..).unwrap_or_default();
        Some(element)
    })
}

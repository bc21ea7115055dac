//! Bytes that say what they are: each append carries its number, so that content read back can be
//! taken apart again.

use std::ops::Range;

/// Bytes of a stream as far as they were seen.
#[derive(Clone, Default, Debug)]
pub(crate) struct Content {
    bytes: Vec<u8>,
    seen: Vec<bool>,
}

impl Content {
    /// Adds what was seen at a position. Returns the first position at which something else was
    /// seen before.
    pub(crate) fn merge(&mut self, start: u64, new: &[u8]) -> Option<u64> {
        let start = start as usize;
        let end = start + new.len();
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
            self.seen.resize(end, false);
        }
        let mut conflict = None;
        for (at, byte) in (start..end).zip(new) {
            if self.seen[at] && self.bytes[at] != *byte {
                conflict.get_or_insert(at as u64);
            }
            self.bytes[at] = *byte;
            self.seen[at] = true;
        }
        conflict
    }

    /// What was seen before a position.
    pub(crate) fn first(&self, end: u64) -> Content {
        let end = (end as usize).min(self.bytes.len());
        Content { bytes: self.bytes[..end].to_vec(), seen: self.seen[..end].to_vec() }
    }

    /// A range, if all of it was seen.
    pub(crate) fn range(&self, range: Range<u64>) -> Option<&[u8]> {
        let range = range.start as usize..range.end as usize;
        let seen = self.seen.get(range.clone())?.iter().all(|seen| *seen);
        if seen { self.bytes.get(range) } else { None }
    }
}

/// A body that appends as number `number`, and what is stored of it.
pub(crate) fn body_of(number: usize, json: bool, messages: usize, pad: usize) -> (String, String) {
    let filler: String =
        (0..pad).map(|at| char::from(b'a' + ((number * 7 + at) % 26) as u8)).collect();
    if !json {
        let stored = format!("<{number}:{pad}:{filler}>");
        return (stored.clone(), stored);
    }
    let message =
        |index: usize| format!(r#"{{"op":{number},"i":{index},"n":{messages},"p":"{filler}"}}"#);
    let all: Vec<String> = (0..messages).map(message).collect();
    let stored = all.iter().map(|message| format!("{message},")).collect();
    let body = if messages == 1 { all.concat() } else { format!("[{}]", all.join(", ")) };
    (body, stored)
}

/// The number of the append whose stored bytes begin here.
pub(crate) fn number_at(bytes: &[u8], json: bool) -> Option<usize> {
    let rest = bytes.strip_prefix(if json { br#"{"op":"#.as_slice() } else { b"<" })?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()
}

/// The stored form of a page: a JSON answer has brackets and lacks its last comma.
pub(crate) fn stored_of(body: Vec<u8>, json: bool) -> Option<Vec<u8>> {
    if !json {
        return Some(body);
    }
    let inner = body.strip_prefix(b"[")?.strip_suffix(b"]")?;
    let mut stored = inner.to_vec();
    if !stored.is_empty() {
        stored.push(b',');
    }
    Some(stored)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_can_be_taken_apart_again() {
        for (json, messages) in [(false, 1), (true, 1), (true, 3)] {
            let (body, stored) = body_of(17, json, messages, 5);
            assert_eq!(number_at(stored.as_bytes(), json), Some(17));
            let page = if json { format!("[{}]", stored.trim_end_matches(',')) } else { body };
            assert_eq!(stored_of(page.into_bytes(), json), Some(stored.into_bytes()));
        }
        assert_eq!(number_at(b"x17", false), None);
        assert_eq!(stored_of(b"[]".to_vec(), true), Some(Vec::new()));
    }

    #[test]
    fn content_notices_what_changed() {
        let mut content = Content::default();
        assert_eq!(content.merge(3, b"def"), None);
        assert_eq!(content.merge(0, b"abcd"), None);
        assert_eq!(content.range(0..6), Some(b"abcdef".as_slice()));
        assert_eq!(content.merge(4, b"xf"), Some(4));
        assert_eq!(content.range(0..7), None);
    }
}

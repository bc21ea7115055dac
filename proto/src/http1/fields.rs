//! Header fields as ranges of one shared buffer: no allocation per field.
//!
//! Invariant: names are tokens, values are visible ASCII, spaces and tabs, trimmed; both are
//! checked when the head is parsed, so that everything behind can take them as text.

use bytes::Bytes;
use smallvec::SmallVec;

use super::error::CodecError;
use crate::limits::MAX_HEAD_BYTES;

/// The fields of one head, in the order in which they came. Names compare case-insensitively.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Fields {
    head: Bytes,
    ranges: SmallVec<[FieldRange; 16]>,
}

/// A piece of a head.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Span {
    start: u16,
    end: u16,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct FieldRange {
    name: Span,
    value: Span,
}

const _: () = assert!(MAX_HEAD_BYTES <= u16::MAX as usize, "a span must reach the end of a head");

impl Span {
    /// Where `part` lies in `whole`, of which it is a subslice. For an empty value httparse gives
    /// a constant instead, so that an empty part is empty wherever it lies.
    pub(super) fn of(whole: &[u8], part: &[u8]) -> Span {
        if part.is_empty() {
            return Span::default();
        }
        let start = (part.as_ptr() as usize).wrapping_sub(whole.as_ptr() as usize);
        debug_assert!(start + part.len() <= whole.len());
        Span { start: start as u16, end: (start + part.len()) as u16 }
    }
}

/// Whether a value has nothing but what may be in one. Looks at all of it without a branch, so that
/// the compiler makes vectors of it.
fn is_visible(value: &[u8]) -> bool {
    value.iter().fold(true, |all, byte| all & matches!(byte, b'\t' | b' '..=b'~'))
}

impl Fields {
    /// Takes the fields that httparse found in `head`, which `shared` is a copy of.
    pub(super) fn new(
        head: &[u8],
        shared: Bytes,
        parsed: &[httparse::Header<'_>],
    ) -> Result<Fields, CodecError> {
        let mut ranges = SmallVec::with_capacity(parsed.len());
        for field in parsed {
            let value = field.value.trim_ascii();
            if !is_visible(value) {
                let detail = format!("the value of {} has a byte that is not visible", field.name);
                return Err(CodecError::bad("malformed-field-value", detail));
            }
            ranges.push(FieldRange {
                name: Span::of(head, field.name.as_bytes()),
                value: Span::of(head, value),
            });
        }
        Ok(Fields { head: shared, ranges })
    }

    /// The first value of a field.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.get_all(name).next()
    }

    /// All values of a field, in order.
    pub fn get_all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.ranges
            .iter()
            .filter(move |range| self.bytes(range.name).eq_ignore_ascii_case(name.as_bytes()))
            .map(|range| self.text(range.value))
    }

    /// Whether the field is there.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.get_all(name).next().is_some()
    }

    /// Whether a list field (`Connection`, say) has an element, compared case-insensitively.
    #[must_use]
    pub fn has_element(&self, name: &str, element: &str) -> bool {
        self.get_all(name)
            .flat_map(|value| value.split(','))
            .any(|part| part.trim().eq_ignore_ascii_case(element))
    }

    /// Names as they were sent, with their values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.ranges.iter().map(|range| (self.text(range.name), self.text(range.value)))
    }

    /// Names as they were sent.
    pub(super) fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.ranges.iter().map(|range| self.bytes(range.name))
    }

    /// How many fields there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// A piece of the head as text. All of a parsed head is ASCII.
    pub(super) fn text(&self, span: Span) -> &str {
        std::str::from_utf8(self.bytes(span)).unwrap_or_default()
    }

    fn bytes(&self, span: Span) -> &[u8] {
        &self.head[usize::from(span.start)..usize::from(span.end)]
    }
}

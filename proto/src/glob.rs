//! Globs over stream paths (section 6.2): `*` is one segment, or any run of characters when it
//! stands beside others (`user-*`); `**` is zero or more whole segments.
//!
//! A [`Glob`] is checked and split once. Matching keeps one place to go back to per level, so its
//! cost is at most pattern length times path length. Deliberately absent: `?`, `[a-z]`, `{a,b}`
//! and escapes, which the protocol does not have; those characters match themselves.

use std::fmt;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::limits::MAX_STREAM_PATH_BYTES;
use crate::path::RESERVED_SEGMENT;

/// A compiled pattern. Equal if and only if the texts are equal.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Glob {
    text: Box<str>,
    segments: Box<[Segment]>,
}

/// Why a pattern is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GlobError {
    /// No characters.
    Empty,
    /// Longer than any path can be.
    TooLong,
    /// `//`, or a slash at an end.
    EmptySegment,
    /// A `.` or `..` segment: no path has one.
    DotSegment,
    /// A control character or a backslash: no path has one.
    ForbiddenCharacter,
    /// `**` inside a segment, as in `a**`.
    PartialDoubleStar,
    /// The first segment is `__ds`.
    Reserved,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Segment {
    /// `**`.
    Many,
    /// Text, possibly with `*`.
    One(Box<str>),
}

impl Glob {
    /// Checks and compiles a pattern.
    pub fn parse(text: &str) -> Result<Glob, GlobError> {
        if text.is_empty() {
            return Err(GlobError::Empty);
        }
        if text.len() > MAX_STREAM_PATH_BYTES {
            return Err(GlobError::TooLong);
        }
        if text.chars().any(|c| c.is_control() || c == '\\') {
            return Err(GlobError::ForbiddenCharacter);
        }
        if text.split('/').next() == Some(RESERVED_SEGMENT) {
            return Err(GlobError::Reserved);
        }
        let segments = text.split('/').map(Segment::parse).collect::<Result<_, _>>()?;
        Ok(Glob { text: text.into(), segments })
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the whole of `path` matches.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        let parts: SmallVec<[&str; 16]> = path.split('/').collect();
        wildcard(
            &self.segments,
            &parts,
            |segment| matches!(segment, Segment::Many),
            |segment, part| match segment {
                Segment::Many => false,
                Segment::One(pattern) => segment_matches(pattern, part),
            },
        )
    }

    /// The leading segments without a wildcard: every path that matches begins with them. An
    /// index of many globs is keyed by it.
    #[must_use]
    pub fn literal_prefix(&self) -> &str {
        let mut end = 0;
        for segment in &self.segments {
            match segment {
                Segment::One(literal) if !literal.contains('*') => {
                    end += literal.len() + usize::from(end > 0);
                }
                _ => break,
            }
        }
        &self.text[..end]
    }
}

impl Segment {
    fn parse(text: &str) -> Result<Segment, GlobError> {
        match text {
            "" => Err(GlobError::EmptySegment),
            "." | ".." => Err(GlobError::DotSegment),
            "**" => Ok(Segment::Many),
            text if text.contains("**") => Err(GlobError::PartialDoubleStar),
            text => Ok(Segment::One(text.into())),
        }
    }
}

impl TryFrom<String> for Glob {
    type Error = GlobError;

    fn try_from(text: String) -> Result<Glob, GlobError> {
        Glob::parse(&text)
    }
}

impl From<Glob> for String {
    fn from(glob: Glob) -> String {
        glob.text.into()
    }
}

impl fmt::Debug for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.text)
    }
}

impl fmt::Display for GlobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            GlobError::Empty => "the pattern is empty",
            GlobError::TooLong => "the pattern is longer than 1024 bytes",
            GlobError::EmptySegment => "the pattern has an empty segment",
            GlobError::DotSegment => "the pattern has a `.` or `..` segment",
            GlobError::ForbiddenCharacter => "the pattern has a control character or a backslash",
            GlobError::PartialDoubleStar => "`**` must be a whole segment of the pattern",
            GlobError::Reserved => "the first segment `__ds` is reserved for control APIs",
        })
    }
}

/// Every prefix of `path` that ends at a segment boundary, the empty one first: the keys under
/// which an index by [`Glob::literal_prefix`] may hold a glob that matches `path`.
pub fn segment_prefixes(path: &str) -> impl Iterator<Item = &str> {
    let boundaries = memchr::memchr_iter(b'/', path.as_bytes());
    std::iter::once("").chain(boundaries.map(|at| &path[..at])).chain(std::iter::once(path))
}

fn segment_matches(pattern: &str, part: &str) -> bool {
    if pattern == "*" {
        return true;
    }
    wildcard(pattern.as_bytes(), part.as_bytes(), |byte| *byte == b'*', |a, b| a == b)
}

/// Matching with stars that take any number of items. On a mismatch only the newest star takes
/// one item more: an earlier star taking more could not help, because the newest one can take
/// whatever that would have taken.
fn wildcard<P, T>(
    pattern: &[P],
    text: &[T],
    is_star: impl Fn(&P) -> bool,
    matches_one: impl Fn(&P, &T) -> bool,
) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut newest_star: Option<(usize, usize)> = None;
    loop {
        if pattern.get(p).is_some_and(&is_star) {
            p += 1;
            newest_star = Some((p, t));
        } else if t == text.len() {
            return p == pattern.len();
        } else if pattern.get(p).is_some_and(|item| matches_one(item, &text[t])) {
            p += 1;
            t += 1;
        } else if let Some((after_star, taken_to)) = newest_star {
            p = after_star;
            t = taken_to + 1;
            newest_star = Some((p, t));
        } else {
            return false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition, exponential and obviously right.
    fn naive(pattern: &[&str], path: &[&str]) -> bool {
        fn text(pattern: &[u8], part: &[u8]) -> bool {
            match pattern.split_first() {
                None => part.is_empty(),
                Some((b'*', rest)) => (0..=part.len()).any(|taken| text(rest, &part[taken..])),
                Some((byte, rest)) => part.first() == Some(byte) && text(rest, &part[1..]),
            }
        }
        match pattern.split_first() {
            None => path.is_empty(),
            Some((&"**", rest)) => (0..=path.len()).any(|taken| naive(rest, &path[taken..])),
            Some((segment, rest)) => path.split_first().is_some_and(|(part, others)| {
                text(segment.as_bytes(), part.as_bytes()) && naive(rest, others)
            }),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn agrees_with_the_definition(
            pattern in prop::collection::vec("\\*|\\*\\*|[ab]{1,2}|a\\*|\\*b|a\\*b\\*a", 1..6),
            path in prop::collection::vec("[ab]{1,4}", 1..6),
        ) {
            let glob = Glob::parse(&pattern.join("/")).unwrap();
            let pattern: Vec<&str> = pattern.iter().map(String::as_str).collect();
            let parts: Vec<&str> = path.iter().map(String::as_str).collect();
            let joined = path.join("/");
            let matches = glob.matches(&joined);
            prop_assert_eq!(matches, naive(&pattern, &parts), "{:?} {}", glob, joined);
            if matches {
                prop_assert!(segment_prefixes(&joined).any(|key| key == glob.literal_prefix()));
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC*") {
            if let Ok(glob) = Glob::parse(&text) {
                let _ = (glob.matches(&text), glob.literal_prefix());
            }
        }
    }

    #[test]
    fn matches_paths() {
        let check = |pattern: &str, path: &str, want: bool| {
            assert_eq!(Glob::parse(pattern).unwrap().matches(path), want, "{pattern} {path}");
        };
        check("events/*", "events/abc", true);
        check("events/*", "events", false);
        check("events/*", "events/a/b", false);
        check("events/**", "events", true);
        check("events/**", "events/a/b", true);
        check("**", "a/b/c", true);
        check("**/c", "c", true);
        check("a/**/c", "a/c", true);
        check("a/**/c", "a/b/b/c", true);
        check("a/**/c", "a/b/b/d", false);
        check("user-*", "user-7", true);
        check("user-*", "user-", true);
        check("user-*", "users", false);
        check("*-*", "a-b", true);
        check("ünï*", "ünïcode", true);
        check("a?b", "axb", false);
    }

    #[test]
    fn many_stars_stay_cheap() {
        let pattern = format!("{}b", "*a".repeat(250));
        assert!(!Glob::parse(&pattern).unwrap().matches(&"a".repeat(1000)));
        let pattern = format!("{}/b", ["**", "a"].repeat(60).join("/"));
        assert!(!Glob::parse(&pattern).unwrap().matches(&["a"].repeat(500).join("/")));
    }

    #[test]
    fn refusals_and_prefixes() {
        let check = |pattern: &str, want: Result<&str, GlobError>| {
            let glob = Glob::parse(pattern);
            assert_eq!(glob.as_ref().map(Glob::literal_prefix).map_err(|e| *e), want, "{pattern}");
        };
        check("events/*", Ok("events"));
        check("a/b/**/c", Ok("a/b"));
        check("a/b", Ok("a/b"));
        check("*/a", Ok(""));
        check("", Err(GlobError::Empty));
        check("/a", Err(GlobError::EmptySegment));
        check("a//b", Err(GlobError::EmptySegment));
        check("a/..", Err(GlobError::DotSegment));
        check("a**", Err(GlobError::PartialDoubleStar));
        check("a/***", Err(GlobError::PartialDoubleStar));
        check("a\\b", Err(GlobError::ForbiddenCharacter));
        check("__ds/**", Err(GlobError::Reserved));
        check(&"x".repeat(MAX_STREAM_PATH_BYTES + 1), Err(GlobError::TooLong));
    }
}

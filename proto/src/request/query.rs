//! Query strings: the parameters that the protocol knows, decoded as browsers encode them.
//!
//! Unknown parameters are ignored (section 11.1), known ones must not come twice.

use super::parse::invalid;
use crate::path::percent_decode;
use crate::problem::Problem;

/// Decoded values of the known parameters.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Query {
    pub(super) offset: Option<String>,
    pub(super) live: Option<String>,
    pub(super) cursor: Option<String>,
    pub(super) prefix: Option<String>,
    pub(super) limit: Option<String>,
}

impl Query {
    /// Parses what follows the `?`.
    pub(super) fn parse(text: &str) -> Result<Query, Problem> {
        let mut query = Query::default();
        for pair in text.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let Some((name, slot)) = query.slot(name) else { continue };
            if slot.is_some() {
                return Err(invalid(name, "is there more than once"));
            }
            let value =
                decode(value).ok_or_else(|| invalid(name, "is not percent-encoded UTF-8 text"))?;
            *slot = Some(value);
        }
        Ok(query)
    }

    fn slot(&mut self, name: &str) -> Option<(&'static str, &mut Option<String>)> {
        match decode(name)?.as_str() {
            "offset" => Some(("offset", &mut self.offset)),
            "live" => Some(("live", &mut self.live)),
            "cursor" => Some(("cursor", &mut self.cursor)),
            "prefix" => Some(("prefix", &mut self.prefix)),
            "limit" => Some(("limit", &mut self.limit)),
            _ => None,
        }
    }
}

/// `application/x-www-form-urlencoded`: a plus is a space.
fn decode(text: &str) -> Option<String> {
    percent_decode(&text.replace('+', " "), |_| false).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_parameters_are_decoded() {
        let check = |text: &str, want: &[(&str, &str)]| {
            let got = Query::parse(text).unwrap();
            let mut expected = Query::default();
            for (name, value) in want {
                *expected.slot(name).unwrap().1 = Some((*value).to_owned());
            }
            assert_eq!(got, expected, "{text}");
        };
        check("", &[]);
        check("offset=-1&live=sse", &[("offset", "-1"), ("live", "sse")]);
        check("offset", &[("offset", "")]);
        check("&&offset=&", &[("offset", "")]);
        check("foo=bar&foo=baz&%zz=1&OFFSET=2", &[]);
        check("%6fffset=a%2Fb+c%E2%82%AC", &[("offset", "a/b c€")]);
        check("cursor=a=b", &[("cursor", "a=b")]);
        check("foo=%zz&limit=3&prefix=x", &[("limit", "3"), ("prefix", "x")]);
    }

    #[test]
    fn refusals_name_the_parameter() {
        for (text, name) in [
            ("offset=a&offset=b", "offset"),
            ("offset=a&%6Fffset=a", "offset"),
            ("live=%", "live"),
            ("cursor=%f", "cursor"),
            ("prefix=%ff", "prefix"),
        ] {
            let problem = Query::parse(text).unwrap_err();
            assert_eq!(problem.status.as_u16(), 400, "{text}");
            assert!(problem.detail.contains(name), "{text}: {}", problem.detail);
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC*", tail in "[%+&=a-f0-9]*") {
            let _ = Query::parse(&text);
            let _ = Query::parse(&format!("offset={tail}"));
        }
    }
}

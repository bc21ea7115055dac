//! Comparisons as they are written in a plan: `${status} == done`.
//!
//! Deliberately absent: and, or, and arithmetic; a step that needs them is two steps.

use super::properties::Properties;
use super::template::parse_with;
use super::{Condition, Operator, TemplateError};

/// Reads a comparison of two texts. `Ok(None)`: there is no operator. Spaces around the operator
/// are not part of the texts; what is in single or double quotes is taken as it is.
pub(crate) fn parse(
    text: &str,
    properties: &Properties<'_>,
) -> Result<Option<Condition>, TemplateError> {
    let Some((left, operator, right)) = split(text) else { return Ok(None) };
    let (left, right) = (unquote(left), unquote(right));
    let left = parse_with(left, properties)?;
    Ok(Some(Condition { left, operator, right: parse_with(right, properties)? }))
}

/// At the first operator that is neither within quotes nor within a reference.
pub(crate) fn split(text: &str) -> Option<(&str, Operator, &str)> {
    let (mut quote, mut depth) = (None, 0usize);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), c) if open == c => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '{') => depth += 1,
            (None, '}') => depth = depth.saturating_sub(1),
            (None, _) if depth == 0 => {
                let rest = &text[at..];
                if let Some((word, operator)) = operator(rest) {
                    return Some((text[..at].trim(), operator, rest[word.len()..].trim()));
                }
            }
            _ => {}
        }
    }
    None
}

/// The operator that a text begins with.
fn operator(text: &str) -> Option<(&'static str, Operator)> {
    OPERATORS.into_iter().find(|(word, _)| text.starts_with(word))
}

fn unquote(text: &str) -> &str {
    let inner = |quote| text.strip_prefix(quote)?.strip_suffix(quote);
    inner('"').or_else(|| inner('\'')).unwrap_or(text)
}

/// Longer ones first.
const OPERATORS: [(&str, Operator); 6] = [
    ("==", Operator::Equal),
    ("!=", Operator::NotEqual),
    ("<=", Operator::LessOrEqual),
    (">=", Operator::GreaterOrEqual),
    ("<", Operator::Less),
    (">", Operator::Greater),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Piece, Template};

    #[test]
    fn conditions() {
        let check = |text: &str, want: Option<(&str, Operator, &str)>| {
            assert_eq!(split(text), want, "{text}");
        };
        check("a == b", Some(("a", Operator::Equal, "b")));
        check("${a}!=", Some(("${a}", Operator::NotEqual, "")));
        check("1<2", Some(("1", Operator::Less, "2")));
        check("1 <= 2", Some(("1", Operator::LessOrEqual, "2")));
        check("1 >= 2 > 3", Some(("1", Operator::GreaterOrEqual, "2 > 3")));
        check("'a > b' > c", Some(("'a > b'", Operator::Greater, "c")));
        check("${__P(a,<)} == b", Some(("${__P(a,<)}", Operator::Equal, "b")));
        check("a = b", None);
        check("'a == b", None);
        check("", None);
    }

    #[test]
    fn quotes_are_not_part_of_the_text() {
        let got = parse("\"${a}\" == ' b '", &Properties::none()).unwrap().unwrap();
        assert_eq!(got.left.0, [Piece::Variable("a".into())]);
        assert_eq!(got.right.0, [Piece::Text(" b ".into())]);
        let got = parse("'' == \"'\"", &Properties::none()).unwrap().unwrap();
        assert_eq!((got.left, got.right.0), (Template::default(), vec![Piece::Text("'".into())]));
        assert!(parse("${a == b", &Properties::none()).unwrap().is_none());
        assert!(parse("${a b == c", &Properties::none()).unwrap().is_none());
    }
}

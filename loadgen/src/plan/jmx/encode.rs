//! Percent-encoding of texts that have references in them.
//!
//! Invariant: only text is encoded; what a variable holds is known when the request is made, and is
//! sent as it is.

use crate::plan::{Piece, Template};

/// What may stay as it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Keep {
    /// Letters, digits and `.-*_`; a space is `+`. As browsers encode forms.
    Form,
    /// The same, of a text that is encoded already, perhaps in another way.
    EncodedForm,
    /// All that may be in a URL.
    Url,
}

/// Encodes the texts of a template.
pub(super) fn template(from: &Template, keep: Keep) -> Template {
    let pieces = from.0.iter().map(|piece| match piece {
        Piece::Text(text) => Piece::Text(encoded(text, keep)),
        piece => piece.clone(),
    });
    Template(pieces.collect())
}

/// Whether the values of variables would have had to be encoded.
pub(super) fn has_variables(template: &Template) -> bool {
    template.0.iter().any(|piece| matches!(piece, Piece::Variable(_)))
}

/// Encodes a text.
pub(super) fn encoded(text: &str, keep: Keep) -> String {
    let mut out = String::with_capacity(text.len());
    let bytes = match keep {
        Keep::EncodedForm => decoded(text.as_bytes()),
        Keep::Form | Keep::Url => text.into(),
    };
    for (at, &byte) in bytes.iter().enumerate() {
        match byte {
            b' ' if keep != Keep::Url => out.push('+'),
            b'%' if keep == Keep::Url && escaped(&bytes[at..]).is_some() => out.push('%'),
            _ if stays(byte, keep) => out.push(char::from(byte)),
            _ => {
                out.push('%');
                out.push(char::from(HEX[usize::from(byte >> 4)]));
                out.push(char::from(HEX[usize::from(byte & 15)]));
            }
        }
    }
    out
}

fn stays(byte: u8, keep: Keep) -> bool {
    byte.is_ascii_alphanumeric()
        || match keep {
            Keep::Url => b"-._~:/?#[]@!$&'()*+,;=".contains(&byte),
            Keep::Form | Keep::EncodedForm => b".-*_".contains(&byte),
        }
}

/// What a form's text stands for; a percent sign that is no escape stands for itself.
fn decoded(bytes: &[u8]) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::with_capacity(bytes.len()), bytes);
    while let Some((&first, after)) = rest.split_first() {
        let escape = if first == b'%' { escaped(rest) } else { None };
        out.push(match first {
            b'+' => b' ',
            _ => escape.unwrap_or(first),
        });
        rest = if escape.is_some() { &rest[3..] } else { after };
    }
    out
}

/// The byte that an escape at the beginning stands for.
fn escaped(bytes: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = bytes else { return None };
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    Some((digit(high)? * 16 + digit(low)?) as u8)
}

const HEX: &[u8; 16] = b"0123456789ABCDEF";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        let check = |text: &str, keep, want: &str| assert_eq!(encoded(text, keep), want, "{text}");
        check("a b&c=é*", Keep::Form, "a+b%26c%3D%C3%A9*");
        check("a+b%20%zz", Keep::Form, "a%2Bb%2520%25zz");
        check("a+b%20%zz", Keep::EncodedForm, "a+b+%25zz");
        check("x%2Fy%c3%a9%", Keep::EncodedForm, "x%2Fy%C3%A9%25");
        check("/a b?x=1,2&y=%20\"\r\n", Keep::Url, "/a%20b?x=1,2&y=%20%22%0D%0A");
    }
}

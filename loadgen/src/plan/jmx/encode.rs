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
    /// The same, but what looks encoded already stays so.
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
    let bytes = text.as_bytes();
    for (at, &byte) in bytes.iter().enumerate() {
        match byte {
            b' ' if keep != Keep::Url => out.push('+'),
            b'%' if keep != Keep::Form && is_escape(&bytes[at..]) => out.push('%'),
            b'+' if keep == Keep::EncodedForm => out.push('+'),
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

fn is_escape(bytes: &[u8]) -> bool {
    matches!(bytes, [_, a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit())
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
        check("a+b%20%zz", Keep::EncodedForm, "a+b%20%25zz");
        check("/a b?x=1,2&y=%20\"\r\n", Keep::Url, "/a%20b?x=1,2&y=%20%22%0D%0A");
    }
}

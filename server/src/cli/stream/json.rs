//! JSON messages without changing them: numbers keep their digits, objects the order of their keys.

use serde_json::value::RawValue;

/// The messages of a JSON array, as written.
pub(super) fn messages(array: &[u8]) -> Result<Vec<&RawValue>, serde_json::Error> {
    serde_json::from_slice(array)
}

/// Appends `message` to `out` on a single line: without the whitespace between its tokens.
pub(super) fn push_line(out: &mut Vec<u8>, message: &RawValue) {
    let mut in_string = false;
    let mut escaped = false;
    for byte in message.get().bytes() {
        if in_string {
            in_string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
        } else if byte.is_ascii_whitespace() {
            continue;
        } else {
            in_string = byte == b'"';
        }
        out.push(byte);
    }
    out.push(b'\n');
}

/// Whether a content type means JSON mode.
pub(super) fn is_json(content_type: &str) -> bool {
    let media = content_type.split(';').next().unwrap_or_default().trim();
    media.eq_ignore_ascii_case("application/json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_become_lines() {
        let array = br#"[ {"b" : 1.0e2, "a":"x \" \\" , "c" : [1,
            2]},"\\", 3 ]"#;
        let mut out = Vec::new();
        for message in messages(array).expect("an array") {
            push_line(&mut out, message);
        }
        let want = "{\"b\":1.0e2,\"a\":\"x \\\" \\\\\",\"c\":[1,2]}\n\"\\\\\"\n3\n";
        assert_eq!(String::from_utf8_lossy(&out), want);
        assert!(messages(b"{}").is_err());
        assert_eq!(messages(b"[]").expect("an array").len(), 0);
    }
}

//! Server-Sent Events (section 5.8): a data event for a range of the stream, followed by a
//! control event. Encoded once for all readers.
//!
//! Line breaks inside text become several `data:` lines, so that no payload can end an event or
//! start another. One space after the colon belongs to the framing, therefore a line that begins
//! with a space gets one more.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use memchr::memchr2;

use crate::content_type::Framing;
use crate::offset::Offset;

/// The facts of a control event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Control {
    /// `streamNextOffset`.
    pub next: Offset,
    /// `streamCursor`; left out when the stream is closed.
    pub cursor: u64,
    /// `upToDate`.
    pub up_to_date: bool,
    /// `streamClosed`; implies `upToDate`.
    pub closed: bool,
}

/// Appends a data event that carries `stored`, which is not empty.
pub fn write_data(out: &mut Vec<u8>, framing: Framing, stored: &[u8]) {
    out.extend_from_slice(b"event: data\n");
    match framing {
        // Stored messages hold no line break and end in a comma.
        Framing::Json => {
            out.extend_from_slice(b"data:[");
            out.extend_from_slice(&stored[..stored.len().saturating_sub(1)]);
            out.extend_from_slice(b"]\n");
        }
        Framing::Text => write_lines(out, stored),
        Framing::Binary => {
            out.extend_from_slice(b"data:");
            let start = out.len();
            out.resize(start + stored.len().div_ceil(3) * 4, 0);
            // The buffer has the exact size, so there is nothing that could fail.
            let written = STANDARD.encode_slice(stored, &mut out[start..]).unwrap_or_default();
            out.truncate(start + written);
            out.push(b'\n');
        }
    }
    out.push(b'\n');
}

/// Appends a control event.
pub fn write_control(out: &mut Vec<u8>, control: Control) {
    out.extend_from_slice(b"event: control\ndata:{\"streamNextOffset\":\"");
    out.extend_from_slice(&control.next.token());
    out.push(b'"');
    if !control.closed {
        out.extend_from_slice(b",\"streamCursor\":\"");
        out.extend_from_slice(control.cursor.to_string().as_bytes());
        out.push(b'"');
    }
    if control.up_to_date || control.closed {
        out.extend_from_slice(b",\"upToDate\":true");
    }
    if control.closed {
        out.extend_from_slice(b",\"streamClosed\":true");
    }
    out.extend_from_slice(b"}\n\n");
}

/// How many bytes of a text page to leave for the next one, so that no UTF-8 character is split
/// between two pages: 0 to 3. Bytes that are no UTF-8 at all are not held back.
#[must_use]
pub fn incomplete_utf8_tail(stored: &[u8]) -> usize {
    for back in 1..=stored.len().min(3) {
        let byte = stored[stored.len() - back];
        let needs = match byte {
            0xC0..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xF7 => 4,
            0x80..=0xBF => continue,
            _ => return 0,
        };
        return if needs > back { back } else { 0 };
    }
    0
}

fn write_lines(out: &mut Vec<u8>, mut text: &[u8]) {
    loop {
        let end = memchr2(b'\n', b'\r', text).unwrap_or(text.len());
        let (line, rest) = text.split_at(end);
        out.extend_from_slice(b"data:");
        if line.first() == Some(&b' ') {
            out.push(b' ');
        }
        out.extend_from_slice(line);
        out.push(b'\n');
        text = match rest {
            [] => return,
            [b'\r', b'\n', rest @ ..] | [_, rest @ ..] => rest,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(framing: Framing, stored: &[u8]) -> String {
        let mut out = Vec::new();
        write_data(&mut out, framing, stored);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn data_events() {
        assert_eq!(event(Framing::Json, b"{\"a\":1},2,"), "event: data\ndata:[{\"a\":1},2]\n\n");
        assert_eq!(event(Framing::Binary, b"Hello"), "event: data\ndata:SGVsbG8=\n\n");
        assert_eq!(
            event(Framing::Text, b"a\r\n\r\nevent: x\rdata: y\n z\n"),
            "event: data\ndata:a\ndata:\ndata:event: x\ndata:data: y\ndata:  z\ndata:\n\n"
        );
    }

    #[test]
    fn control_events() {
        let check = |up_to_date, closed, want: &str| {
            let next = Offset { epoch: 1, position: 2 };
            let mut out = Vec::new();
            write_control(&mut out, Control { next, cursor: 9, up_to_date, closed });
            let want =
                format!("event: control\ndata:{{\"streamNextOffset\":\"{next}\"{want}}}\n\n");
            assert_eq!(String::from_utf8(out).unwrap(), want);
        };
        check(false, false, ",\"streamCursor\":\"9\"");
        check(true, false, ",\"streamCursor\":\"9\",\"upToDate\":true");
        check(true, true, ",\"upToDate\":true,\"streamClosed\":true");
    }

    #[test]
    fn characters_stay_whole() {
        let euro = "€".as_bytes();
        assert_eq!(incomplete_utf8_tail(euro), 0);
        assert_eq!(incomplete_utf8_tail(&euro[..2]), 2);
        assert_eq!(incomplete_utf8_tail(&euro[..1]), 1);
        assert_eq!(incomplete_utf8_tail("a😀".as_bytes()), 0);
        assert_eq!(incomplete_utf8_tail(&"a😀".as_bytes()[..4]), 3);
        assert_eq!(incomplete_utf8_tail(&[0x80; 9]), 0);
        assert_eq!(incomplete_utf8_tail(b""), 0);
    }
}

//! What goes over the wire between the generator and the null server, without I/O.
//!
//! Invariant: answers have the fields that a Durable Streams server's have, so that taking them
//! apart costs the generator what it costs in a run.
//!
//! Deliberately absent: everything of HTTP that the generator does not send: this is a server for
//! one client.

use std::io::Write as _;

use memchr::memmem;

/// A request of the generator.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Request<'a> {
    Append(&'a [u8]),
    /// A live reader.
    Follow,
    /// Streams are made and deleted without a trace.
    Create,
    Delete,
    /// What no plan of the calibration sends.
    Other,
}

/// The first request in `input` and its length, once it is whole.
pub(super) fn request(input: &[u8]) -> Option<(Request<'_>, usize)> {
    let head = memmem::find(input, b"\r\n\r\n")? + 4;
    let body = memmem::find(&input[..head], CONTENT_LENGTH)
        .map_or(0, |at| decimal(&input[at + CONTENT_LENGTH.len()..head]));
    let end = head.checked_add(body)?;
    let whole = input.get(..end)?;
    let (head, body) = whole.split_at(head);
    let request = match head {
        [b'P', b'O', ..] => Request::Append(body),
        [b'P', b'U', ..] => Request::Create,
        [b'D', ..] => Request::Delete,
        [b'G', ..] if memmem::find(head, b"live=sse").is_some() => Request::Follow,
        _ => Request::Other,
    };
    Some((request, end))
}

fn decimal(text: &[u8]) -> usize {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |sum: usize, digit| {
        sum.saturating_mul(10).saturating_add(usize::from(digit - b'0'))
    })
}

/// One message as live readers get it: a data event and its control event in one chunk.
pub(super) fn push_message(log: &mut Vec<u8>, body: &[u8], count: u64) {
    let control = control(count);
    let length = DATA.len() + body.len() + DATA_END.len() + control.len();
    // Writing to memory cannot fail.
    let _ = write!(log, "{length:x}\r\n");
    log.extend_from_slice(DATA);
    log.extend_from_slice(body);
    log.extend_from_slice(DATA_END);
    log.extend_from_slice(control.as_bytes());
    log.extend_from_slice(b"\r\n");
}

/// The head of a live reader's answer, and the event that says it has caught up.
pub(super) fn push_followed(out: &mut Vec<u8>) {
    let control = control(0);
    out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
    out.extend_from_slice(FIELDS);
    out.extend_from_slice(FOLLOW_FIELDS);
    let _ = write!(out, "{:x}\r\n{control}\r\n", control.len());
}

/// The whole answer to any other request.
pub(super) fn push_answer(out: &mut Vec<u8>, request: Request<'_>, count: u64) {
    let status: &[u8] = match request {
        Request::Append(_) | Request::Delete => b"HTTP/1.1 204 No Content\r\n",
        Request::Create => b"HTTP/1.1 201 Created\r\ncontent-length: 0\r\n",
        Request::Follow | Request::Other => {
            b"HTTP/1.1 501 Not Implemented\r\ncontent-length: 0\r\n"
        }
    };
    out.extend_from_slice(status);
    out.extend_from_slice(FIELDS);
    let _ = write!(out, "stream-next-offset: {count:016}_{count:016}\r\n\r\n");
}

fn control(count: u64) -> String {
    format!(
        "event: control\ndata:{{\"streamNextOffset\":\"{count:016}_{count:016}\",\
         \"streamCursor\":\"3342239\",\"upToDate\":true}}\n\n"
    )
}

/// As the engine spells it.
const CONTENT_LENGTH: &[u8] = b"\r\ncontent-length: ";
const DATA: &[u8] = b"event: data\ndata:[";
const DATA_END: &[u8] = b"]\n\n";
/// What servers of browsers' clients send with everything.
const FIELDS: &[u8] = b"server: null\r\n\
    x-content-type-options: nosniff\r\n\
    cross-origin-resource-policy: cross-origin\r\n\
    access-control-allow-origin: *\r\n\
    access-control-expose-headers: stream-next-offset, stream-cursor, stream-up-to-date, \
    stream-closed, producer-epoch, producer-seq, etag, location, retry-after, date\r\n\
    date: Thu, 01 Jan 2026 00:00:00 GMT\r\n";
const FOLLOW_FIELDS: &[u8] = b"content-type: text/event-stream\r\n\
    cache-control: no-cache, no-transform\r\n\
    transfer-encoding: chunked\r\n\r\n";

#[cfg(test)]
mod tests {
    use http::Method;
    use thalweg_proto::http1::{ResponseHeadStatus, parse_response_head};

    use super::*;
    use crate::engine::{Scratch, SseReader};
    use crate::message::{Stamp, stamps};

    #[test]
    fn requests() {
        let check = |text: &str, want: Option<Request<'_>>| {
            let whole = want.map(|want| (want, text.len()));
            assert_eq!(request(text.as_bytes()), whole, "{text}");
            assert_eq!(request(format!("{text}PO").as_bytes()), whole, "{text}");
            assert_eq!(request(&text.as_bytes()[..text.len() - 1]), None, "{text}");
        };
        let append = "POST /x HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\n\r\nabc";
        check(append, Some(Request::Append(b"abc")));
        check("PUT /x HTTP/1.1\r\n\r\n", Some(Request::Create));
        check("DELETE /x HTTP/1.1\r\n\r\n", Some(Request::Delete));
        check("GET /x?offset=-1&live=sse HTTP/1.1\r\n\r\n", Some(Request::Follow));
        check("GET /x HTTP/1.1\r\n\r\n", Some(Request::Other));
        check("POST / HTTP/1.1\r\ncontent-length: 99999999999999999999999\r\n\r\n", None);
        check("POST /x HTTP/1.1\r\n", None);
    }

    #[test]
    fn the_generator_understands_the_answers() {
        for (asked, status) in
            [(Request::Append(b""), 204), (Request::Create, 201), (Request::Other, 501)]
        {
            let mut out = Vec::new();
            push_answer(&mut out, asked, 7);
            let Ok(ResponseHeadStatus::Complete(head, length)) =
                parse_response_head(&out, &Method::POST)
            else {
                panic!("{}", String::from_utf8_lossy(&out));
            };
            assert_eq!((head.status.as_u16(), length), (status, out.len()));
            assert!(head.keep_alive);
        }
    }

    #[test]
    fn the_generator_understands_the_events() {
        let stamp = Stamp { run: 1, source: 2, sequence: 3, intended_ns: 4 };
        let mut out = Vec::new();
        push_followed(&mut out);
        push_message(&mut out, &stamp.message(100), 1);
        let (mut reader, mut scratch) = (SseReader::default(), Scratch::default());
        let (mut offset, mut closed, mut got) = (String::new(), false, Vec::new());
        let mut data = |data: &[u8]| got.extend(stamps(data));
        reader.receive(&out, &mut scratch, &mut offset, &mut closed, &mut data).unwrap();
        assert!(reader.is_live() && !closed);
        assert_eq!(got, [Some(stamp)]);
        assert_eq!(offset, "0000000000000001_0000000000000001");
    }
}

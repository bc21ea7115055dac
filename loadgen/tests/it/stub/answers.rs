//! Answers as their bytes.

use super::streams::Stream;

/// An answer without more.
pub(super) fn status(status: &str) -> Vec<u8> {
    let length = if status.starts_with("204") { "" } else { "content-length: 0\r\n" };
    format!("HTTP/1.1 {status}\r\nserver: stub\r\n{length}\r\n").into_bytes()
}

/// An answer about a stream, without a body.
pub(super) fn head(status: &str, stream: &Stream, more: &str) -> Vec<u8> {
    let (content_type, tail) = (&stream.content_type, stream.len());
    let closed = if stream.closed { "stream-closed: true\r\n" } else { "" };
    format!(
        "HTTP/1.1 {status}\r\nserver: stub\r\ncontent-type: {content_type}\r\n\
         stream-next-offset: {tail}\r\n{closed}{more}\r\n"
    )
    .into_bytes()
}

/// An answer with messages; the next ones begin at `to`.
pub(super) fn page(stream: &Stream, messages: &[Vec<u8>], to: usize, up_to_date: bool) -> Vec<u8> {
    let body = stream.join(messages);
    let (content_type, length) = (&stream.content_type, body.len());
    let closed = if stream.closed { "stream-closed: true\r\n" } else { "" };
    let head = format!(
        "HTTP/1.1 200 OK\r\nserver: stub\r\ncontent-type: {content_type}\r\n\
         stream-next-offset: {to}\r\nstream-up-to-date: {up_to_date}\r\nstream-cursor: 1\r\n\
         {closed}content-length: {length}\r\n\r\n"
    );
    [head.as_bytes(), &body].concat()
}

/// A control event.
pub(super) fn control(to: usize, closed: bool) -> Vec<u8> {
    let closed = if closed { ",\"streamClosed\":true" } else { ",\"streamCursor\":\"1\"" };
    format!("event: control\ndata:{{\"streamNextOffset\":\"{to}\",\"upToDate\":true{closed}}}\n\n")
        .into_bytes()
}

/// One event per message and nothing of the protocol; an `id` is the number of messages up to it.
pub(super) fn plain_events(messages: &[Vec<u8>], to: usize) -> Vec<u8> {
    let begin = to.saturating_sub(messages.len());
    let event = |(at, message): (usize, &Vec<u8>)| {
        let id = begin + at + 1;
        [format!("id: {id}\ndata: ").as_bytes(), message, b"\n\n"].concat()
    };
    messages.iter().enumerate().flat_map(event).collect()
}

/// A piece of a chunked body.
pub(super) fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

//! Message bodies (RFC 9112 sections 6 and 7): one body out of the bytes of a connection.
//!
//! ```text
//! Length, UntilClose:  Data -------------------------------> Done
//! Chunked:             SizeLine -> Data -> DataEnd -> SizeLine
//!                          `- size 0 -> Trailer (per line) -> Done
//! ```
//!
//! Never takes more input than the body has, never gives out more than the limit. Chunk
//! extensions and trailers are bounded and dropped.

use bytes::{Buf, BytesMut};
use http::StatusCode;

use super::error::BodyError;
use super::scan::is_tchar;
use crate::limits::{MAX_CHUNK_LINE_BYTES, MAX_TRAILER_BYTES};

/// How a request's body is framed (RFC 9112 section 6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BodyLength {
    /// No framing field: there is no body.
    None,
    /// `Content-Length`.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
}

/// What came of decoding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// The body goes on: decode again with more input.
    More,
    /// The body is complete; what is left of the input belongs to the next message.
    Done,
}

/// Decodes one body. After an error it must not be used again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BodyDecoder {
    state: State,
    kind: Kind,
    /// Body bytes that may still come.
    allowance: u64,
    limit: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Length,
    Chunked,
    UntilClose,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// `size[;extensions] CRLF`.
    SizeLine,
    /// So many bytes of data.
    Data(u64),
    /// The CRLF after a chunk.
    DataEnd,
    /// Trailer lines, so many bytes of them so far.
    Trailer(usize),
    Done,
}

/// The first allocation for a body of announced length is at most this: a promise costs a client
/// nothing, memory costs us.
const FIRST_RESERVE_BYTES: u64 = 64 * 1024;

impl BodyDecoder {
    /// A decoder for a body of at most `limit` bytes; 413 at once when more are announced.
    pub fn new(length: BodyLength, limit: u64) -> Result<BodyDecoder, BodyError> {
        let (kind, state) = match length {
            BodyLength::None | BodyLength::Length(0) => (Kind::Length, State::Done),
            BodyLength::Length(length) if length > limit => return Err(too_large(limit)),
            BodyLength::Length(length) => (Kind::Length, State::Data(length)),
            BodyLength::Chunked => (Kind::Chunked, State::SizeLine),
        };
        Ok(BodyDecoder { state, kind, allowance: limit, limit })
    }

    /// A decoder for a response body that ends with its connection.
    #[must_use]
    pub fn until_close(limit: u64) -> BodyDecoder {
        let state = State::Data(u64::MAX);
        BodyDecoder { state, kind: Kind::UntilClose, allowance: limit, limit }
    }

    /// Moves body bytes from the front of `input` to the end of `out`.
    pub fn decode(
        &mut self,
        input: &mut BytesMut,
        out: &mut BytesMut,
    ) -> Result<Progress, BodyError> {
        loop {
            let advanced = match self.state {
                State::SizeLine => self.size_line(input)?,
                State::Data(left) => self.data(left, input, out)?,
                State::DataEnd => self.data_end(input)?,
                State::Trailer(taken) => self.trailer(taken, input)?,
                State::Done => return Ok(Progress::Done),
            };
            if !advanced {
                return Ok(Progress::More);
            }
        }
    }

    /// Takes what is plainly data from the front of `input`, as [`BodyDecoder::decode`] would, for
    /// bytes that lie somewhere else. Returns how many it took; the others are for that.
    pub fn decode_data(&mut self, input: &[u8], out: &mut BytesMut) -> usize {
        let State::Data(left) = self.state else { return 0 };
        // The last byte leads to another state: that is for `decode`.
        let most = left.saturating_sub(1).min(self.allowance);
        let take = usize::try_from(most).unwrap_or(usize::MAX).min(input.len());
        out.extend_from_slice(&input[..take]);
        self.allowance -= take as u64;
        self.state = State::Data(left - take as u64);
        take
    }

    /// Whether the body is complete.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// The connection ended: completes a body that ends with it, refuses any other that is not
    /// complete.
    pub fn finish(&mut self) -> Result<(), BodyError> {
        if self.kind == Kind::UntilClose {
            self.state = State::Done;
        }
        if self.is_done() {
            return Ok(());
        }
        Err(BodyError::bad("incomplete-body", "the connection ended in the middle of the body"))
    }

    /// Each step returns whether it came to another state; if not, it needs more input.
    fn data(
        &mut self,
        left: u64,
        input: &mut BytesMut,
        out: &mut BytesMut,
    ) -> Result<bool, BodyError> {
        let take = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
        self.allowance = match self.allowance.checked_sub(take as u64) {
            Some(allowance) => allowance,
            None => return Err(too_large(self.limit)),
        };
        if self.kind != Kind::UntilClose && out.is_empty() {
            out.reserve(left.min(FIRST_RESERVE_BYTES) as usize);
        }
        out.extend_from_slice(&input[..take]);
        input.advance(take);
        let left = left - take as u64;
        self.state = match (left, self.kind) {
            (0, Kind::Chunked) => State::DataEnd,
            (0, _) => State::Done,
            (left, _) => State::Data(left),
        };
        Ok(left == 0)
    }

    fn size_line(&mut self, input: &mut BytesMut) -> Result<bool, BodyError> {
        let too_long = || BodyError::bad("chunk-line-too-long", "a chunk-size line is too long");
        let Some(line) = line(input, MAX_CHUNK_LINE_BYTES, too_long)? else { return Ok(false) };
        let size = chunk_size(line).ok_or_else(|| {
            BodyError::bad("malformed-chunk-size", "a chunk does not begin with a size in hex")
        })?;
        if size > self.allowance {
            return Err(too_large(self.limit));
        }
        let taken = line.len() + 2;
        input.advance(taken);
        self.state = if size == 0 { State::Trailer(0) } else { State::Data(size) };
        Ok(true)
    }

    fn data_end(&mut self, input: &mut BytesMut) -> Result<bool, BodyError> {
        match **input {
            [] | [b'\r'] => return Ok(false),
            [b'\r', b'\n', ..] => input.advance(2),
            _ => {
                let detail = "a chunk is not followed by CRLF";
                return Err(BodyError::bad("malformed-chunk-end", detail));
            }
        }
        self.state = State::SizeLine;
        Ok(true)
    }

    fn trailer(&mut self, taken: usize, input: &mut BytesMut) -> Result<bool, BodyError> {
        let too_long = || {
            let detail = format!("the trailer fields are longer than {MAX_TRAILER_BYTES} bytes");
            let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
            BodyError::new(status, "trailers-too-large", detail)
        };
        let Some(line) = line(input, MAX_TRAILER_BYTES - taken, too_long)? else {
            return Ok(false);
        };
        if !line.is_empty() && !is_field_line(line) {
            return Err(BodyError::bad("malformed-trailer", "a trailer is not a field line"));
        }
        let length = line.len() + 2;
        self.state = if line.is_empty() { State::Done } else { State::Trailer(taken + length) };
        input.advance(length);
        Ok(true)
    }
}

/// The line at the front of `input`, without its CRLF, of at most `limit` bytes with it. `None`
/// while it is incomplete.
fn line(
    input: &[u8],
    limit: usize,
    too_long: impl Fn() -> BodyError,
) -> Result<Option<&[u8]>, BodyError> {
    let window = &input[..input.len().min(limit)];
    match memchr::memchr2(b'\r', b'\n', window) {
        Some(at) if window[at] == b'\n' => {
            Err(BodyError::bad("bare-lf", "a line of the chunked framing has a LF without CR"))
        }
        Some(at) => match window.get(at + 1) {
            Some(b'\n') => Ok(Some(&window[..at])),
            Some(_) => {
                Err(BodyError::bad("bare-cr", "a line of the chunked framing has a CR without LF"))
            }
            None if window.len() == limit => Err(too_long()),
            None => Ok(None),
        },
        None if window.len() == limit => Err(too_long()),
        None => Ok(None),
    }
}

/// `size[;extensions]`, the size in hex. `None` when it is anything else or does not fit.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let (size, extensions) = line.split_at(digits);
    let blank = extensions.trim_ascii_start();
    let extensions_ok = extensions.is_empty()
        || blank.starts_with(b";") && blank.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~'));
    if digits == 0 || !extensions_ok {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(size).ok()?, 16).ok()
}

/// `name: value`, as in a head.
fn is_field_line(line: &[u8]) -> bool {
    let Some(colon) = memchr::memchr(b':', line) else { return false };
    let (name, value) = line.split_at(colon);
    !name.is_empty()
        && name.iter().copied().all(is_tchar)
        && value.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~'))
}

fn too_large(limit: u64) -> BodyError {
    let detail = format!("the body is longer than {limit} bytes");
    BodyError::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", detail)
}

#[cfg(test)]
mod tests;

//! Whole connections: the same requests however the bytes are cut, each made of its own bytes and
//! no others.

use bytes::{Buf, BytesMut};
use thalweg_proto::http1::{BodyDecoder, CodecError, HeadStatus, Progress, parse_head};

use super::input::Input;

const LIMIT: u64 = 4096;

pub fn check(data: &[u8]) {
    let mut input = Input(data);
    let cuts = usize::from(input.u8() % 32);
    let mut cuts = Input(input.bytes(cuts));
    let wire = input.0;
    let whole = read(wire, || wire.len().max(1));
    let cut = read(wire, || 1 + usize::from(cuts.u8()));
    assert_eq!(whole, cut);
    for one in &whole.requests {
        let alone = read(&wire[one.begins..one.ends], || usize::MAX);
        assert_eq!(alone.requests.len(), 1, "{alone:?}");
        let alone = &alone.requests[0];
        assert_eq!((&alone.line, &alone.body), (&one.line, &one.body));
        assert_eq!(alone.ends, one.ends - one.begins);
    }
}

#[derive(PartialEq, Debug)]
struct Read {
    requests: Vec<One>,
    /// Why there are no more; empty: there are no more bytes.
    refused: &'static str,
}

#[derive(PartialEq, Debug)]
struct One {
    line: String,
    body: Vec<u8>,
    begins: usize,
    ends: usize,
}

/// Bytes that arrive piece by piece.
struct Arriving<'a, F> {
    rest: &'a [u8],
    piece: F,
    buf: BytesMut,
}

impl<F: FnMut() -> usize> Arriving<'_, F> {
    /// Whether there was more.
    fn more(&mut self) -> bool {
        let (came, rest) = self.rest.split_at((self.piece)().min(self.rest.len()));
        self.buf.extend_from_slice(came);
        self.rest = rest;
        !came.is_empty()
    }

    /// Where the next request begins.
    fn place(&self, wire: &[u8]) -> usize {
        wire.len() - self.rest.len() - self.buf.len()
    }
}

/// As the server reads a connection.
fn read(wire: &[u8], piece: impl FnMut() -> usize) -> Read {
    let mut arriving = Arriving { rest: wire, piece, buf: BytesMut::new() };
    let mut requests = Vec::new();
    loop {
        let begins = arriving.place(wire);
        match next(&mut arriving) {
            Ok(Some((line, body))) => {
                requests.push(One { line, body, begins, ends: arriving.place(wire) });
            }
            Ok(None) => return Read { requests, refused: "" },
            Err(error) => return Read { requests, refused: error.code },
        }
    }
}

/// The next request; `None` if there are not enough bytes for one.
fn next<F: FnMut() -> usize>(
    arriving: &mut Arriving<'_, F>,
) -> Result<Option<(String, Vec<u8>)>, CodecError> {
    let head = loop {
        if let HeadStatus::Complete(head, taken) = parse_head(&arriving.buf)? {
            arriving.buf.advance(taken);
            break head;
        }
        if !arriving.more() {
            return Ok(None);
        }
    };
    let mut body = BytesMut::new();
    let mut decoder = BodyDecoder::new(head.body, LIMIT)?;
    while decoder.decode(&mut arriving.buf, &mut body)? == Progress::More {
        if !arriving.more() {
            return Ok(None);
        }
    }
    let line = format!("{} {} {:?}", head.method, head.path(), head.query());
    Ok(Some((line, body.to_vec())))
}

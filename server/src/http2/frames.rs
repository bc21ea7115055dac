//! The heads of frames in a stream of bytes (RFC 9113 section 4.1), however it is cut. Payloads are
//! passed over, but for the code of an error.

/// A frame that has begun, or all of it, where its code matters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) flags: u8,
    /// Bytes of its payload.
    pub(super) len: usize,
    /// The code of RST_STREAM or GOAWAY; of others 0.
    pub(super) code: u32,
}

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
/// Of DATA and HEADERS.
pub(super) const END_STREAM: u8 = 1;
/// Of SETTINGS and PING.
pub(super) const ACK: u8 = 1;

const HEAD_BYTES: usize = 9;
/// The last stream, then the code.
const GOAWAY_BYTES: usize = 8;
const RST_STREAM_BYTES: usize = 4;

/// Where one direction of a connection is.
pub(super) struct Scanner {
    /// A head, and as much of the payload as is looked at.
    seen: [u8; HEAD_BYTES + GOAWAY_BYTES],
    have: usize,
    /// Bytes that are passed over.
    skip: usize,
}

impl Scanner {
    /// `skip`: bytes before the first frame.
    pub(super) fn new(skip: usize) -> Scanner {
        Scanner { seen: [0; HEAD_BYTES + GOAWAY_BYTES], have: 0, skip }
    }

    /// Tells of every frame whose head ends in these bytes.
    pub(super) fn scan(&mut self, mut bytes: &[u8], mut tell: impl FnMut(Frame)) {
        while !bytes.is_empty() {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            let taken = (self.wanted() - self.have).min(bytes.len());
            self.seen[self.have..self.have + taken].copy_from_slice(&bytes[..taken]);
            self.have += taken;
            bytes = &bytes[taken..];
            if self.have >= HEAD_BYTES && self.have == self.wanted() {
                let frame = self.frame();
                self.skip = (HEAD_BYTES + frame.len) - self.have;
                self.have = 0;
                tell(frame);
            }
        }
    }

    /// How much of a frame is looked at.
    fn wanted(&self) -> usize {
        if self.have < HEAD_BYTES {
            return HEAD_BYTES;
        }
        let looked_at = match self.seen[3] {
            RST_STREAM => RST_STREAM_BYTES,
            GOAWAY => GOAWAY_BYTES,
            _ => 0,
        };
        HEAD_BYTES + looked_at.min(self.len())
    }

    fn len(&self) -> usize {
        let [a, b, c, ..] = self.seen;
        usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c)
    }

    fn frame(&self) -> Frame {
        let (kind, flags) = (self.seen[3], self.seen[4]);
        let at = match kind {
            RST_STREAM => HEAD_BYTES,
            _ => HEAD_BYTES + GOAWAY_BYTES - RST_STREAM_BYTES,
        };
        let whole = matches!(kind, RST_STREAM | GOAWAY) && self.have >= at + RST_STREAM_BYTES;
        let code = self.seen[at..at + RST_STREAM_BYTES].iter();
        let code = code.fold(0, |code, byte| code << 8 | u32::from(*byte));
        Frame { kind, flags, len: self.len(), code: if whole { code } else { 0 } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let len = (payload.len() as u32).to_be_bytes();
        [&len[1..], &[kind, flags, 0, 0, 0, 1], payload].concat()
    }

    fn scanned(skip: usize, bytes: &[u8], piece: usize) -> Vec<Frame> {
        let mut scanner = Scanner::new(skip);
        let mut found = Vec::new();
        bytes.chunks(piece).for_each(|piece| scanner.scan(piece, |frame| found.push(frame)));
        found
    }

    #[test]
    fn frames_are_found_however_they_are_cut() {
        let bytes = [
            b"before".to_vec(),
            frame(SETTINGS, 0, &[0; 6]),
            frame(HEADERS, 5, &[7; 300]),
            frame(DATA, END_STREAM, &[]),
            frame(RST_STREAM, 0, &[0, 0, 1, 8]),
            frame(GOAWAY, 0, &[0, 0, 0, 9, 0, 0, 0, 11, b'x', b'y']),
            // Too short, too long: not ours to judge.
            frame(RST_STREAM, 0, &[1, 2]),
            frame(RST_STREAM, 0, &[0, 0, 0, 2, 1]),
            frame(GOAWAY, 0, &[1]),
            frame(0x77, 0xff, &[1; 9]),
        ]
        .concat();
        let want = [
            (SETTINGS, 0, 6, 0),
            (HEADERS, 5, 300, 0),
            (DATA, END_STREAM, 0, 0),
            (RST_STREAM, 0, 4, 0x108),
            (GOAWAY, 0, 10, 11),
            (RST_STREAM, 0, 2, 0),
            (RST_STREAM, 0, 5, 2),
            (GOAWAY, 0, 1, 0),
            (0x77, 0xff, 9, 0),
        ];
        let want = want.map(|(kind, flags, len, code)| Frame { kind, flags, len, code });
        for piece in [1, 2, 3, 7, 9, 10, 64, bytes.len()] {
            assert_eq!(scanned(6, &bytes, piece), want, "in pieces of {piece}");
        }
    }
}

//! The heads of frames (RFC 9113 section 4.1), and those in a stream of bytes, however it is cut.
//! Payloads are passed over, but for the code of an error.

/// What every frame begins with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Head {
    pub(super) kind: u8,
    pub(super) flags: u8,
    /// 0: the connection.
    pub(super) stream: u32,
    /// Bytes of its payload.
    pub(super) len: usize,
}

/// A frame that has begun, or all of it, where its code matters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Frame {
    pub(super) head: Head,
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
pub(super) const CONTINUATION: u8 = 9;
/// Of no meaning: whoever gets it ignores it (section 4.1).
pub(super) const UNKNOWN: u8 = 0xff;
/// Of DATA and HEADERS.
pub(super) const END_STREAM: u8 = 1;
/// Of HEADERS and CONTINUATION.
pub(super) const END_HEADERS: u8 = 4;
/// Of SETTINGS and PING.
pub(super) const ACK: u8 = 1;

/// What a client sends before its first frame.
pub(super) const PREFACE_BYTES: usize = 24;
pub(super) const HEAD_BYTES: usize = 9;
/// The last stream, then the code.
const GOAWAY_BYTES: usize = 8;
const RST_STREAM_BYTES: usize = 4;

impl Head {
    /// `None`: there are not enough bytes.
    pub(super) fn parse(bytes: &[u8]) -> Option<Head> {
        bytes.first_chunk().map(Head::of)
    }

    fn of(&[a, b, c, kind, flags, d, e, f, g]: &[u8; HEAD_BYTES]) -> Head {
        let len = u32::from_be_bytes([0, a, b, c]) as usize;
        // The first bit means nothing.
        let stream = u32::from_be_bytes([d, e, f, g]) & !(1 << 31);
        Head { kind, flags, stream, len }
    }

    /// Whether its fields go on in the next frame, which nothing may come before.
    pub(super) fn fields_go_on(self) -> bool {
        matches!(self.kind, HEADERS | CONTINUATION) && self.flags & END_HEADERS == 0
    }

    pub(super) fn encode(self) -> [u8; HEAD_BYTES] {
        let [_, a, b, c] = (self.len as u32).to_be_bytes();
        let [d, e, f, g] = self.stream.to_be_bytes();
        [a, b, c, self.kind, self.flags, d, e, f, g]
    }
}

/// Where one direction of a connection is.
pub(super) struct Scanner {
    /// A head, and as much of the payload as is looked at.
    seen: [u8; HEAD_BYTES + GOAWAY_BYTES],
    have: usize,
    /// Bytes that are passed over.
    skip: usize,
    /// Fields have begun and go on in the next frame.
    in_fields: bool,
}

impl Scanner {
    /// `skip`: bytes before the first frame.
    pub(super) fn new(skip: usize) -> Scanner {
        Scanner { seen: [0; HEAD_BYTES + GOAWAY_BYTES], have: 0, skip, in_fields: false }
    }

    /// Whether any frame may come next.
    pub(super) fn is_between_frames(&self) -> bool {
        self.have == 0 && self.skip == 0 && !self.in_fields
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
                self.skip = (HEAD_BYTES + frame.head.len) - self.have;
                self.have = 0;
                self.in_fields = frame.head.fields_go_on();
                tell(frame);
            }
        }
    }

    /// How much of a frame is looked at.
    fn wanted(&self) -> usize {
        if self.have < HEAD_BYTES {
            return HEAD_BYTES;
        }
        let head = self.head();
        let looked_at = match head.kind {
            RST_STREAM => RST_STREAM_BYTES,
            GOAWAY => GOAWAY_BYTES,
            _ => 0,
        };
        HEAD_BYTES + looked_at.min(head.len)
    }

    fn head(&self) -> Head {
        let [head @ .., _, _, _, _, _, _, _, _] = &self.seen;
        Head::of(head)
    }

    fn frame(&self) -> Frame {
        let head = self.head();
        let at = match head.kind {
            RST_STREAM => HEAD_BYTES,
            _ => HEAD_BYTES + GOAWAY_BYTES - RST_STREAM_BYTES,
        };
        let whole = matches!(head.kind, RST_STREAM | GOAWAY) && self.have >= at + RST_STREAM_BYTES;
        let code = self.seen[at..at + RST_STREAM_BYTES].iter();
        let code = code.fold(0, |code, byte| code << 8 | u32::from(*byte));
        Frame { head, code: if whole { code } else { 0 } }
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
        let want = want.map(|(kind, flags, len, code)| {
            let head = Head { kind, flags, stream: 1, len };
            assert_eq!(Head::parse(&head.encode()), Some(head));
            Frame { head, code }
        });
        for piece in [1, 2, 3, 7, 9, 10, 64, bytes.len()] {
            assert_eq!(scanned(6, &bytes, piece), want, "in pieces of {piece}");
        }
    }
    #[test]
    fn frames_and_fields_are_not_broken_into() {
        let mut scanner = Scanner::new(0);
        let mut after = |bytes: &[u8]| {
            scanner.scan(bytes, |_| {});
            scanner.is_between_frames()
        };
        assert!(after(&frame(DATA, 0, &[0; 5])));
        assert!(!after(&frame(DATA, 0, &[0; 5])[..3]));
        assert!(!after(&frame(DATA, 0, &[0; 5])[3..11]));
        assert!(after(&frame(DATA, 0, &[0; 5])[11..]));
        assert!(!after(&frame(HEADERS, END_STREAM, &[0; 5])));
        assert!(!after(&frame(CONTINUATION, 0, &[0; 5])));
        assert!(after(&frame(CONTINUATION, END_HEADERS, &[0; 5])));
    }
}

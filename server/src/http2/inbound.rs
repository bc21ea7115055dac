//! What a client says of windows, on its way to `h2`: the [lane](super::lane) hears it first, and
//! `h2` is told its own part of what is granted.
//!
//! Bytes stay where they are. A frame that grants something is changed in place; one that grants
//! `h2` nothing becomes a frame of no meaning. A frame that is looked at is held back until it is
//! whole, every other passes as it comes.

use bytes::BytesMut;

use super::frames::{
    ACK, HEAD_BYTES, HEADERS, Head, PREFACE_BYTES, RST_STREAM, SETTINGS, UNKNOWN, WINDOW_UPDATE,
};
use super::lane::Lane;
use crate::config::limits::HTTP2_FRAME_BYTES;

/// See the module.
pub(super) struct Inbound {
    /// The begin of a frame that is not whole.
    held: BytesMut,
    /// Bytes that pass unseen.
    pass: usize,
    /// Fields have begun and go on in the next frame.
    in_fields: bool,
}

impl Inbound {
    pub(super) fn new() -> Inbound {
        Inbound { held: BytesMut::new(), pass: PREFACE_BYTES, in_fields: false }
    }

    /// Whether `h2` may be told something else now.
    pub(super) fn is_between_frames(&self) -> bool {
        self.pass == 0 && !self.in_fields
    }

    /// Takes in what has come; what `h2` gets of it.
    pub(super) fn take_in(&mut self, came: BytesMut, lane: &Lane) -> BytesMut {
        let mut bytes = came;
        if !self.held.is_empty() {
            self.held.extend_from_slice(&bytes);
            bytes = std::mem::take(&mut self.held);
        }
        let mut at = self.pass.min(bytes.len());
        self.pass -= at;
        while at < bytes.len() {
            let rest = &mut bytes[at..];
            let head = Head::parse(rest);
            let Some(head) = head.filter(|head| rest.len() >= looked_at(*head)) else {
                self.held = bytes.split_off(at);
                break;
            };
            hear(head, &mut rest[..looked_at(head)], lane);
            self.in_fields = head.fields_go_on();
            let whole = HEAD_BYTES + head.len;
            let passed = whole.min(rest.len());
            self.pass = whole - passed;
            at += passed;
        }
        bytes
    }
}

/// Bytes of a frame that must be there.
fn looked_at(head: Head) -> usize {
    let with_payload = match head.kind {
        WINDOW_UPDATE | RST_STREAM => head.len == 4,
        // One that is larger is refused by `h2`.
        SETTINGS => head.flags & ACK == 0 && head.len <= HTTP2_FRAME_BYTES as usize,
        _ => false,
    };
    if with_payload { HEAD_BYTES + head.len } else { HEAD_BYTES }
}

fn hear(head: Head, frame: &mut [u8], lane: &Lane) {
    let payload = &frame[HEAD_BYTES..];
    match (head.kind, payload.first_chunk()) {
        (HEADERS, _) => lane.opens(head.stream),
        (RST_STREAM, Some(_)) => lane.reset(head.stream),
        (SETTINGS, _) if head.flags & ACK == 0 => lane.settings_came(initial_window(payload)),
        (WINDOW_UPDATE, Some(more)) => {
            let more = u32::from_be_bytes(*more) & !(1 << 31);
            // None at all is an error, and `h2` says so.
            let told = if more == 0 { 0 } else { lane.grant(head.stream, more) };
            if told != more {
                frame[HEAD_BYTES..].copy_from_slice(&told.to_be_bytes());
            }
            if told == 0 && more > 0 {
                let nothing = Head { kind: UNKNOWN, ..head };
                frame[..HEAD_BYTES].copy_from_slice(&nothing.encode());
            }
        }
        _ => {}
    }
}

/// An increment of the connection's window, as if the client had sent it.
pub(super) fn window_update(more: u32) -> BytesMut {
    let head = Head { kind: WINDOW_UPDATE, flags: 0, stream: 0, len: 4 };
    BytesMut::from_iter(head.encode().into_iter().chain(more.to_be_bytes()))
}

/// What settings say of it last. Too large a value ends the connection in `h2`.
fn initial_window(payload: &[u8]) -> Option<u32> {
    let (settings, _) = payload.as_chunks::<6>();
    let mut sizes = settings.iter().filter_map(|&[a, b, c, d, e, f]| {
        (u16::from_be_bytes([a, b]) == INITIAL_WINDOW_SIZE)
            .then_some(u32::from_be_bytes([c, d, e, f]))
    });
    sizes.rfind(|size| *size < 1 << 31)
}

/// SETTINGS_INITIAL_WINDOW_SIZE (section 6.5.2).
const INITIAL_WINDOW_SIZE: u16 = 4;

#[cfg(test)]
mod tests {
    use super::super::frames::{DATA, END_HEADERS};
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let head = Head { kind, flags, stream, len: payload.len() };
        [&head.encode(), payload].concat()
    }

    fn update(stream: u32, more: u32) -> Vec<u8> {
        frame(WINDOW_UPDATE, 0, stream, &more.to_be_bytes())
    }

    /// What `h2` gets when bytes come in pieces of this size.
    fn passed(lane: &Lane, bytes: &[u8], piece: usize) -> Vec<u8> {
        let mut inbound = Inbound::new();
        let pieces = bytes.chunks(piece).map(BytesMut::from);
        pieces.flat_map(|piece| inbound.take_in(piece, lane)).collect()
    }

    #[test]
    fn h2_hears_what_concerns_it_however_bytes_come() {
        let settings = [0, 3, 0, 0, 0, 9, 0, 4, 0, 1, 0, 0, 0, 4, 0, 0, 0x80, 0];
        let before = [
            vec![b'P'; PREFACE_BYTES],
            frame(SETTINGS, 0, 0, &settings),
            frame(SETTINGS, ACK, 0, &[]),
            frame(HEADERS, END_HEADERS, 1, &[7; 40]),
            frame(DATA, 0, 1, &[WINDOW_UPDATE; 300]),
            update(1, 500),
            update(9, 500),
            // For `h2` to judge.
            update(1, 0),
            frame(WINDOW_UPDATE, 0, 1, &[1, 2, 3]),
            frame(RST_STREAM, 0, 1, &[1]),
            frame(SETTINGS, 0, 0, &[0, 4, 0]),
        ]
        .concat();
        // The lane takes its part of what is new: `h2` gets the rest.
        let all = [before.clone(), update(0, 1 << 20), update(0, 10)].concat();
        let want = [before, update(0, 1 << 19), update(0, 5)].concat();
        for piece in [1, 2, 5, 9, 10, 13, 64, all.len()] {
            let lane = Lane::new(10);
            assert_eq!(passed(&lane, &all, piece), want, "in pieces of {piece}");
            lane.settings_are_answered();
            assert_eq!(lane.window(1).left(&lane), 0x8000 + 500);
        }
    }

    #[test]
    fn what_the_lane_gets_back_means_nothing_to_h2() {
        let lane = Lane::new(10);
        let mut inbound = Inbound { pass: 0, ..Inbound::new() };
        let mut hear = |bytes: Vec<u8>| inbound.take_in(BytesMut::from(&bytes[..]), &lane).to_vec();
        hear([frame(HEADERS, END_HEADERS, 1, &[]), update(0, 1000)].concat());
        let window = lane.window(1);
        window.goes_through_h2(1);
        lane.data_of_h2_went(1, 1);
        assert!(lane.takes(&window, 400));
        assert_eq!(hear(update(1, 300)), frame(UNKNOWN, 0, 1, &[0; 4]));
        assert_eq!(hear(update(1, 300)), update(1, 200));
        assert_eq!(hear(update(0, 400)), frame(UNKNOWN, 0, 0, &[0; 4]));
        assert!(!window.is_gone());
        assert_eq!(hear(frame(RST_STREAM, 0, 1, &[0, 0, 0, 8])).len(), 13);
        assert!(window.is_gone());
    }
}

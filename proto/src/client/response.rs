//! What a response says about the stream, taken out of its fields.
//!
//! Lenient, as a client must be (sections 5.6 - 5.8): a field that is absent or malformed is
//! `None`, and the caller decides what it cannot do without.

use crate::headers;
use crate::http1::Fields;
use crate::offset::Offset;

/// The protocol's response fields.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct StreamFields {
    /// `Stream-Next-Offset`, verbatim: offsets of other servers look different.
    pub next_offset: Option<Box<str>>,
    /// `Stream-Cursor`, verbatim.
    pub cursor: Option<Box<str>>,
    /// `Stream-Up-To-Date: true`.
    pub up_to_date: bool,
    /// `Stream-Closed: true`.
    pub closed: bool,
    /// `stream-sse-data-encoding: base64`.
    pub base64: bool,
    /// `Producer-Epoch`.
    pub producer_epoch: Option<u64>,
    /// `Producer-Seq`.
    pub producer_seq: Option<u64>,
    /// `Producer-Expected-Seq`.
    pub producer_expected_seq: Option<u64>,
}

impl StreamFields {
    /// Takes them out of a response's fields.
    #[must_use]
    pub fn from_fields(fields: &Fields) -> StreamFields {
        let text = |name| fields.get(name).map(Box::from);
        let number = |name| fields.get(name).and_then(|value| value.parse().ok());
        let says = |name, want: &str| {
            fields.get(name).is_some_and(|value| value.eq_ignore_ascii_case(want))
        };
        StreamFields {
            next_offset: text(headers::STREAM_NEXT_OFFSET),
            cursor: text(headers::STREAM_CURSOR),
            up_to_date: says(headers::STREAM_UP_TO_DATE, "true"),
            closed: says(headers::STREAM_CLOSED, "true"),
            base64: says(headers::STREAM_SSE_DATA_ENCODING, "base64"),
            producer_epoch: number(headers::PRODUCER_EPOCH),
            producer_seq: number(headers::PRODUCER_SEQ),
            producer_expected_seq: number(headers::PRODUCER_EXPECTED_SEQ),
        }
    }

    /// `Stream-Next-Offset` as an offset of this server.
    #[must_use]
    pub fn offset(&self) -> Option<Offset> {
        self.next_offset.as_deref().and_then(Offset::parse)
    }
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;
    use crate::http1::response_head::{ResponseHeadStatus, parse_response_head};

    fn fields(lines: &str) -> StreamFields {
        let text = format!("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n{lines}\r\n");
        match parse_response_head(text.as_bytes(), &Method::GET) {
            Ok(ResponseHeadStatus::Complete(head, _)) => StreamFields::from_fields(&head.fields),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn fields_of_a_read() {
        let got = fields(
            "Stream-Next-Offset: 0000000000000007_0000000000000042\r\nStream-Cursor: 9\r\n\
             Stream-Up-To-Date: true\r\nstream-closed: TRUE\r\n\
             stream-sse-data-encoding: base64\r\n",
        );
        assert_eq!(got.offset(), Some(Offset { epoch: 7, position: 42 }));
        assert_eq!(got.cursor.as_deref(), Some("9"));
        assert!(got.up_to_date && got.closed && got.base64);
        assert_eq!(fields("Stream-Next-Offset: 12\r\n").offset(), None);
        assert_eq!(fields("Stream-Up-To-Date: 1\r\n"), StreamFields::default());
    }

    #[test]
    fn fields_of_an_append() {
        let got = fields("Producer-Epoch: 1\r\nProducer-Seq: 2\r\nProducer-Expected-Seq: x\r\n");
        assert_eq!((got.producer_epoch, got.producer_seq), (Some(1), Some(2)));
        assert_eq!(got.producer_expected_seq, None);
    }
}

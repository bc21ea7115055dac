//! Records as bytes. The one place that knows their layout: see `docs/format.md`, "Records".
//!
//! Invariant: a record can be verified alone, without its group: its CRC covers everything but
//! itself, and it names its stream and position, so that a misdirected read is noticed. The data
//! is the last part of it, in one piece, so that readers get a slice of what was read.

mod decode;
mod encode;
mod fields;
mod span;

pub use decode::{decode_at, payload_of};
pub(crate) use encode::{encode, encoded_len};
pub(crate) use fields::{
    decode_config, decode_mark, decode_path, decode_retention, encode_config, encode_mark,
    encode_retention, has_retention,
};

pub(crate) use span::peek;
pub use span::{SpanRecord, SpanRecords};

const CRC_AT: usize = 0;
const LEN_AT: usize = CRC_AT + 4;
const KIND_AT: usize = LEN_AT + 4;
const FLAGS_AT: usize = KIND_AT + 1;
const ZERO_AT: usize = FLAGS_AT + 1;
const DATA_LEN_AT: usize = ZERO_AT + 2;
const STREAM_AT: usize = DATA_LEN_AT + 4;
const TIME_AT: usize = STREAM_AT + 8;
const POSITION_AT: usize = TIME_AT + 8;
/// Bytes before the fields that depend on the kind.
pub const RECORD_HEADER_BYTES: usize = POSITION_AT + 8;

const _: () = assert!(DATA_LEN_AT == 12 && STREAM_AT == 16 && RECORD_HEADER_BYTES == 40);

const KIND_CREATE: u8 = 1;
const KIND_APPEND: u8 = 2;
const KIND_SOFT_DELETE: u8 = 3;
const KIND_DELETE: u8 = 4;
const KIND_TOUCH: u8 = 5;
const KIND_SUBSCRIPTION: u8 = 6;
const KIND_TRIM: u8 = 7;

const FLAG_CLOSE: u8 = 1;
const FLAG_PRODUCER: u8 = 2;
const FLAG_SEQ: u8 = 4;
const FLAG_RETENTION: u8 = 8;

#[cfg(test)]
mod tests;

//! Record decoding: any bytes, as they are and with a length and a CRC that are right.

use bytes::Bytes;
use thalweg_storage::record::{RECORD_HEADER_BYTES, decode_at, payload_of};

pub fn check(data: &[u8]) {
    decode(&Bytes::copy_from_slice(data));
    if data.len() >= RECORD_HEADER_BYTES {
        decode(&sealed(data.to_vec()));
    }
}

fn decode(bytes: &Bytes) {
    let Ok((record, len)) = decode_at(bytes) else { return };
    assert!((RECORD_HEADER_BYTES..=bytes.len()).contains(&len));
    let again = decode_at(&bytes.slice(..len)).expect("what follows a record does not matter");
    assert_eq!(again, (record.clone(), len));
    if let (Some(id), Some((position, payload))) = (record.stream_id(), record.payload()) {
        let alone = payload_of(&bytes.slice(..len), id, position).expect("readable alone");
        assert_eq!(alone, *payload);
    }
}

/// Length (byte 4) and CRC (byte 0) as the format has them.
fn sealed(mut record: Vec<u8>) -> Bytes {
    let len = record.len() as u32;
    record[4..8].copy_from_slice(&len.to_le_bytes());
    let crc = crc32c::crc32c(&record[4..]);
    record[..4].copy_from_slice(&crc.to_le_bytes());
    record.into()
}

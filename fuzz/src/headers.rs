//! The fixed headers: segment, group, `LAYOUT`; as they are and with a CRC that is right.

use thalweg_storage::format::{FORMAT_VERSION, OLDEST_FORMAT_VERSION};
use thalweg_storage::group::{GROUP_HEADER_BYTES, GROUP_MAGIC, GroupHeader};
use thalweg_storage::layout::{LAYOUT_MAGIC, Layout};
use thalweg_storage::segment::{SEGMENT_HEADER_BYTES, SEGMENT_MAGIC, SegmentHeader};

pub fn check(data: &[u8]) {
    group(data);
    let _ = (SegmentHeader::decode(data), Layout::decode(data));
    for version in OLDEST_FORMAT_VERSION..=FORMAT_VERSION {
        segment(data, version);
        layout(data, version);
    }
}

fn group(data: &[u8]) {
    let _ = GroupHeader::decode(data);
    if data.len() < GROUP_HEADER_BYTES {
        return;
    }
    let mut group = data.to_vec();
    group.resize(data.len().next_multiple_of(4096), 0);
    group[..4].copy_from_slice(&GROUP_MAGIC);
    let payload = (data.len() - GROUP_HEADER_BYTES) as u32;
    group[28..32].copy_from_slice(&payload.to_le_bytes());
    let crc = crc32c::crc32c(&group[8..]);
    group[4..8].copy_from_slice(&crc.to_le_bytes());
    if let Ok((header, chain)) = GroupHeader::decode(&group) {
        assert_eq!((header.payload_len, chain), (payload, crc));
        assert_eq!(header.group_bytes(), group.len() as u64);
    }
}

fn segment(data: &[u8], version: u32) {
    let mut block = vec![0; SEGMENT_HEADER_BYTES];
    block[..8].copy_from_slice(&SEGMENT_MAGIC);
    block[8..12].copy_from_slice(&version.to_le_bytes());
    let room = &mut block[12..SEGMENT_HEADER_BYTES - 4];
    let len = data.len().min(room.len());
    room[..len].copy_from_slice(&data[..len]);
    let crc = crc32c::crc32c(&block[..SEGMENT_HEADER_BYTES - 4]);
    block[SEGMENT_HEADER_BYTES - 4..].copy_from_slice(&crc.to_le_bytes());
    let _ = SegmentHeader::decode(&block);
}

fn layout(data: &[u8], version: u32) {
    let mut file = [&LAYOUT_MAGIC[..], &version.to_le_bytes(), data].concat();
    let crc = crc32c::crc32c(&file);
    file.extend_from_slice(&crc.to_le_bytes());
    let _ = Layout::decode(&file);
}

//! Groups, segments and buffers, without a disk.

use thalweg_proto::stream::record::{Payload, Record, StreamId};
use thalweg_proto::time::Timestamp;

use super::{Group, LogConfig, LogWriter, ResumePoint, TakeGroup};
use crate::buffer::BLOCK_BYTES;
use crate::factory::PreparedSegment;
use crate::group::GroupHeader;
use crate::location::{LogId, LogPosition, Lsn};
use crate::segment::SegmentHeader;

const BLOCK: u64 = BLOCK_BYTES as u64;

fn writer() -> LogWriter {
    let position = LogPosition::origin(Lsn(0));
    let resume = ResumePoint { log: LogId(3), position, segment: None };
    let config = LogConfig {
        segment_bytes: 8 * BLOCK,
        max_group_bytes: 2 * BLOCK_BYTES,
        ..LogConfig::default()
    };
    LogWriter::new(resume, config)
}

fn append(writer: &mut LogWriter, len: usize) -> Lsn {
    writer.append(&Record::Append {
        id: StreamId(1),
        at: Timestamp(0),
        position: 0,
        payload: Payload { bytes: vec![7; len].into(), cuts: Vec::new() },
        producer: None,
        seq: None,
        close: false,
    })
}

/// The next group, with segments as asked for.
fn take(writer: &mut LogWriter) -> Group {
    loop {
        match writer.take_group() {
            TakeGroup::Nothing => panic!("nothing to write"),
            TakeGroup::Group(group) => return group,
            TakeGroup::NeedSegment { segment, min_bytes } => {
                let salt = u64::from(segment.number);
                writer.provide_segment(PreparedSegment { segment, bytes: min_bytes, salt });
            }
        }
    }
}

#[test]
fn the_header_comes_first_and_alone() {
    let mut writer = writer();
    assert!(matches!(writer.take_group(), TakeGroup::Nothing));
    assert_eq!(append(&mut writer, 10), Lsn(1));
    let header = take(&mut writer);
    assert_eq!((header.file_offset, header.bytes.len()), (0, BLOCK_BYTES));
    assert_eq!(SegmentHeader::decode(header.bytes.as_ref()).unwrap().previous_lsn, Lsn(0));
    assert!(matches!(writer.take_group(), TakeGroup::Nothing), "one write at a time");
    writer.written(header);
    assert_eq!(writer.durable_lsn(), Lsn(0));
    let group = take(&mut writer);
    assert_eq!((group.file_offset, group.last_lsn), (BLOCK, Lsn(1)));
    let placed = group.placements[0].span.location;
    assert_eq!((placed.file_offset, placed.record_len), (4096 + 40, 40 + 4 + 10));
    assert_eq!(writer.pending_bytes(), 0);
    writer.written(group);
    assert_eq!(writer.durable_lsn(), Lsn(1));
}

#[test]
fn groups_fill_up_to_the_maximum_and_chain() {
    let mut writer = writer();
    for _ in 0..5 {
        append(&mut writer, 3000);
    }
    let header = take(&mut writer);
    writer.written(header);
    let mut chain = 0;
    for (first, records) in [(1, 2), (3, 2), (5, 1)] {
        let group = take(&mut writer);
        let (header, crc) = GroupHeader::decode(group.bytes.as_ref()).unwrap();
        assert_eq!((header.first_lsn, header.records), (Lsn(first), records));
        assert_eq!(header.chain, chain);
        chain = crc;
        writer.written(group);
    }
    assert_eq!(writer.durable_lsn(), Lsn(5));
}

#[test]
fn groups_do_not_span_segments() {
    let mut writer = writer();
    let mut places = Vec::new();
    for _ in 0..5 {
        append(&mut writer, 5000);
    }
    while writer.pending_bytes() > 0 {
        let group = take(&mut writer);
        places.push((group.segment.number, group.file_offset / BLOCK));
        writer.written(group);
    }
    assert_eq!(places, [(1, 0), (1, 1), (1, 3), (1, 5), (2, 0), (2, 1), (2, 3)]);
    assert_eq!(writer.next_segment().number, 3);
}

#[test]
fn a_huge_record_gets_a_segment_of_its_size() {
    let mut writer = writer();
    append(&mut writer, 100_000);
    let TakeGroup::NeedSegment { segment, min_bytes } = writer.take_group() else {
        panic!("a segment is needed");
    };
    assert_eq!(min_bytes, (1 + 25) * BLOCK);
    writer.provide_segment(PreparedSegment { segment, bytes: 8 * BLOCK, salt: 1 });
    assert!(matches!(writer.take_group(), TakeGroup::NeedSegment { .. }), "too small");
    let header = take(&mut writer);
    writer.written(header);
    assert_eq!(take(&mut writer).bytes.len() as u64, 25 * BLOCK);
}

#[test]
fn room_is_what_the_segment_has_left() {
    let mut writer = writer();
    let small = Record::Delete { id: StreamId(1), at: Timestamp(1) };
    assert!(!writer.has_room(&small), "there is no segment yet");
    append(&mut writer, 10);
    let header = take(&mut writer);
    assert!(!writer.has_room(&small), "a write is under way");
    writer.written(header);
    let group = take(&mut writer);
    writer.written(group);
    let mut groups = 0;
    while writer.has_room(&small) {
        writer.append(&small);
        let group = take(&mut writer);
        assert_eq!(group.segment.number, 1);
        writer.written(group);
        groups += 1;
    }
    assert_eq!(groups, 6, "a header and seven groups are a segment");
    writer.append(&small);
    assert!(matches!(writer.take_group(), TakeGroup::NeedSegment { .. }));
}

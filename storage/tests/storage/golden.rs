//! Format version 1 as bytes: the fixtures were written once and must be read for ever.
//!
//! A change here is a change of the format: give it a new version and new fixtures, and keep
//! these. `THALWEG_BLESS=1` writes the fixtures of a new version.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use thalweg_proto::content_type::ContentType;
use thalweg_proto::offset::Offset;
use thalweg_proto::path::StreamPath;
use thalweg_proto::stream::config::{Expiry, ForkOrigin, Inherited, StreamConfig};
use thalweg_proto::stream::record::{Payload, ProducerMark, Record, StreamId};
use thalweg_proto::time::Timestamp;
use thalweg_storage::{Disk, Durability, MemoryDisk};

use crate::world::{World, small_config};

const FILES: [(&str, &str); 3] = [
    ("log-0/segment-0000000000000001.log", "segment-v1.hex"),
    ("checkpoints/checkpoint-0-0000000000000001", "checkpoint-v1.hex"),
    ("LAYOUT", "layout-v1.hex"),
];

fn text(bytes: &'static str, cuts: &[u32]) -> Payload {
    Payload { bytes: Bytes::from_static(bytes.as_bytes()), cuts: cuts.to_vec() }
}

fn create(id: u64, path: &str, fork: Option<Box<ForkOrigin>>, expiry: Expiry) -> Record {
    let content_type = ContentType::parse("application/json; charset=utf-8").unwrap();
    Record::Create {
        id: StreamId(id),
        at: Timestamp(1_700_000_000_000 + id),
        path: StreamPath::new(path).unwrap(),
        config: StreamConfig { content_type, expiry, fork },
        payload: text("{\"a\":1},2,", &[8]),
        close: false,
    }
}

/// One record of each kind, with and without every optional field.
fn records() -> [Vec<Record>; 3] {
    let at = Timestamp(1_700_000_001_000);
    let path = |text| StreamPath::new(text).unwrap();
    let origin = ForkOrigin {
        source: path("b"),
        source_id: StreamId(2),
        requested_offset: Some(Offset { epoch: 2, position: 10 }),
        sub_offset: 0,
        inherited_expiry: true,
        lineage: vec![
            Inherited { path: path("a"), id: StreamId(1), end: 4 },
            Inherited { path: path("b"), id: StreamId(2), end: 10 },
        ],
    };
    let append = |position, producer, seq: Option<&str>, close| Record::Append {
        id: StreamId(1),
        at,
        position,
        payload: text("[3],", &[]),
        producer,
        seq: seq.map(Into::into),
        close,
    };
    let mark = ProducerMark { id: "producer".into(), epoch: 3, seq: 0 };
    [
        vec![
            create(1, "a/€", None, Expiry::Never),
            create(2, "b", None, Expiry::At(Timestamp(1_900_000_000_000))),
            create(3, "c", Some(Box::new(origin)), Expiry::Ttl { seconds: 60 }),
            append(10, None, None, false),
        ],
        vec![
            append(14, Some(mark), Some("seq-1"), true),
            Record::Touch { id: StreamId(3), at },
            Record::SoftDelete { id: StreamId(1), at },
            Record::Subscription { event: Bytes::from_static(b"event--1") },
        ],
        vec![
            Record::Delete { id: StreamId(2), at },
            Record::Subscription { event: Bytes::from_static(b"event--2") },
        ],
    ]
}

fn open(disk: &Arc<dyn Disk>) -> World {
    let config = small_config(Durability::Sync);
    World::open(disk, Path::new("/data"), 1, config, 0x5a17).unwrap()
}

/// Two groups, a checkpoint, one more group.
fn build() -> (Arc<dyn Disk>, World) {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let mut world = open(&disk);
    let [first, second, third] = records();
    for (group, checkpoint) in [(first, false), (second, true), (third, false)] {
        for record in group {
            if let Record::Create { id, .. } = &record {
                world.next_id = id.0 + 1;
            }
            world.append(0, &record);
        }
        world.pump(0);
        if checkpoint {
            world.checkpoint(0);
        }
    }
    (disk, world)
}

#[test]
fn version_1_is_written_and_read() {
    let (disk, world) = build();
    let (contents, events) = (world.contents(), world.events());
    let from_fixtures: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    for (file, fixture) in FILES {
        let path = Path::new("/data").join(file);
        let opened = disk.open(&path).unwrap();
        let mut bytes = vec![0; opened.len().unwrap() as usize];
        opened.read_at(&mut bytes, 0).unwrap();
        let fixture =
            PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(fixture);
        if std::env::var_os("THALWEG_BLESS").is_some() {
            std::fs::write(&fixture, to_hex(&bytes)).unwrap();
        }
        let golden = std::fs::read_to_string(&fixture).unwrap();
        assert!(to_hex(&bytes) == golden, "{file} is not what {} says", fixture.display());
        let copy = from_fixtures.create(&path).unwrap();
        copy.write_at(&from_hex(&golden), 0).unwrap();
    }
    let recovered = open(&from_fixtures);
    assert_eq!(recovered.contents(), contents);
    assert_eq!(recovered.events(), events);
    assert_eq!(recovered.stats.records, 2, "the checkpoint has the others");
}

/// The tables of `docs/format.md` name consecutive bytes.
#[test]
fn the_document_has_no_gaps() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/format.md");
    let document = std::fs::read_to_string(path).unwrap();
    let mut expected = None;
    let mut rows = 0;
    for line in document.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let number = |cell: usize| cells.get(cell).and_then(|text| text.parse::<u64>().ok());
        match (cells.get(1), number(1), number(2)) {
            (Some(&"at"), ..) => expected = Some(0),
            (_, Some(at), Some(len)) if expected.is_some() => {
                assert_eq!(Some(at), expected, "{line}");
                expected = Some(at + len);
                rows += 1;
            }
            _ => {}
        }
    }
    assert!(rows > 30, "found {rows} rows");
}

/// Sixteen bytes a line; lines of zeros are left out; the last line is the length.
fn to_hex(bytes: &[u8]) -> String {
    let mut out = String::new();
    for (index, line) in bytes.chunks(16).enumerate() {
        if line.iter().any(|byte| *byte != 0) {
            write!(out, "{:08x}:", index * 16).unwrap();
            line.iter().for_each(|byte| write!(out, " {byte:02x}").unwrap());
            out.push('\n');
        }
    }
    writeln!(out, "{:08x}", bytes.len()).unwrap();
    out
}

fn from_hex(text: &str) -> Vec<u8> {
    let number = |digits: &str| usize::from_str_radix(digits, 16).unwrap();
    let len = number(text.lines().last().unwrap());
    let mut bytes = vec![0; len];
    for line in text.lines() {
        let Some((at, line)) = line.split_once(':') else { break };
        for (index, byte) in line.split_whitespace().enumerate() {
            bytes[number(at) + index] = number(byte) as u8;
        }
    }
    bytes
}

//! The format as bytes, version by version: fixtures were written once and must be read for ever.
//!
//! A change here is a change of the format: give it a new version and new fixtures, and keep
//! these. `THALWEG_BLESS=1` writes the fixtures of the newest version.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use thalweg_proto::content_type::ContentType;
use thalweg_proto::offset::Offset;
use thalweg_proto::path::StreamPath;
use thalweg_proto::stream::config::{Expiry, ForkOrigin, Inherited, StreamConfig};
use thalweg_proto::stream::record::{Payload, ProducerMark, Record, StreamId};
use thalweg_proto::stream::retention::Retention;
use thalweg_proto::time::Timestamp;
use thalweg_storage::format::FORMAT_VERSION;
use thalweg_storage::{Disk, Durability, MemoryDisk};

use crate::world::{World, small_config};

/// Files, and what their fixtures begin with.
const FILES: [(&str, &str); 3] = [
    ("log-0/segment-0000000000000001.log", "segment"),
    ("checkpoints/checkpoint-0-0000000000000001", "checkpoint"),
    ("LAYOUT", "layout"),
];

fn text(bytes: &'static str, cuts: &[u32]) -> Payload {
    Payload { bytes: Bytes::from_static(bytes.as_bytes()), cuts: cuts.to_vec() }
}

fn create(id: u64, path: &str, fork: Option<Box<ForkOrigin>>, expiry: Expiry) -> Record {
    create_with(id, path, (fork, expiry, Retention::default()))
}

fn create_with(
    id: u64,
    path: &str,
    (fork, expiry, retention): (Option<Box<ForkOrigin>>, Expiry, Retention),
) -> Record {
    let content_type = ContentType::parse("application/json; charset=utf-8").unwrap();
    Record::Create {
        id: StreamId(id),
        at: Timestamp(1_700_000_000_000 + id),
        path: StreamPath::new(path).unwrap(),
        config: StreamConfig { content_type, expiry, retention, fork },
        payload: text("{\"a\":1},2,", &[8]),
        close: false,
    }
}

/// One record of each kind of version 1, with and without every optional field.
fn version_1() -> [Vec<Record>; 3] {
    let at = Timestamp(1_700_000_001_000);
    let path = |text| StreamPath::new(text).unwrap();
    let origin = ForkOrigin {
        inherits_from: 0,
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

/// What version 2 added, between what there was.
fn version_2() -> [Vec<Record>; 3] {
    let at = |ms: u64| Timestamp(1_700_000_002_000 + ms);
    let retention = Retention { bytes: Some(20), seconds: Some(3600) };
    let origin = ForkOrigin {
        source: StreamPath::new("kept").unwrap(),
        source_id: StreamId(4),
        requested_offset: None,
        sub_offset: 0,
        inherited_expiry: true,
        inherits_from: 10,
        lineage: vec![Inherited {
            path: StreamPath::new("kept").unwrap(),
            id: StreamId(4),
            end: 14,
        }],
    };
    let append = |ms, position| Record::Append {
        id: StreamId(4),
        at: at(ms),
        position,
        payload: text("[3],", &[]),
        producer: None,
        seq: None,
        close: false,
    };
    let trim = |ms, to| Record::Trim { id: StreamId(4), at: at(ms), to };
    let no_limit = Retention { bytes: Some(0), seconds: None };
    let fork = Some(Box::new(origin));
    let [mut first, mut second, mut third] = version_1();
    first.extend([
        create_with(4, "kept", (None, Expiry::Never, retention)),
        append(0, 10),
        append(500, 14),
    ]);
    second.extend([
        trim(600, 10),
        create_with(5, "fork", (fork, Expiry::Never, no_limit)),
        append(5000, 18),
    ]);
    third.extend([trim(6000, 14), append(7000, 22)]);
    [first, second, third]
}

fn open(disk: &Arc<dyn Disk>) -> World {
    let config = small_config(Durability::Sync);
    World::open(disk, Path::new("/data"), 1, config, 0x5a17).unwrap()
}

/// Two groups, a checkpoint, one more group.
fn build(records: [Vec<Record>; 3]) -> (Arc<dyn Disk>, World) {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let mut world = open(&disk);
    let [first, second, third] = records;
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

fn fixture(name: &str, version: u32) -> PathBuf {
    let file = format!("{name}-v{version}.hex");
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(file)
}

/// A data directory of fixtures, with the `FORMAT` of the program that wrote it.
fn golden(version: u32) -> Arc<dyn Disk> {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let put = |name: &str, bytes: &[u8]| {
        disk.create(&Path::new("/data").join(name)).unwrap().write_at(bytes, 0).unwrap();
    };
    for (file, name) in FILES {
        put(file, &from_hex(&std::fs::read_to_string(fixture(name, version)).unwrap()));
    }
    put("FORMAT", format!("format = {version}\ncreated-by = thalweg {version}\n").as_bytes());
    disk
}

fn content(disk: &Arc<dyn Disk>, file: &str) -> Vec<u8> {
    let opened = disk.open(&Path::new("/data").join(file)).unwrap();
    let mut bytes = vec![0; opened.len().unwrap() as usize];
    opened.read_at(&mut bytes, 0).unwrap();
    bytes
}

#[test]
fn the_newest_version_is_written_as_its_fixtures_say() {
    let (disk, _) = build(version_2());
    for (file, name) in FILES {
        let (bytes, fixture) = (content(&disk, file), fixture(name, FORMAT_VERSION));
        if std::env::var_os("THALWEG_BLESS").is_some() {
            std::fs::write(&fixture, to_hex(&bytes)).unwrap();
        }
        let golden = std::fs::read_to_string(&fixture).unwrap();
        assert!(to_hex(&bytes) == golden, "{file} is not what {} says", fixture.display());
    }
}

#[test]
fn every_version_is_read_and_goes_on() {
    for (version, records, replayed) in [(1, version_1(), 2), (2, version_2(), 4)] {
        let (_, world) = build(records);
        let disk = golden(version);
        let mut recovered = open(&disk);
        assert_eq!(recovered.contents(), world.contents(), "version {version}");
        assert_eq!(recovered.events(), world.events(), "version {version}");
        assert_eq!(recovered.stats.records, replayed, "the checkpoint has the others");
        let format = String::from_utf8(content(&disk, "FORMAT")).unwrap();
        assert!(format.starts_with(&format!("format = {FORMAT_VERSION}\n")), "{format}");
        // Writing goes on in the same segment, with records of the newest version.
        let retention = Retention { bytes: None, seconds: Some(1) };
        recovered.append(0, &create_with(9, "new", (None, Expiry::Never, retention)));
        recovered.pump(0);
        let after_crash = open(&disk);
        assert_eq!(after_crash.contents(), recovered.contents(), "version {version}");
        recovered.checkpoint(0);
        let after_checkpoint = open(&disk);
        assert_eq!(after_checkpoint.contents(), recovered.contents(), "version {version}");
        assert_eq!(after_checkpoint.stats.records, 0, "the checkpoint has them all");
    }
}

#[test]
fn newer_files_are_refused_by_version() {
    for file in ["LAYOUT", "log-0/segment-0000000000000001.log"] {
        let disk = golden(2);
        let mut bytes = content(&disk, file);
        bytes[8..12].copy_from_slice(&3u32.to_le_bytes());
        let covered = if file == "LAYOUT" { bytes.len() - 4 } else { 4092 };
        let crc = crc32c::crc32c(&bytes[..covered]);
        bytes[covered..covered + 4].copy_from_slice(&crc.to_le_bytes());
        disk.open(&Path::new("/data").join(file)).unwrap().write_at(&bytes, 0).unwrap();
        let config = small_config(Durability::Sync);
        let result = World::open(&disk, Path::new("/data"), 1, config, 0);
        let error = result.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains("version is 3; this binary reads up to 2"), "{file}: {error}");
    }
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

//! A directory with everything in it, damaged in every way: each byte flipped, each file cut
//! short, each file gone. The inspector finds it, a repair makes it start, and nothing is lost but
//! what was hit.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use thalweg_proto::content_type::ContentType;
use thalweg_proto::path::StreamPath;
use thalweg_proto::stream::config::{Expiry, ForkOrigin, Inherited, StreamConfig};
use thalweg_proto::stream::record::{Payload, ProducerMark, Record, StreamId};
use thalweg_proto::stream::retention::Retention;
use thalweg_proto::time::Timestamp;
use thalweg_storage::data_dir::check_format;
use thalweg_storage::inspect::{Inspection, Severity, inspect};
use thalweg_storage::record::SpanRecords;
use thalweg_storage::repair::{Plan, apply, plan};
use thalweg_storage::{Disk, Durability, MemoryDisk, StoredStream, recover};

use crate::world::{World, place, small_config};

const DIR: &str = "/data";
const CORES: usize = 2;
const STREAMS: u64 = 9;
/// Deleted in the middle.
const DELETED: u64 = 4;

/// Files with their content.
pub(crate) type Files = BTreeMap<PathBuf, Vec<u8>>;
/// What a stream has: its bytes, `None` where they cannot be read.
type Contents = BTreeMap<u64, Vec<Option<u8>>>;

fn path(id: u64) -> StreamPath {
    StreamPath::new(&format!("x/{id}/stream")).unwrap()
}

fn create(id: u64, fork: Option<Box<ForkOrigin>>) -> Record {
    let content_type = ContentType::parse("text/plain").unwrap();
    Record::Create {
        id: StreamId(id),
        at: Timestamp(1_000 + id),
        path: path(id),
        config: StreamConfig {
            content_type,
            expiry: Expiry::Never,
            retention: Retention::default(),
            fork,
        },
        payload: payload(format!("created {id} ").as_bytes()),
        close: false,
    }
}

fn payload(bytes: &[u8]) -> Payload {
    Payload { bytes: Bytes::copy_from_slice(bytes), cuts: Vec::new() }
}

fn append(world: &mut World, id: u64, bytes: &[u8], seq: u64) {
    let core = place(&path(id), CORES);
    let position = world.cores[core].streams[&StreamId(id)].state.tail;
    let producer = Some(ProducerMark { id: "p".into(), epoch: 1, seq });
    let (id, at) = (StreamId(id), Timestamp(2_000 + seq));
    let payload = payload(bytes);
    let record = Record::Append { id, at, position, payload, producer, seq: None, close: false };
    world.append(core, &record);
}

/// Two cores, several segments each, sealed and not, two checkpoints each, a tail behind them.
fn build() -> Files {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let mut world =
        World::open(&disk, Path::new(DIR), CORES, small_config(Durability::Sync), 7).unwrap();
    for id in 1..=STREAMS {
        let lineage = vec![Inherited { path: path(1), id: StreamId(1), end: 8 }];
        let fork = ForkOrigin {
            source: path(1),
            source_id: StreamId(1),
            requested_offset: None,
            sub_offset: 0,
            inherited_expiry: false,
            inherits_from: 0,
            lineage,
        };
        let fork = (id == STREAMS).then(|| Box::new(fork));
        world.next_id = id + 1;
        world.append(place(&path(id), CORES), &create(id, fork));
    }
    for round in 0..10 {
        for id in (1..=STREAMS).filter(|id| *id != DELETED || round < 2) {
            let text = format!("<{id}:{round}>").repeat(300);
            append(&mut world, id, text.as_bytes(), round);
        }
        if round == 1 {
            let core = place(&path(DELETED), CORES);
            world.append(core, &Record::Delete { id: StreamId(DELETED), at: Timestamp(1) });
        }
        let event = Record::Subscription { event: Bytes::from_static(b"event--1") };
        world.append(0, &event);
        for core in 0..CORES {
            world.pump(core);
            if round == 6 || round == 7 {
                world.checkpoint(core);
            }
            if round == 7 {
                world.seal_all(core);
                world.checkpoint(core);
            }
        }
    }
    check_format(&*disk, Path::new(DIR), "thalweg test").unwrap();
    files_of(&*disk, Path::new(DIR))
}

pub(crate) fn files_of(disk: &dyn Disk, dir: &Path) -> Files {
    let mut files = Files::new();
    for name in disk.list(dir).unwrap() {
        let path = dir.join(name);
        match disk.open(&path) {
            Ok(file) => {
                let mut bytes = vec![0; file.len().unwrap() as usize];
                file.read_at(&mut bytes, 0).unwrap();
                files.insert(path, bytes);
            }
            Err(_) => files.extend(files_of(disk, &path)),
        }
    }
    files
}

pub(crate) fn disk_of(files: &Files) -> Arc<dyn Disk> {
    let disk = MemoryDisk::new();
    for (path, bytes) in files {
        disk.create(path).unwrap().write_at(bytes, 0).unwrap();
    }
    Arc::new(disk)
}

fn look(disk: &Arc<dyn Disk>) -> Inspection {
    inspect(&**disk, Path::new(DIR), &|_| {}).unwrap()
}

/// What a start finds, read back record by record.
fn start(disk: &Arc<dyn Disk>) -> Result<Contents, String> {
    let dir = Path::new(DIR);
    check_format(&**disk, dir, "thalweg test").map_err(|error| error.to_string())?;
    let found = recover(disk, dir, CORES, &|path| place(path, CORES));
    let found = found.map_err(|error| error.to_string())?;
    let streams = found.cores.iter().flat_map(|core| &core.streams);
    Ok(streams.map(|stream| (stream.state.id.0, read(&**disk, stream))).collect())
}

fn read(disk: &dyn Disk, stream: &StoredStream) -> Vec<Option<u8>> {
    let mut content = Vec::new();
    for span in stream.extents.iter() {
        let file = disk.open(&span.location.segment.path(Path::new(DIR))).unwrap();
        let mut bytes = vec![0; span.location.record_len as usize];
        let read = file.read_at(&mut bytes, span.location.file_offset.into());
        let mut records = SpanRecords::new(bytes.into(), stream.state.id, span.position);
        let end = content.len() + span.len as usize;
        while read.is_ok()
            && let Some(Ok(record)) = records.next()
        {
            content.extend(record.payload.bytes.iter().copied().map(Some));
        }
        content.resize(end, None);
    }
    content
}

/// Inspects, repairs, starts, and compares. Returns what was planned.
fn check(what: &str, sound: &Contents, files: &Files) -> Option<Plan> {
    let disk = disk_of(files);
    let found = look(&disk);
    let plan = plan(&found);
    let refused = start(&disk_of(files)).err();
    let Some(plan) = plan else {
        // Only what a torn write could have done goes unseen.
        assert_eq!(refused, None, "{what}: no damage was found, and it does not start");
        return None;
    };
    let report = ("now", "report", "test");
    apply(&disk, Path::new(DIR), &found, &plan, report).unwrap();
    let again = look(&disk);
    let left = again.findings.iter().filter(|finding| finding.severity == Severity::Damage);
    let left: Vec<String> = left.map(ToString::to_string).collect();
    assert!(left.is_empty(), "{what}: after the repair {left:?}");
    let started = start(&disk).unwrap_or_else(|error| panic!("{what}: after the repair {error}"));
    // What was the last record of a stream, nobody misses.
    let may_be_short = found.findings.iter().any(|finding| finding.loses_records());
    let hit: BTreeSet<u64> =
        plan.lost.iter().chain(&plan.unknown).map(|affected| affected.id.0).collect();
    for (id, content) in sound {
        let Some(now) = started.get(id) else {
            let may_be_gone = may_be_short || hit.contains(id);
            assert!(may_be_gone, "{what}: stream {id} is gone without a word: {plan:?}");
            continue;
        };
        for (at, (was, is)) in content.iter().zip(now).enumerate() {
            assert!(is.is_none() || was == is, "{what}: stream {id} has another byte at {at}");
        }
        let is_whole = content == now || may_be_short && content.starts_with(now);
        assert!(is_whole || hit.contains(id), "{what}: stream {id} lost bytes without a word");
    }
    for id in started.keys() {
        assert!(sound.contains_key(id), "{what}: stream {id} came from nowhere");
    }
    Some(plan)
}

fn relative(path: &Path) -> &Path {
    path.strip_prefix(DIR).unwrap()
}

#[test]
fn a_sound_directory_is_sound() {
    let files = build();
    let disk = disk_of(&files);
    let found = look(&disk);
    assert_eq!(found.findings, [], "nothing to say");
    assert!(plan(&found).is_none());
    let is_sealed = |path: &PathBuf| path.to_string_lossy().ends_with(".seg");
    assert!(files.keys().any(is_sealed), "{:?}", files.keys());
    let contents = start(&disk).unwrap();
    assert_eq!(contents.len() as u64, STREAMS - 1);
    assert_eq!(found.streams.len(), contents.len());
    let stats = found.stats(2);
    let live: u64 = stats.segments.iter().map(|segment| segment.live_places).sum();
    assert_eq!((stats.largest.len(), live), (2, stats.places));
    assert_eq!(files_of(&*disk_of(&files), Path::new(DIR)), files, "looking changes nothing");
}

/// The last group of each log may be a torn write: flips there are not damage for sure.
fn last_groups(files: &Files) -> Vec<(PathBuf, u64)> {
    let found = look(&disk_of(files));
    let ends = found.logs.iter().filter_map(|log| Some((log, log.end?)));
    ends.map(|(log, end)| {
        let segment = log.segments.iter().find(|s| s.segment.number == end.segment).unwrap();
        (segment.segment.path(Path::new(DIR)), end.file_offset)
    })
    .collect()
}

#[test]
fn every_flipped_byte_is_found_and_repaired() {
    let files = build();
    let sound = start(&disk_of(&files)).unwrap();
    let ends = last_groups(&files);
    let mut flips = 0;
    for (path, bytes) in &files {
        let end = ends.iter().find(|(file, _)| file == path).map(|(_, end)| *end);
        let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        // All of the small structures, and a sample of the rest; the step is odd on purpose.
        let step = if bytes.len() < 1024 { 1 } else { 701 };
        let heads = (0..used).filter(|at| at % 4096 < 48 && at % 4096 % 11 == 0);
        let at: BTreeSet<usize> = (0..used).step_by(step).chain(heads).collect();
        for at in at {
            let mut files = files.clone();
            files.get_mut(path).unwrap()[at] ^= 1 << (at % 8);
            let what = format!("{} byte {at}", path.display());
            let planned = check(&what, &sound, &files);
            let found = look(&disk_of(&files));
            let in_last = end.is_some_and(|end| at as u64 + 8 * 1024 >= end);
            if planned.is_none() {
                let begun = found.logs.iter().flat_map(|log| &log.segments);
                let is_free = begun.clone().any(|segment| {
                    segment.segment.path(Path::new(DIR)) == *path && segment.end == 0
                });
                assert!(in_last || is_free, "{what} was not noticed");
            } else {
                let named = found.findings.iter().any(|f| f.file == relative(path));
                assert!(named, "{what}: found elsewhere only: {:?}", found.findings);
            }
            flips += 1;
        }
    }
    assert!(flips > 700, "{flips} flips");
}

#[test]
fn files_cut_short_and_files_gone() {
    let files = build();
    let sound = start(&disk_of(&files)).unwrap();
    for (path, bytes) in &files {
        let step = if bytes.len() <= 8192 { 7 } else { 4093 };
        for len in (0..bytes.len()).step_by(step) {
            let mut files = files.clone();
            files.get_mut(path).unwrap().truncate(len);
            check(&format!("{} cut to {len}", path.display()), &sound, &files);
        }
        let mut files = files.clone();
        files.remove(path);
        let what = format!("{} gone", path.display());
        let planned = check(&what, &sound, &files);
        assert!(planned.is_some() || !path.to_string_lossy().contains("checkpoint"), "{what}");
    }
}

/// The segment after it was made ahead, so the last one was in use: that tells it from one that was
/// being made.
#[test]
fn a_tail_segment_cut_to_nothing() {
    let files = build();
    let sound = start(&disk_of(&files)).unwrap();
    for (last, _) in last_groups(&files) {
        let name = last.file_name().unwrap().to_str().unwrap();
        let number: u32 = name.trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap();
        let ahead = last.with_file_name(format!("segment-{:016}.log", number + 1));
        let with_ahead = |len: Option<usize>| {
            let mut files = files.clone();
            files.insert(ahead.clone(), vec![0; files[&last].len()]);
            match len {
                Some(len) => files.get_mut(&last).unwrap().truncate(len),
                None => drop(files.remove(&last)),
            }
            files
        };
        assert_eq!(start(&disk_of(&with_ahead(Some(usize::MAX)))).as_ref(), Ok(&sound));
        for len in [None, Some(0), Some(512), Some(4095)] {
            let files = with_ahead(len);
            let what = format!("{} cut to {len:?}", last.display());
            let refused = start(&disk_of(&files)).err().unwrap_or_default();
            assert!(refused.contains(name), "{what}: {refused:?}");
            let found = look(&disk_of(&files));
            assert!(found.findings.iter().any(|f| f.file == relative(&last)), "{what}");
            assert!(check(&what, &sound, &files).is_some(), "{what}");
        }
    }
}

/// What a fork inherits from a stream that is wholly gone is lost once, not at every look.
#[test]
fn a_fork_without_its_source_is_known_after_a_repair() {
    let mut files = build();
    // Everything of the source's core goes: checkpoints, logs, sealed segments.
    let core = place(&path(1), CORES);
    files.retain(|file, _| {
        let file = file.to_string_lossy();
        !file.contains(&format!("log-{core}/")) && !file.contains(&format!("checkpoint-{core}-"))
    });
    let disk = disk_of(&files);
    let found = look(&disk);
    let planned = plan(&found).unwrap();
    let fork_is_elsewhere = place(&path(STREAMS), CORES) != core;
    assert_eq!(planned.orphaned.len(), usize::from(fork_is_elsewhere), "{:?}", found.findings);
    apply(&disk, Path::new(DIR), &found, &planned, ("now", "", "test")).unwrap();
    let again = look(&disk);
    assert!(!again.is_damaged(), "{:?}", again.findings);
    let notes = again.findings.iter().filter(|finding| finding.kind == "fork").count();
    assert_eq!(notes, planned.orphaned.len());
    assert!(fork_is_elsewhere, "the fixture has them on different cores");
}

#[test]
fn a_repair_keeps_what_it_replaces() {
    let files = build();
    let sound = start(&disk_of(&files)).unwrap();
    let newest = Path::new(DIR).join("checkpoints/checkpoint-0-0000000000000003");
    let mut damaged = files.clone();
    damaged.get_mut(&newest).unwrap()[100] ^= 1;
    let disk = disk_of(&damaged);
    let found = look(&disk);
    let plan = plan(&found).unwrap();
    assert_eq!(plan.moved, [relative(&newest)]);
    assert!(plan.lost.is_empty() && plan.rewritten.is_empty(), "the other one is good");
    let names = ("now", "what happened", "test");
    let quarantine = apply(&disk, Path::new(DIR), &found, &plan, names).unwrap();
    let after = files_of(&*disk, Path::new(DIR));
    let kept = |name: &str| &after[&quarantine.join(name)];
    assert_eq!(kept("report.txt"), b"what happened");
    assert_eq!(kept("LAYOUT"), &files[&Path::new(DIR).join("LAYOUT")]);
    assert_eq!(kept("checkpoints/checkpoint-0-0000000000000003"), &damaged[&newest]);
    assert!(!after.contains_key(&newest));
    assert_eq!(start(&disk).unwrap(), sound);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever is in the files, looking and repairing never panic.
    #[test]
    fn arbitrary_bytes(
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        junk in prop::collection::vec(any::<u8>(), 0..600),
        keep_magic in any::<bool>(),
        also in any::<prop::sample::Index>(),
    ) {
        let mut files = build();
        let names: Vec<PathBuf> = files.keys().cloned().collect();
        let first = which.get(&names);
        let bytes = files.get_mut(first).unwrap();
        if keep_magic {
            let at = at.index(bytes.len());
            let end = (at + junk.len()).min(bytes.len());
            bytes[at..end].copy_from_slice(&junk[..end - at]);
        } else {
            *bytes = junk.clone();
        }
        let second = files.get_mut(also.get(&names)).unwrap();
        let middle = second.len() / 2;
        if let Some(byte) = second.get_mut(middle) {
            *byte ^= 0x10;
        }
        let disk = disk_of(&files);
        if let Ok(found) = inspect(&*disk, Path::new(DIR), &|_| {})
            && let Some(plan) = plan(&found)
        {
            apply(&disk, Path::new(DIR), &found, &plan, ("now", "", "test")).unwrap();
            let started = start(&disk);
            prop_assert!(started.is_ok(), "{:?}", started.err());
        }
    }
}

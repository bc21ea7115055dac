//! What must hold on any disk, and what recovery says about damage.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use thalweg_proto::content_type::ContentType;
use thalweg_proto::path::StreamPath;
use thalweg_proto::stream::config::{Expiry, StreamConfig};
use thalweg_proto::stream::record::{Payload, ProducerMark, Record, StreamId};
use thalweg_proto::stream::retention::Retention;
use thalweg_proto::time::Timestamp;
use thalweg_storage::{Disk, Durability, LogId, MemoryDisk, RealDisk, SegmentRef, recover_on};

use crate::world::{World, place, small_config};

pub(crate) fn on_both(test: impl Fn(&Arc<dyn Disk>, &Path)) {
    let memory: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    test(&memory, Path::new("/data"));
    let real: Arc<dyn Disk> = Arc::new(RealDisk);
    let dir = tempfile::tempdir().unwrap();
    test(&real, &dir.path().join("data"));
}

pub(crate) fn open(disk: &Arc<dyn Disk>, dir: &Path, cores: usize) -> World {
    try_open(disk, dir, cores).unwrap_or_else(|error| panic!("{error}"))
}

pub(crate) fn try_open(disk: &Arc<dyn Disk>, dir: &Path, cores: usize) -> Result<World, String> {
    let config = small_config(Durability::Sync);
    World::open(disk, dir, cores, config, 42).map_err(|error| error.to_string())
}

pub(crate) fn create(world: &mut World, payload: &[u8]) -> (usize, StreamId) {
    let id = StreamId(world.next_id);
    world.next_id += 1;
    let path = StreamPath::new(&format!("s/{}", id.0)).unwrap();
    let core = place(&path, world.cores.len());
    let content_type = ContentType::parse("text/plain; charset=utf-8").unwrap();
    let config = StreamConfig {
        content_type,
        expiry: Expiry::Never,
        retention: Retention::default(),
        fork: None,
    };
    let payload = Payload { bytes: Bytes::copy_from_slice(payload), cuts: Vec::new() };
    let record = Record::Create { id, at: Timestamp(5), path, config, payload, close: false };
    world.append(core, &record);
    (core, id)
}

pub(crate) fn append(world: &mut World, core: usize, id: StreamId, payload: &[u8]) {
    let position = world.cores[core].streams[&id].state.tail;
    let record = Record::Append {
        id,
        at: Timestamp(6),
        position,
        payload: Payload { bytes: Bytes::copy_from_slice(payload), cuts: Vec::new() },
        producer: Some(ProducerMark { id: "p".into(), epoch: 0, seq: position }),
        seq: Some(format!("{position:08}").into()),
        close: false,
    };
    world.append(core, &record);
}

/// One core, one stream, one group for each payload.
pub(crate) fn one_stream(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    payloads: &[&[u8]],
) -> (World, StreamId) {
    let mut world = open(disk, dir, 1);
    let (core, id) = create(&mut world, b"");
    world.pump(core);
    for payload in payloads {
        append(&mut world, core, id, payload);
        world.pump(core);
    }
    (world, id)
}

#[test]
fn everything_comes_back() {
    on_both(|disk, dir| {
        let mut world = open(disk, dir, 2);
        for index in 0..40 {
            let (core, id) = create(&mut world, &[index; 700]);
            append(&mut world, core, id, &[index; 1500]);
            world.pump(core);
        }
        let want = world.contents();
        for cores in [2, 2, 3, 3, 1] {
            let mut world = open(disk, dir, cores);
            assert_eq!(world.contents(), want, "{cores} cores");
            assert_eq!(world.next_id, 41);
            world.checkpoint(0);
        }
    });
}

#[test]
fn logs_are_recovered_at_once_or_one_after_the_other() {
    on_both(|disk, dir| {
        let mut world = open(disk, dir, 4);
        for index in 0..60 {
            let (core, id) = create(&mut world, &[index; 700]);
            append(&mut world, core, id, &[index; 1500]);
            world.pump(core);
            if index == 30 {
                (0..4).for_each(|core| world.checkpoint(core));
            }
        }
        let streams = |threads| {
            let recovery = recover_on(threads, disk, dir, 4, &|path| place(path, 4)).unwrap();
            let cores = recovery.cores.into_iter().map(|core| (core.streams, core.resume));
            (cores.collect::<Vec<_>>(), recovery.stats)
        };
        let one_by_one = streams(1);
        assert!(one_by_one.1.records > 0 && one_by_one.1.checkpoint_bytes > 0);
        for threads in [2, 9] {
            assert_eq!(streams(threads), one_by_one, "{threads} threads");
        }
    });
}

#[test]
fn checkpoints_bound_the_replay_and_free_segments() {
    on_both(|disk, dir| {
        let mut world = open(disk, dir, 1);
        for round in 0..30 {
            let (core, id) = create(&mut world, &[round; 6000]);
            world.pump(core);
            world.append(core, &Record::Delete { id, at: Timestamp(9) });
            world.checkpoint(core);
        }
        assert!(world.recycled > 3, "recycled {}", world.recycled);
        let segments = disk.list(&LogId(0).dir(dir)).unwrap();
        assert!(segments.len() < 8, "{segments:?}");
        let again = open(disk, dir, 1);
        assert_eq!(again.stats.records, 0);
        assert_eq!(again.next_id, 31, "ids of deleted streams are not given out again");
        assert_eq!(disk.list(&dir.join("checkpoints")).unwrap().len(), 2);
    });
}

#[test]
fn a_damaged_checkpoint_falls_back() {
    let memory = MemoryDisk::new();
    let disk: Arc<dyn Disk> = Arc::new(memory.clone());
    let dir = Path::new("/data");
    let (mut world, id) = one_stream(&disk, dir, &[b"one"]);
    for round in 0..3 {
        append(&mut world, 0, id, &[round; 5000]);
        world.checkpoint(0);
    }
    append(&mut world, 0, id, b"last");
    world.pump(0);
    let want = world.contents();
    let checkpoints = disk.list(&dir.join("checkpoints")).unwrap();
    assert_eq!(checkpoints.len(), 2, "{checkpoints:?}");
    memory.flip_bit(&dir.join("checkpoints").join(&checkpoints[1]), 50, 3).unwrap();
    let mut world = open(&disk, dir, 1);
    assert_eq!((world.contents(), world.stats.checkpoints_damaged), (want.clone(), 1));
    world.checkpoint(0);
    assert_eq!(open(&disk, dir, 1).contents(), want);
    for name in disk.list(&dir.join("checkpoints")).unwrap() {
        memory.flip_bit(&dir.join("checkpoints").join(name), 50, 3).unwrap();
    }
    let error = try_open(&disk, dir, 1).err().unwrap();
    assert!(error.contains("no good older checkpoint"), "{error}");
}

#[test]
fn the_older_checkpoint_keeps_its_log() {
    for rounds in 8..30 {
        let memory = MemoryDisk::new();
        let disk: Arc<dyn Disk> = Arc::new(memory.clone());
        let dir = Path::new("/data");
        let (mut world, _) = one_stream(&disk, dir, &[b"stays"]);
        for round in 0..rounds {
            let (core, id) = create(&mut world, &[round; 25_000]);
            world.pump(core);
            world.append(core, &Record::Delete { id, at: Timestamp(9) });
            world.checkpoint(core);
        }
        assert!(world.recycled > 0);
        // Begins segments after the newest checkpoint, from what that one set free.
        let (core, _) = create(&mut world, &[1; 25_000]);
        world.pump(core);
        let (core, _) = create(&mut world, &[2; 25_000]);
        world.pump(core);
        let want = world.contents();
        let newest = disk.list(&dir.join("checkpoints")).unwrap().pop().unwrap();
        memory.flip_bit(&dir.join("checkpoints").join(newest), 50, 3).unwrap();
        let world = open(&disk, dir, 1);
        assert_eq!((world.contents(), world.stats.checkpoints_damaged), (want, 1));
    }
}

/// Without syncs a group can be lost and the one after it survive. Once the place of the lost one
/// is written again, the survivor must not seem to follow.
#[test]
fn a_stale_group_does_not_follow_a_new_one() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let dir = Path::new("/data");
    let open = || World::open(&disk, dir, 1, small_config(Durability::Async), 42).unwrap();
    let mut world = open();
    let (core, id) = create(&mut world, b"");
    world.pump(core);
    let lost = world.cores[0].writer.durable_position().file_offset;
    for payload in [b"lost ", b"stale"] {
        append(&mut world, core, id, payload);
        world.pump(core);
    }
    disk.open(&segment(1)).unwrap().write_at(&[0; 4096], lost).unwrap();
    let mut world = open();
    assert_eq!(world.cores[0].streams[&id].state.tail, 0);
    append(&mut world, core, id, b"newer");
    world.pump(core);
    let world = open();
    assert_eq!(world.read(&world.cores[0].streams[&id]), b"newer");
}

pub(crate) fn segment(number: u32) -> PathBuf {
    SegmentRef { log: LogId(0), number }.path(Path::new("/data"))
}

#[test]
fn a_tail_torn_at_any_byte_is_dropped_whole() {
    let payloads: [&[u8]; 4] = [b"first", b"second", b"third", &[7; 5000]];
    let lens = [0, 5, 11, 16, 5016];
    let build = || {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
        let (world, id) = one_stream(&disk, Path::new("/data"), &payloads);
        let end = world.cores[0].writer.durable_position().file_offset;
        (disk, id, end)
    };
    let (.., end) = build();
    assert_eq!(end, 4096 * 7, "header, creation, three small groups, one of two blocks");
    // The last three groups begin at blocks 3, 4 and 5. What was never written is zero.
    for cut in 3 * 4096..end {
        // Every byte of the records, every 97th of the padding and of the long payload.
        let in_block = cut % 4096;
        if in_block > 140 && in_block < 4050 && cut % 97 != 0 {
            continue;
        }
        let (disk, id, _) = build();
        let file = disk.open(&segment(1)).unwrap();
        file.write_at(&vec![0; (end - cut) as usize], cut).unwrap();
        let mut world = open(&disk, Path::new("/data"), 1);
        let found = world.cores[0].streams[&id].clone();
        let tail = found.state.tail;
        let whole = match cut / 4096 {
            3 => 1,
            4 => 2,
            _ => 3,
        };
        // Cutting zeros off the padding changes nothing.
        let want = [lens[whole], lens[whole + 1]];
        assert!(want.contains(&tail), "cut at {cut}: {tail} bytes");
        if in_block < 40 {
            assert_eq!(tail, lens[whole], "cut at {cut}");
        }
        // The place is written again.
        append(&mut world, 0, id, b"again");
        world.pump(0);
        let want = world.contents();
        assert_eq!(open(&disk, Path::new("/data"), 1).contents(), want, "cut at {cut}");
    }
}

#[test]
fn a_flipped_bit_in_acknowledged_data_is_reported() {
    let memory = MemoryDisk::new();
    let disk: Arc<dyn Disk> = Arc::new(memory.clone());
    let payloads: Vec<&[u8]> = vec![&[1; 3000]; 12];
    let (world, _) = one_stream(&disk, Path::new("/data"), &payloads);
    let position = world.cores[0].writer.durable_position();
    assert_eq!(position.segment, 2, "the log has gone on in a second segment");
    let check = |number: u32, bytes: std::ops::Range<u64>| {
        for byte in bytes.step_by(61) {
            memory.flip_bit(&segment(number), byte, (byte % 8) as u8).unwrap();
            let error = try_open(&disk, Path::new("/data"), 1).err();
            let error = error.unwrap_or_else(|| panic!("segment {number}, byte {byte}: started"));
            assert!(error.contains("acknowledged data is damaged"), "{error}");
            assert!(error.contains("/data/log-0/segment-"), "{error}");
            memory.flip_bit(&segment(number), byte, (byte % 8) as u8).unwrap();
        }
    };
    check(1, 0..32 * 1024);
    // The last group is as good as torn: nothing behind it tells.
    check(2, 0..position.file_offset - 4096);
    open(&disk, Path::new("/data"), 1);
}

#[test]
fn a_damaged_header_is_noticed_by_any_later_group() {
    let memory = MemoryDisk::new();
    let disk: Arc<dyn Disk> = Arc::new(memory.clone());
    one_stream(&disk, Path::new("/data"), &[&[1; 100][..]; 3]);
    open(&disk, Path::new("/data"), 1);
    // The header and the first group: each alone is found by the other.
    memory.flip_bit(&segment(1), 478, 3).unwrap();
    memory.flip_bit(&segment(1), 4096 + 500, 3).unwrap();
    let error = try_open(&disk, Path::new("/data"), 1).err().expect("a refused start");
    assert!(error.contains("acknowledged data is damaged"), "{error}");
}

#[test]
fn missing_and_shortened_files_are_reported() {
    let check = |break_it: &dyn Fn(&Arc<dyn Disk>), want: &str| {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
        let payloads: Vec<&[u8]> = vec![&[1; 3000]; 20];
        one_stream(&disk, Path::new("/data"), &payloads);
        break_it(&disk);
        let error = try_open(&disk, Path::new("/data"), 1).err().unwrap();
        assert!(error.contains(want), "{error}");
    };
    let shorten = |disk: &Arc<dyn Disk>, number| {
        let mut bytes = vec![0; 12 * 1024];
        disk.open(&segment(number)).unwrap().read_at(&mut bytes, 0).unwrap();
        disk.create(&segment(number)).unwrap().write_at(&bytes, 0).unwrap();
    };
    check(&|disk| shorten(disk, 1), "missing or too short");
    check(&|disk| shorten(disk, 3), "missing or too short");
    check(&|disk| disk.remove(&segment(1)).unwrap(), "was begun after record");
    check(&|disk| disk.remove(&segment(2)).unwrap(), "was begun after record");
    check(&|disk| disk.remove(Path::new("/data/LAYOUT")).unwrap(), "LAYOUT is missing");
}

#[test]
fn a_read_of_damaged_bytes_is_noticed() {
    let memory = MemoryDisk::new();
    let disk: Arc<dyn Disk> = Arc::new(memory.clone());
    let (mut world, id) = one_stream(&disk, Path::new("/data"), &[b"payload"]);
    world.checkpoint(0);
    let world = open(&disk, Path::new("/data"), 1);
    let span = world.cores[0].streams[&id].extents.iter().next().unwrap();
    let mut bytes = vec![0; span.location.record_len as usize];
    let file = disk.open(&segment(1)).unwrap();
    file.read_at(&mut bytes, span.location.file_offset.into()).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    let error = thalweg_storage::record::payload_of(&bytes.into(), id, span.position).unwrap_err();
    assert!(error.to_string().contains("CRC32C of the record"), "{error}");
}

proptest::proptest! {
    #[test]
    fn arbitrary_segments_never_panic(seed in proptest::prelude::any::<u64>(), at in 0..8u64, len in 1..9000usize) {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
        one_stream(&disk, Path::new("/data"), &[b"first", b"second"]);
        let mut random = thalweg_storage::disk::SplitMix(seed);
        let noise: Vec<u8> = (0..len).map(|_| random.next_u64() as u8).collect();
        disk.open(&segment(1)).unwrap().write_at(&noise, at * 2048).unwrap();
        let _ = try_open(&disk, Path::new("/data"), 1);
    }
}

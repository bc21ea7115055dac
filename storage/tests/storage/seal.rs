//! Sealing and compaction: every byte is where it was before, whatever happens in between, and
//! space comes back.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use thalweg_proto::stream::record::{Record, StreamId};
use thalweg_proto::time::Timestamp;
use thalweg_storage::disk::SplitMix;
use thalweg_storage::sealed::{SealError, SealedFile};
use thalweg_storage::{Disk, Durability, LogId, MemoryDisk, SegmentRef};

use crate::faults::FailingDisk;
use crate::suite::{append, create, on_both, open};
use crate::world::{World, small_config};

const DIR: &str = "/data";

/// Some streams of one core over several segments, with two checkpoints behind all but the last.
fn fill(world: &mut World, streams: u64, rounds: u64) -> Vec<StreamId> {
    let ids: Vec<StreamId> = (0..streams).map(|_| create(world, b"").1).collect();
    for round in 0..rounds {
        for (index, id) in ids.iter().enumerate() {
            let len = 50 + (round as usize * 37 + index * 101) % 900;
            append(world, 0, *id, &vec![(round + id.0) as u8; len]);
        }
        world.pump(0);
    }
    world.checkpoint(0);
    world.checkpoint(0);
    ids
}

fn delete(world: &mut World, id: StreamId) {
    world.append(0, &Record::Delete { id, at: Timestamp(9) });
    world.pump(0);
}

fn files(disk: &Arc<dyn Disk>, dir: &Path, log: u32) -> Vec<String> {
    disk.list(&LogId(log).dir(dir)).unwrap()
}

fn sealed_files(world: &World) -> Vec<SegmentRef> {
    world.cores[0].segments.iter().map(|(segment, _)| segment).filter(|s| s.is_sealed()).collect()
}

/// Every sealed file is as its index says.
fn verify(world: &World) {
    for segment in sealed_files(world) {
        let mut file = SealedFile::open(&*world.disk, &world.dir, segment).unwrap();
        let mut chunks = 0;
        file.verify(&mut |entry, checked| {
            checked.unwrap_or_else(|error| panic!("{entry:?}: {error}"));
            chunks += 1;
        })
        .unwrap();
        assert_eq!(chunks, file.footer().chunks);
    }
}

#[test]
fn sealed_bytes_are_the_same_and_log_segments_go() {
    on_both(|disk, dir| {
        let mut world = open(disk, dir, 1);
        let ids = fill(&mut world, 6, 60);
        let want = world.contents();
        let before = files(disk, dir, 0).len();
        let entries: usize = world.cores[0].streams.values().map(|s| s.extents.len()).sum();
        world.seal_all(0);
        assert!(world.sealed > 3, "{} files", world.sealed);
        assert_eq!(world.contents(), want);
        verify(&world);
        let after: usize = world.cores[0].streams.values().map(|s| s.extents.len()).sum();
        assert!(after * 5 < entries, "{entries} spans before, {after} after");
        assert!(files(disk, dir, 0).len() > before, "both are there until two checkpoints");
        world.checkpoint(0);
        assert_eq!(open(disk, dir, 1).contents(), want);
        world.checkpoint(0);
        let alive =
            world.cores[0].segments.iter().filter(|(s, used)| !s.is_sealed() && used.live > 0);
        assert!(alive.count() <= 1, "only the end of the log");
        assert!(!world.cores[0].segments.take_free(99).is_empty());
        assert_eq!(open(disk, dir, 1).contents(), want);
        // What is deleted comes back, although others lived beside it.
        for id in &ids[..4] {
            delete(&mut world, *id);
        }
        for _ in 0..4 {
            world.checkpoint(0);
            world.seal_all(0);
        }
        let left = world.contents();
        assert_eq!(left.len(), 2);
        verify(&world);
        let bytes: u64 = sealed_files(&world)
            .iter()
            .map(|segment| disk.open(&segment.path(dir)).unwrap().len().unwrap())
            .sum();
        let live: u64 = left.values().map(|(_, content)| content.len() as u64).sum();
        assert!(bytes < 3 * live + 100_000, "{live} bytes live in {bytes}");
        assert_eq!(open(disk, dir, 1).contents(), left);
    });
}

#[test]
fn a_chunk_is_bounded_and_a_huge_record_has_its_own() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let dir = Path::new(DIR);
    let mut config = small_config(Durability::Sync);
    config.segment_bytes = 2 * 1024 * 1024;
    let mut world = World::open(&disk, dir, 1, config, 1).unwrap();
    let (_, id) = create(&mut world, b"");
    for index in 0..200 {
        append(&mut world, 0, id, &vec![index as u8; 5000]);
    }
    append(&mut world, 0, id, &vec![7; 600_000]);
    append(&mut world, 0, id, b"last");
    world.pump(0);
    let (_, other) = create(&mut world, &vec![1; 1_500_000]);
    world.pump(0);
    world.checkpoint(0);
    world.checkpoint(0);
    let want = world.contents();
    world.seal_all(0);
    assert_eq!(world.contents(), want);
    let spans: Vec<u32> = world.cores[0].streams[&id].extents.iter().map(|s| s.len).collect();
    assert_eq!(spans, [51 * 5000, 51 * 5000, 51 * 5000, 47 * 5000, 600_000, 4]);
    let of_other = world.cores[0].streams[&other].extents.iter().next().unwrap();
    assert!(!of_other.location.segment.is_sealed(), "it gains nothing");
}

/// A process that is killed, and a power cut, at every change that a sealing makes to the disk.
#[test]
fn a_crash_at_any_step_loses_nothing() {
    let mut ends = 0;
    for steps in 0..400 {
        let memory = MemoryDisk::new();
        let disk: Arc<dyn Disk> = Arc::new(memory.clone());
        let dir = Path::new(DIR);
        let mut world = open(&disk, dir, 1);
        let ids = fill(&mut world, 4, 25);
        world.seal_all(0);
        delete(&mut world, ids[1]);
        delete(&mut world, ids[2]);
        world.checkpoint(0);
        let want = world.contents();
        let changes_left = Arc::new(AtomicU64::new(steps));
        let inner = memory.clone();
        let failing: Arc<dyn Disk> = Arc::new(FailingDisk { inner, changes_left });
        // Compaction of what lives, checkpoints in between, removal of what does not.
        let work = || {
            let mut world = world;
            world.disk = Arc::clone(&failing);
            for round in 0..8 {
                let core = &mut world.cores[0];
                for _ in 0..200 {
                    let before = core.sealing.is_some();
                    core.try_seal_step(&failing, dir, 2).map_err(|error| error.to_string())?;
                    if !before && core.sealing.is_none() {
                        break;
                    }
                }
                world.disk = Arc::clone(&disk);
                world.checkpoint(0);
                world.disk = Arc::clone(&failing);
                append(&mut world, 0, ids[0], &[round; 700]);
                append(&mut world, 0, ids[0], &[]);
            }
            Ok(())
        };
        let result: Result<(), String> = work();
        ends += u64::from(result.is_ok());
        if let Err(error) = &result {
            assert!(error.contains("killed"), "{error}");
        }
        if steps % 2 == 0 {
            memory.crash(steps);
        }
        let world = open(&disk, dir, 1);
        let found = world.contents();
        for (id, (_, content)) in &want {
            assert!(found[id].1.starts_with(content), "{steps} steps: stream {id:?}");
        }
        assert_eq!(found.len(), want.len(), "{steps} steps");
        let unfinished = files(&disk, dir, 0).into_iter().find(|file| file.ends_with(".tmp"));
        assert_eq!(unfinished, None, "{steps} steps");
        verify(&world);
    }
    assert!(ends > 0, "no run got to its end");
}

#[test]
fn damage_in_a_sealed_segment_stays_where_it_is() {
    let memory = MemoryDisk::new();
    let disk: Arc<dyn Disk> = Arc::new(memory.clone());
    let dir = Path::new(DIR);
    let mut world = open(&disk, dir, 1);
    let ids = fill(&mut world, 12, 25);
    world.seal_all(0);
    world.checkpoint(0);
    world.checkpoint(0);
    let want = world.contents();
    let damaged = ids[2];
    let span = world.cores[0].streams[&damaged].extents.iter().next().unwrap();
    let segment = span.location.segment;
    assert!(segment.is_sealed());
    let path = segment.path(dir);
    memory.flip_bit(&path, u64::from(span.location.file_offset) + 60, 2).unwrap();
    // It is met by whoever reads it, and by nobody else.
    let mut world = open(&disk, dir, 1);
    for (id, stream) in &world.cores[0].streams {
        let read = world.try_read(stream);
        assert_eq!(read.is_err(), *id == damaged, "{id:?}");
    }
    let mut file = SealedFile::open(&*disk, dir, segment).unwrap();
    let mut wrong = Vec::new();
    file.verify(&mut |entry, checked| wrong.extend(checked.err().map(|e| (entry.stream, e))))
        .unwrap();
    assert_eq!(wrong.len(), 1);
    assert_eq!(wrong[0].0, damaged);
    assert!(
        matches!(&wrong[0].1, SealError::Damaged { offset, .. } if *offset == u64::from(span.location.file_offset))
    );
    // Compaction moves the others, and leaves this one.
    for id in ids.iter().filter(|id| **id != damaged && **id != ids[4]) {
        delete(&mut world, *id);
    }
    for _ in 0..3 {
        world.checkpoint(0);
        world.seal_all(0);
    }
    let of = |world: &World, id| -> Vec<SegmentRef> {
        world.cores[0].streams[&id].extents.iter().map(|span| span.location.segment).collect()
    };
    assert!(of(&world, damaged).contains(&segment));
    assert!(!of(&world, ids[4]).contains(&segment));
    assert_eq!(world.read(&world.cores[0].streams[&ids[4]]), want[&ids[4]].1);
    assert!(files(&disk, dir, 0).iter().any(|file| path.ends_with(file)));
    open(&disk, dir, 1);
}

#[test]
fn a_damaged_header_or_index_keeps_nobody_from_starting() {
    let build = || {
        let memory = MemoryDisk::new();
        let disk: Arc<dyn Disk> = Arc::new(memory.clone());
        let mut world = open(&disk, Path::new(DIR), 1);
        let ids = fill(&mut world, 4, 25);
        world.seal_all(0);
        world.checkpoint(0);
        world.checkpoint(0);
        (memory, disk, world, ids)
    };
    let (.., world, _) = build();
    let segment = sealed_files(&world)[0];
    let file = SealedFile::open(&*world.disk, Path::new(DIR), segment).unwrap();
    let (index_at, end) = (file.footer().index_at, file.file_bytes());
    for (byte, message) in [(20, "header"), (index_at + 5, "index"), (end - 4000, "footer")] {
        let (memory, disk, world, ids) = build();
        let want = world.contents();
        let path = segment.path(Path::new(DIR));
        memory.flip_bit(&path, byte, 1).unwrap();
        let mut world = open(&disk, Path::new(DIR), 1);
        assert_eq!(world.contents(), want, "{message}");
        let opened = SealedFile::open(&*disk, Path::new(DIR), segment);
        let error = opened.and_then(|mut file| file.verify(&mut |_, _| {})).unwrap_err();
        assert!(error.to_string().contains(message), "{error}");
        // Compaction says so and goes on with the others.
        delete(&mut world, ids[0]);
        delete(&mut world, ids[1]);
        delete(&mut world, ids[2]);
        let mut errors = 0;
        for _ in 0..3 {
            world.checkpoint(0);
            let (disk, dir) = (Arc::clone(&world.disk), world.dir.clone());
            for _ in 0..100 {
                errors += usize::from(world.cores[0].try_seal_step(&disk, &dir, 9).is_err());
            }
        }
        assert!(errors <= 1, "{message}: tried again and again");
        assert_eq!(world.read(&world.cores[0].streams[&ids[3]]), want[&ids[3]].1);
    }
    // A file that is not there at all is another matter.
    let (_, disk, ..) = build();
    disk.remove(&segment.path(Path::new(DIR))).unwrap();
    let error = World::open(&disk, Path::new(DIR), 1, small_config(Durability::Sync), 1).err();
    let error = error.unwrap().to_string();
    assert!(error.contains("sealed-") && error.contains("missing or too short"), "{error}");
}

#[test]
fn files_of_an_earlier_layout_go_while_the_server_runs() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let dir = Path::new(DIR);
    let mut world = open(&disk, dir, 1);
    fill(&mut world, 12, 20);
    // Some of it sealed, some of it not.
    for _ in 0..12 {
        world.seal_step(0, 9);
    }
    world.checkpoint(0);
    let mut world = open(&disk, dir, 3);
    assert!(world.stats.relayout);
    let want = world.contents();
    let of_old = |world: &World| world.cores.iter().flat_map(|core| core.segments.iter()).count();
    assert!(of_old(&world) > 0);
    for _ in 0..6 {
        for core in 0..3 {
            world.seal_all(core);
            world.checkpoint(core);
        }
        assert_eq!(world.contents(), want);
    }
    let left = files(&disk, dir, 0);
    assert!(left.iter().all(|file| file.starts_with("sealed")), "{left:?}");
    let mut world = open(&disk, dir, 3);
    assert_eq!(world.contents(), want);
    // When their last stream goes, so do they.
    for core in 0..3 {
        let ids: Vec<StreamId> = world.cores[core].streams.keys().copied().collect();
        for id in ids {
            world.append(core, &Record::Delete { id, at: Timestamp(9) });
        }
        world.pump(core);
    }
    for _ in 0..2 {
        (0..3).for_each(|core| world.checkpoint(core));
    }
    assert_eq!(files(&disk, dir, 0), [""; 0]);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(24))]

    /// Whatever is written, deleted and sealed, in whatever order: every range reads the same.
    #[test]
    fn every_range_reads_the_same(seed in proptest::prelude::any::<u64>()) {
        let mut random = SplitMix(seed);
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
        let mut world = open(&disk, Path::new(DIR), 1);
        let mut ids = fill(&mut world, 1 + random.below(8), 5 + random.below(20));
        for _ in 0..120 {
            match random.below(8) {
                0 => ids.push(create(&mut world, &vec![3; random.below(9000) as usize]).1),
                1..4 if !ids.is_empty() => {
                    let id = ids[random.below(ids.len() as u64) as usize];
                    append(&mut world, 0, id, &vec![seed as u8; random.below(5000) as usize]);
                }
                4 if ids.len() > 1 => {
                    let id = ids.swap_remove(random.below(ids.len() as u64) as usize);
                    delete(&mut world, id);
                }
                5 => world.checkpoint(0),
                _ => world.seal_step(0, 1 + random.below(3) as usize),
            }
            world.pump(0);
        }
        let want = world.contents();
        for stream in world.cores[0].streams.values() {
            let whole = &want[&stream.state.id].1;
            let from = random.below(whole.len() as u64 + 1);
            let max = 1 + random.below(3000);
            let spans: Vec<_> = stream.extents.covering(from, max).collect();
            let wanted = max.min(whole.len() as u64 - from);
            proptest::prop_assert!(wanted == 0 || spans[0].position <= from);
            let end = spans.last().map_or(from, |span| span.end());
            proptest::prop_assert!(end >= from + wanted);
        }
        verify(&world);
        proptest::prop_assert_eq!(open(&disk, Path::new(DIR), 1).contents(), want);
    }
}

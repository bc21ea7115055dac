//! A log that ends within its last three records, at every byte of them: what was acknowledged
//! before is there, or the start is refused and names the file.

use std::path::Path;
use std::sync::Arc;

use thalweg_storage::{Disk, MemoryDisk};

use crate::suite::{append, one_stream, open, segment, try_open};

const BLOCK: usize = 4096;
const RECORDS: [&[u8]; 3] = [b"first of three", b"second of three", b"third of three"];

/// A log with one more record before the three.
struct Log {
    bytes: Vec<u8>,
    /// Where the groups of the three records begin, and the end of each without its padding.
    groups: Vec<(usize, usize)>,
    disk: Arc<dyn Disk>,
}

impl Log {
    /// The three in one group or in three.
    fn write(in_one_group: bool) -> Log {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
        let (mut world, id) = one_stream(&disk, Path::new("/data"), &[b"earlier"]);
        let mut groups = Vec::new();
        let at = |world: &crate::world::World| {
            world.cores[0].writer.durable_position().file_offset as usize
        };
        let mut begin = at(&world);
        for record in RECORDS {
            append(&mut world, 0, id, record);
            if !in_one_group {
                world.pump(0);
                groups.push((begin, 0));
                begin = at(&world);
            }
        }
        if in_one_group {
            world.pump(0);
            groups.push((begin, 0));
        }
        let file = disk.open(&segment(1)).unwrap();
        let mut bytes = vec![0; file.len().unwrap() as usize];
        file.read_at(&mut bytes, 0).unwrap();
        for (begin, end) in &mut groups {
            let group = &bytes[*begin..*begin + BLOCK];
            *end = *begin + 1 + group.iter().rposition(|byte| *byte != 0).unwrap();
        }
        Log { bytes, groups, disk }
    }

    fn replace(&self, bytes: &[u8]) {
        self.disk.create(&segment(1)).unwrap().write_at(bytes, 0).unwrap();
    }

    /// Every byte of the three records and of their groups' headers.
    fn every_byte(&self) -> impl Iterator<Item = usize> + '_ {
        self.groups.iter().flat_map(|(begin, end)| *begin..*end)
    }

    /// The stream after a start on these bytes.
    fn content_of(&self, bytes: &[u8]) -> Result<Vec<u8>, String> {
        self.replace(bytes);
        let world = try_open(&self.disk, Path::new("/data"), 1)?;
        let stream = world.cores[0].streams.values().next().unwrap();
        Ok(world.read(stream))
    }
}

#[test]
fn a_file_cut_at_any_byte_is_refused_by_name() {
    for in_one_group in [true, false] {
        let log = Log::write(in_one_group);
        for cut in log.every_byte() {
            let error = log.content_of(&log.bytes[..cut]).expect_err("a start");
            let named = error.contains("/data/log-0/segment-0000000000000001.log");
            assert!(named && error.contains("too short"), "cut at {cut}: {error}");
        }
        log.replace(&log.bytes);
        open(&log.disk, Path::new("/data"), 1);
    }
}

#[test]
fn a_write_torn_at_any_byte_takes_its_group_and_nothing_before() {
    for in_one_group in [true, false] {
        let log = Log::write(in_one_group);
        for cut in log.every_byte() {
            let mut torn = log.bytes.clone();
            torn[cut..].fill(0);
            let whole = log.groups.iter().filter(|(_, end)| *end <= cut).count();
            let want = [&[b"earlier" as &[u8]], &RECORDS[..whole]].concat().concat();
            assert_eq!(log.content_of(&torn).as_ref(), Ok(&want), "torn at {cut}");
        }
    }
}

/// Zeros in a group with a good one behind it were no torn write: that one was written later.
#[test]
fn a_hole_at_any_byte_before_a_good_group_is_refused_by_name() {
    let log = Log::write(false);
    let last = log.groups.last().unwrap().0;
    for cut in log.every_byte().filter(|cut| *cut < last) {
        let mut holed = log.bytes.clone();
        let end = cut / BLOCK * BLOCK + BLOCK;
        holed[cut..end].fill(0);
        if holed == log.bytes {
            continue;
        }
        let error = log.content_of(&holed).expect_err("a start");
        assert!(error.contains("acknowledged data is damaged"), "{cut}: {error}");
        assert!(error.contains("/data/log-0/segment-"), "{cut}: {error}");
    }
}

//! Recovery of arbitrary bytes: a data directory that a short random history made, then damaged
//! anywhere, with checksums that are made right again or not. Whatever it is, recovery gives an
//! answer; what it accepts it accepts again, and it is the same.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use thalweg_proto::content_type::ContentType;
use thalweg_proto::path::StreamPath;
use thalweg_proto::stream::StreamState;
use thalweg_proto::stream::config::{Expiry, StreamConfig};
use thalweg_proto::stream::record::{Payload, ProducerMark, Record, StreamId};
use thalweg_proto::stream::retention::Retention;
use thalweg_proto::time::Timestamp;
use thalweg_storage::record::payload_of;
use thalweg_storage::{Disk, Durability, MemoryDisk, Recovery, recover};

use super::input::Input;
use crate::world::{World, place, small_config};

const DIR: &str = "/data";
const STEPS: usize = 64;
const EDITS: usize = 16;
const BLOCK: usize = 4096;

pub fn check(data: &[u8]) {
    let mut input = Input(data);
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    write_history(&disk, &mut input);
    let files = damage(&*disk, &mut input);
    let cores = 1 + input.below(3);
    let Ok(first) = start(&disk, cores) else { return };
    let Ok(second) = start(&disk, cores) else { panic!("accepted once: {files:?}") };
    assert_eq!(first, second, "{files:?}");
}

/// The streams that a start finds, and the bytes that can be read of each.
type Found = BTreeMap<StreamId, (StreamState, Vec<Option<Bytes>>)>;

fn start(disk: &Arc<dyn Disk>, cores: usize) -> Result<Found, String> {
    let recovery = recover(disk, Path::new(DIR), cores, &|path| place(path, cores));
    let Recovery { cores, .. } = recovery.map_err(|error| error.to_string())?;
    let streams = cores.into_iter().flat_map(|core| core.streams);
    let read = |stream: thalweg_storage::StoredStream| {
        let spans = stream.extents.iter();
        let pieces = spans.map(|span| {
            let file = disk.open(&span.location.segment.path(Path::new(DIR))).ok()?;
            let mut bytes = vec![0; span.location.record_len as usize];
            file.read_at(&mut bytes, span.location.file_offset.into()).ok()?;
            payload_of(&bytes.into(), stream.state.id, span.position).ok().map(|it| it.bytes)
        });
        let pieces = pieces.collect();
        (stream.state.id, (stream.state, pieces))
    };
    Ok(streams.map(read).collect())
}

/// A few steps of servers that are started, write, make checkpoints and stop.
fn write_history(disk: &Arc<dyn Disk>, input: &mut Input<'_>) {
    let mut world = open(disk, input);
    for _ in 0..STEPS {
        let step = input.u8();
        let core = input.below(world.cores.len());
        match step % 16 {
            0 | 1 => create(&mut world, input),
            2..=6 => append(&mut world, core, input),
            7 => end(&mut world, core, input),
            8 => {
                let event = Bytes::copy_from_slice(&input.u64().to_le_bytes());
                world.append(0, &Record::Subscription { event });
            }
            9 | 11 => world.pump(core),
            10 => trim(&mut world, core, input),
            12 => world.checkpoint_step(core, 3),
            13 => world.seal_step(core, 3),
            14 => world = open(disk, input),
            _ => break,
        }
    }
}

fn open(disk: &Arc<dyn Disk>, input: &mut Input<'_>) -> World {
    let kind = input.u8();
    let cores = 1 + usize::from(kind & 1);
    let durability = if kind & 2 == 0 { Durability::Sync } else { Durability::Async };
    let salt = u64::from(kind) << 32;
    World::open(disk, Path::new(DIR), cores, small_config(durability), salt).expect("undamaged")
}

fn payload(input: &mut Input<'_>) -> Payload {
    let len = usize::from(input.u8()) * 8;
    Payload { bytes: vec![b'd'; len].into(), cuts: Vec::new() }
}

fn create(world: &mut World, input: &mut Input<'_>) {
    let id = world.next_id;
    world.next_id += 1;
    let path = StreamPath::new(&format!("s/{id}")).expect("a path");
    let core = place(&path, world.cores.len());
    let content_type = ContentType::octet_stream();
    let seconds = id.is_multiple_of(2).then_some(id);
    let retention = Retention { bytes: None, seconds };
    let config = StreamConfig { content_type, expiry: Expiry::Never, retention, fork: None };
    let (id, at, payload) = (StreamId(id), Timestamp(id), payload(input));
    world.append(core, &Record::Create { id, at, path, config, payload, close: false });
}

fn pick(world: &World, core: usize, input: &mut Input<'_>) -> Option<StreamId> {
    let streams = &world.cores[core].streams;
    streams.keys().nth(input.below(streams.len())).copied()
}

fn append(world: &mut World, core: usize, input: &mut Input<'_>) {
    let Some(id) = pick(world, core, input) else { return };
    let position = world.cores[core].streams[&id].state.tail;
    let producer = ProducerMark { id: "p".into(), epoch: 0, seq: position };
    let record = Record::Append {
        id,
        at: Timestamp(7),
        position,
        payload: payload(input),
        producer: Some(producer),
        seq: None,
        close: false,
    };
    world.append(core, &record);
}

fn end(world: &mut World, core: usize, input: &mut Input<'_>) {
    let Some(id) = pick(world, core, input) else { return };
    let at = Timestamp(8);
    let record = match input.u8() % 3 {
        0 => Record::Touch { id, at },
        1 => Record::SoftDelete { id, at },
        _ => Record::Delete { id, at },
    };
    world.append(core, &record);
}

/// Up to the beginning of a record that is durable, as a server does.
fn trim(world: &mut World, core: usize, input: &mut Input<'_>) {
    let Some(id) = pick(world, core, input) else { return };
    let stream = &world.cores[core].streams[&id];
    let (position, earliest) = (u64::from(input.u16()), stream.state.earliest);
    if let Some(to) = stream.extents.boundary_before(position).filter(|to| *to > earliest) {
        world.append(core, &Record::Trim { id, at: Timestamp(9), to });
    }
}

/// Edits files; says which.
fn damage(disk: &dyn Disk, input: &mut Input<'_>) -> Vec<PathBuf> {
    let mut edited = Vec::new();
    for _ in 0..EDITS {
        if input.is_empty() {
            break;
        }
        let files = all_files(disk);
        let Some(path) = files.get(input.below(files.len())).cloned() else { break };
        let kind = input.u8();
        let mut bytes = read(disk, &path);
        match kind % 8 {
            0 => disk.remove(&path).expect("removed"),
            1 => {
                bytes.truncate(input.below(bytes.len() + 1));
                write(disk, &path, &bytes);
            }
            2 => write(disk, &path, input.bytes(usize::from(kind))),
            _ => {
                let at = input.below(bytes.len());
                let new = input.bytes(1 + usize::from(kind >> 5));
                for (byte, new) in bytes.iter_mut().skip(at).zip(new) {
                    *byte = *new;
                }
                if kind & 16 != 0 {
                    seal(&path, &mut bytes, at);
                }
                write(disk, &path, &bytes);
            }
        }
        edited.push(path);
    }
    edited
}

/// Makes the checksums over a place right again, as far as the format shows them.
fn seal(path: &Path, bytes: &mut [u8], at: usize) {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if name == "LAYOUT" {
        seal_at_end(bytes);
    } else if name.starts_with("segment-") && at < BLOCK && bytes.len() >= BLOCK {
        seal_at_end(&mut bytes[..BLOCK]);
    } else if name.starts_with("sealed-") && bytes.len() >= 2 * BLOCK {
        let footer = bytes.len() - BLOCK;
        if at < BLOCK {
            seal_at_end(&mut bytes[..BLOCK]);
        } else if at >= footer {
            seal_at_end(&mut bytes[footer..]);
        }
    } else if name.starts_with("segment-") {
        seal_groups(bytes);
    } else if name.starts_with("checkpoint-") {
        seal_chunks(bytes);
    }
}

fn seal_at_end(bytes: &mut [u8]) {
    if let Some(covered) = bytes.len().checked_sub(4) {
        let crc = crc32c::crc32c(&bytes[..covered]);
        bytes[covered..].copy_from_slice(&crc.to_le_bytes());
    }
}

fn field(bytes: &[u8], at: usize) -> Option<usize> {
    let field = bytes.get(at..at + 4)?.try_into().ok()?;
    usize::try_from(u32::from_le_bytes(field)).ok()
}

/// Every group of a segment, each with its records, and the chain from one to the next.
fn seal_groups(bytes: &mut [u8]) {
    let mut at = BLOCK;
    let mut chain = None;
    while bytes.get(at..).is_some_and(|rest| rest.starts_with(b"GRP1")) {
        let Some(len) = field(bytes, at + 28) else { return };
        let Some(group) = bytes.get_mut(at..at + (40 + len).next_multiple_of(BLOCK)) else {
            return;
        };
        seal_records(&mut group[40..40 + len]);
        if let Some(chain) = chain.replace(0).filter(|_| at > BLOCK) {
            group[24..28].copy_from_slice(&u32::to_le_bytes(chain));
        }
        let crc = crc32c::crc32c(&group[8..]);
        group[4..8].copy_from_slice(&crc.to_le_bytes());
        chain = Some(crc);
        at += group.len();
    }
}

fn seal_records(bytes: &mut [u8]) {
    let mut at = 0;
    while let Some(len) = field(bytes, at + 4) {
        let Some(record) = bytes.get_mut(at..at + len).filter(|it| it.len() >= 8) else { return };
        let crc = crc32c::crc32c(&record[4..]);
        record[..4].copy_from_slice(&crc.to_le_bytes());
        at += len;
    }
}

fn seal_chunks(bytes: &mut [u8]) {
    let mut at = 0;
    while let Some(len) = field(bytes, at + 4) {
        let Some(chunk) = bytes.get_mut(at..at + 16 + len) else { return };
        let crc = crc32c::crc32c(&chunk[4..]);
        chunk[..4].copy_from_slice(&crc.to_le_bytes());
        at += 16 + len;
    }
}

fn all_files(disk: &dyn Disk) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for name in disk.list(Path::new(DIR)).expect("a directory") {
        let path = Path::new(DIR).join(&name);
        let below = disk.list(&path).expect("a directory");
        if below.is_empty() || below == [""] {
            files.push(path);
        } else {
            files.extend(below.into_iter().map(|name| path.join(name)));
        }
    }
    files
}

fn read(disk: &dyn Disk, path: &Path) -> Vec<u8> {
    let file = disk.open(path).expect("a file");
    let mut bytes = vec![0; file.len().expect("a length") as usize];
    file.read_at(&mut bytes, 0).expect("read");
    bytes
}

fn write(disk: &dyn Disk, path: &Path, bytes: &[u8]) {
    disk.create(path).and_then(|file| file.write_at(bytes, 0)).expect("written");
}

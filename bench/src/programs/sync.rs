//! The floor of durable appends: one block after the other is written over a file full of zeros,
//! each on disk before the next one begins. Prints a line of JSON per way to do it, and ends.
//!
//! The file's blocks are allocated and written before, as a log's segments are: a file that grows,
//! or whose blocks were only reserved, costs a transaction of the file system's journal each time.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::Instant;

use bytes::Bytes;
use rustix::fs::OFlags;
use thalweg::rt::{self, Driver};

use super::ProgramArgs;
use crate::Failure;

/// Measures every way in turns, so that a disk that changes its mind does so for all.
pub(crate) fn run(args: &ProgramArgs) -> Result<(), Failure> {
    let directory = args.data_dir.clone().unwrap_or_else(|| ".".into());
    let file = tempfile::NamedTempFile::new_in(&directory)
        .map_err(|error| format!("{}: {error}", directory.display()))?;
    fill(file.as_file())?;
    let mut samples = vec![Vec::new(); WAYS.len()];
    let turn = args.n.div_ceil(TURNS).max(1);
    for at in 0..TURNS {
        for (way, samples) in WAYS.iter().zip(&mut samples) {
            let begin = u64::from(at) * u64::from(turn);
            let more = way.measure(file.path(), begin..begin + u64::from(turn));
            samples.extend(more.map_err(|error| format!("{}: {error}", way.name))?);
        }
    }
    let mut out = io::stdout().lock();
    for (way, mut samples) in WAYS.iter().zip(samples) {
        writeln!(out, "{}", line(way.name, &mut samples))?;
    }
    Ok(())
}

/// A way to get a block to disk.
struct Way {
    name: &'static str,
    flags: OFlags,
    /// fdatasync after each write.
    sync: bool,
    /// Through the ring, as the server's runtime does it.
    ring: bool,
}

const WAYS: [Way; 7] = [
    Way::new("pwrite + fdatasync", OFlags::empty(), true, false),
    Way::new("pwrite O_DSYNC", OFlags::DSYNC, false, false),
    Way::new("pwrite O_DIRECT + fdatasync", OFlags::DIRECT, true, false),
    Way::new("pwrite O_DIRECT O_DSYNC", OFlags::DIRECT.union(OFlags::DSYNC), false, false),
    Way::new("ring write + fdatasync", OFlags::empty(), true, true),
    Way::new("ring write O_DSYNC", OFlags::DSYNC, false, true),
    Way::new("ring write O_DIRECT O_DSYNC", OFlags::DIRECT.union(OFlags::DSYNC), false, true),
];

impl Way {
    const fn new(name: &'static str, flags: OFlags, sync: bool, ring: bool) -> Way {
        Way { name, flags, sync, ring }
    }

    /// Nanoseconds of each block.
    fn measure(&self, path: &Path, blocks: std::ops::Range<u64>) -> io::Result<Vec<u64>> {
        let flags = self.flags.bits().cast_signed();
        let file = OpenOptions::new().write(true).custom_flags(flags).open(path)?;
        let block = aligned_block();
        let offset = |block: u64| block % FILE_BLOCKS * BLOCK_BYTES as u64;
        if self.ring {
            return rt::block_on(Driver::IoUring, async {
                let file = monoio::fs::File::from_std(file)?;
                let mut samples = Vec::new();
                for at in blocks {
                    let begin = Instant::now();
                    file.write_all_at(block.clone(), offset(at)).await.0?;
                    if self.sync {
                        file.sync_data().await?;
                    }
                    samples.push(begin.elapsed().as_nanos() as u64);
                }
                Ok(samples)
            })?;
        }
        let one = |at| {
            let begin = Instant::now();
            file.write_all_at(&block, offset(at))?;
            if self.sync {
                file.sync_data()?;
            }
            Ok(begin.elapsed().as_nanos() as u64)
        };
        blocks.map(one).collect()
    }
}

fn fill(mut file: &File) -> io::Result<()> {
    let zeros = vec![0; BLOCK_BYTES];
    for _ in 0..FILE_BLOCKS {
        file.write_all(&zeros)?;
    }
    file.sync_all()
}

/// A block whose memory is aligned as O_DIRECT asks for it.
fn aligned_block() -> Bytes {
    let memory = vec![0xa5; 2 * BLOCK_BYTES];
    let begin = memory.as_ptr().align_offset(BLOCK_BYTES);
    Bytes::from(memory).slice(begin..begin + BLOCK_BYTES)
}

fn line(name: &str, samples: &mut [u64]) -> String {
    samples.sort_unstable();
    let last = samples.len().saturating_sub(1);
    let micros = |percent: f64| {
        let at = (last as f64 * percent / 100.0).round() as usize;
        samples.get(at).copied().unwrap_or(0) as f64 / 1e3
    };
    let (p50, p99, p999) = (micros(50.0), micros(99.0), micros(99.9));
    let (min, max, count) = (micros(0.0), micros(100.0), samples.len());
    serde_json::json!({
        "way": name, "bytes": BLOCK_BYTES, "count": count,
        "min_us": min, "p50_us": p50, "p99_us": p99, "p999_us": p999, "max_us": max,
    })
    .to_string()
}

const BLOCK_BYTES: usize = 4096;
const FILE_BLOCKS: u64 = 4096;
const TURNS: u32 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_writes_whole_blocks() {
        let file = tempfile::NamedTempFile::new_in(".").unwrap();
        for way in &WAYS {
            fill(file.as_file()).unwrap();
            std::io::Seek::rewind(&mut file.as_file()).unwrap();
            let samples = way.measure(file.path(), FILE_BLOCKS - 1..FILE_BLOCKS + 1).unwrap();
            assert!(samples.len() == 2 && samples.iter().all(|ns| *ns > 0), "{}", way.name);
            let bytes = std::fs::read(file.path()).unwrap();
            assert_eq!(bytes.len(), FILE_BLOCKS as usize * BLOCK_BYTES);
            let written: Vec<_> = bytes.chunks(BLOCK_BYTES).map(|block| block[0] == 0xa5).collect();
            assert!(written[0] && written[FILE_BLOCKS as usize - 1], "{}", way.name);
            assert_eq!(written.iter().filter(|written| **written).count(), 2, "{}", way.name);
        }
    }

    #[test]
    fn percentiles() {
        let mut samples: Vec<u64> = (0..=1000).rev().map(|at| at * 1000).collect();
        let line: serde_json::Value = serde_json::from_str(&line("x", &mut samples)).unwrap();
        assert_eq!((&line["p50_us"], &line["p99_us"]), (&500.0.into(), &990.0.into()));
        assert_eq!((&line["count"], &line["max_us"]), (&1001.into(), &1000.0.into()));
    }
}

//! What a server has on its disk and has written there, once its background work rests.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::Failure;
use crate::own::Own;

/// Bytes.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Space {
    /// Written to the log.
    pub(super) log: f64,
    /// Written by sealing and compaction.
    pub(super) rewritten: f64,
    /// Of all files together: blocks, not lengths.
    pub(super) on_disk: f64,
}

/// How long nothing may change before it is said to rest: checkpoints, which free what was
/// rewritten, come seconds after it.
pub(super) const REST: Duration = Duration::from_secs(10);

/// Waits until the background rests.
pub(super) fn settled(server: &Own, dir: &Path) -> Result<Space, Failure> {
    let began = Instant::now();
    let (mut last, mut since) = (now(server, dir)?, Instant::now());
    while since.elapsed() < REST {
        if began.elapsed() > PATIENCE {
            return Err(format!("compaction does not come to rest in {PATIENCE:?}").into());
        }
        std::thread::sleep(LOOK);
        let space = now(server, dir)?;
        if space != last || server.metric("thalweg_compaction_queue")? > 0.0 {
            (last, since) = (space, Instant::now());
        }
    }
    Ok(last)
}

/// Bytes that sealing and compaction have read and written so far.
pub(super) fn moved(server: &Own) -> Result<f64, Failure> {
    let read = server.metric("thalweg_compaction_read_bytes_total")?;
    Ok(read + server.metric("thalweg_compaction_written_bytes_total")?)
}

fn now(server: &Own, dir: &Path) -> Result<Space, Failure> {
    Ok(Space {
        log: server.metric("thalweg_log_group_bytes_sum")?,
        rewritten: server.metric("thalweg_compaction_written_bytes_total")?,
        on_disk: blocks(dir) as f64,
    })
}

/// A file that goes meanwhile counts as nothing.
fn blocks(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => blocks(&entry.path()),
            Ok(metadata) => metadata.blocks() * 512,
            Err(_) => 0,
        })
        .sum()
}

const LOOK: Duration = Duration::from_millis(500);
const PATIENCE: Duration = Duration::from_secs(600);

//! `thalweg storage stats`: where the space goes.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use thalweg_storage::ReadOnlyDisk;
use thalweg_storage::inspect::{Inspection, SegmentState, SegmentUse, Stats, inspect};

use super::exit::{Exit, Failure};
use super::findings::{directory, format_of};
use super::progress::Progress;
use super::text::{count, size};
use super::{running, say, tell};

/// The arguments of `thalweg storage stats`.
#[derive(Args, Debug)]
pub struct StatsArgs {
    /// The data directory, or a copy or backup of one
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// So many of the largest streams
    #[arg(long, value_name = "COUNT", default_value_t = 10)]
    largest: usize,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn main(args: &StatsArgs) -> Result<Exit, Failure> {
    running::warn(&args.dir);
    let progress = Progress::of(&args.dir, 2);
    let found = inspect(&ReadOnlyDisk, &args.dir, &|bytes| progress.add(bytes));
    progress.end();
    let found = found?;
    let stats = found.stats(args.largest);
    match args.json {
        true => say(&format!("{}\n", as_json(args, &found, &stats)))?,
        false => say(&as_text(args, &found, &stats))?,
    }
    if found.is_damaged() {
        tell("the directory is damaged; `thalweg storage verify` says where");
        return Ok(Exit::Damaged);
    }
    Ok(Exit::Ok)
}

fn as_text(args: &StatsArgs, found: &Inspection, stats: &Stats) -> String {
    let mut text = format!(
        "{}: format {}, {}\n\nstreams       {} ({}, {} closed, {} deleted but kept for forks)\n\
         bytes         {} in {}\nlost          {} cannot be read\nwritten       {}\n\nsegments\n",
        args.dir.display(),
        format_of(found),
        count(found.layout.cores.len() as u64, "core"),
        stats.streams,
        count(stats.forks, "fork"),
        stats.closed,
        stats.soft_deleted,
        size(stats.stream_bytes),
        count(stats.places, "place"),
        size(stats.lost_bytes),
        written(stats),
    );
    for segment in &stats.segments {
        let SegmentUse { file_bytes, used_bytes, live_bytes, records, .. } = *segment;
        text.push_str(&format!(
            "  {:<42} {:<9} {:>10} file {:>10} used {:>10} live {records:>9} records\n",
            segment.segment.to_string(),
            state(segment.state),
            size(file_bytes),
            size(used_bytes),
            size(live_bytes),
        ));
    }
    text.push_str("\ncheckpoints\n");
    for checkpoint in &found.checkpoints {
        text.push_str(&format!(
            "  log {} number {:<8} {:>10} {}, {}{}\n",
            checkpoint.log.0,
            checkpoint.number,
            size(checkpoint.file_bytes.unwrap_or(0)),
            count(checkpoint.streams, "stream"),
            count(checkpoint.places, "place"),
            if checkpoint.is_good { "" } else { ", DAMAGED" },
        ));
    }
    text.push_str("\nlargest streams\n");
    for stream in &stats.largest {
        text.push_str(&format!(
            "  {:>10} {:>12}  {}\n",
            size(stream.bytes),
            count(stream.places, "place"),
            stream.path
        ));
    }
    text
}

/// What files that are gone had is estimated: a running server counts.
fn written(stats: &Stats) -> String {
    let log = size(stats.written.log_bytes);
    let sealed = size(stats.written.sealed_bytes);
    match stats.written.amplification() {
        Some(factor) => format!(
            "about {log} to the log, {sealed} sealing and compacting: write amplification {factor:.2}"
        ),
        None => "nothing to the log".to_owned(),
    }
}

fn as_json(args: &StatsArgs, found: &Inspection, stats: &Stats) -> serde_json::Value {
    let segments: Vec<_> = stats.segments.iter().map(segment_json).collect();
    let checkpoints: Vec<_> = found
        .checkpoints
        .iter()
        .map(|checkpoint| {
            json!({
                "log": checkpoint.log.0,
                "number": checkpoint.number,
                "bytes": checkpoint.file_bytes,
                "streams": checkpoint.streams,
                "places": checkpoint.places,
                "good": checkpoint.is_good,
            })
        })
        .collect();
    let largest: Vec<_> = stats
        .largest
        .iter()
        .map(|stream| {
            json!({
                "stream": stream.id.0,
                "path": stream.path.as_str(),
                "bytes": stream.bytes,
                "places": stream.places,
            })
        })
        .collect();
    json!({
        "directory": directory(&args.dir),
        "format": found.format.as_ref().map(|format| format.version),
        "cores": found.layout.cores.len(),
        "streams": stats.streams,
        "forks": stats.forks,
        "closed": stats.closed,
        "soft_deleted": stats.soft_deleted,
        "stream_bytes": stats.stream_bytes,
        "places": stats.places,
        "lost_bytes": stats.lost_bytes,
        "written": {
            "log_bytes": stats.written.log_bytes,
            "sealed_bytes": stats.written.sealed_bytes,
            "amplification": stats.written.amplification(),
        },
        "tail_records": found.tail_records,
        "segments": segments,
        "checkpoints": checkpoints,
        "largest": largest,
    })
}

fn segment_json(segment: &SegmentUse) -> serde_json::Value {
    json!({
        "file": segment.segment.to_string(),
        "log": segment.segment.log.0,
        "state": state(segment.state),
        "file_bytes": segment.file_bytes,
        "used_bytes": segment.used_bytes,
        "live_bytes": segment.live_bytes,
        "live_places": segment.live_places,
        "dead_bytes": segment.used_bytes.saturating_sub(segment.live_bytes),
        "records": segment.records,
    })
}

fn state(state: SegmentState) -> &'static str {
    match state {
        SegmentState::Begun => "log",
        SegmentState::NotBegun => "not begun",
        SegmentState::Sealed => "sealed",
        SegmentState::Lost => "lost",
    }
}

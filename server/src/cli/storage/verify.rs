//! `thalweg storage verify`: is every byte what it should be?

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use thalweg_storage::inspect::{Inspection, inspect};
use thalweg_storage::{DataDirLock, ReadOnlyDisk};

use super::exit::{Exit, Failure};
use super::findings::{self, damages, directory, format_of};
use super::progress::Progress;
use super::text::count;
use super::{running, say};

/// The arguments of `thalweg storage verify`.
#[derive(Args, Debug)]
pub struct VerifyArgs {
    /// The data directory, or a copy or backup of one
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Lock the directory, so that no server starts meanwhile: writes the file LOCK
    #[arg(long)]
    lock: bool,
}

pub(super) fn main(args: &VerifyArgs) -> Result<Exit, Failure> {
    let _lock = match args.lock {
        true => Some(DataDirLock::acquire(&args.dir)?),
        false => None,
    };
    if !args.lock {
        running::warn(&args.dir);
    }
    // Once for the files as such, once for what streams name in them.
    let progress = Progress::of(&args.dir, 2);
    let found = inspect(&ReadOnlyDisk, &args.dir, &|bytes| progress.add(bytes));
    progress.end();
    let found = found?;
    match args.json {
        true => say(&format!("{}\n", as_json(args, &found)))?,
        false => say(&as_text(args, &found))?,
    }
    Ok(if found.is_damaged() { Exit::Damaged } else { Exit::Ok })
}

fn as_text(args: &VerifyArgs, found: &Inspection) -> String {
    let mut text = String::new();
    for finding in &found.findings {
        text.push_str(&findings::text(finding));
    }
    let segments = found.logs.iter().map(|log| log.segments.len() as u64).sum();
    text.push_str(&format!(
        "{}: format {}, {}, {}, {}, {} in the logs behind the checkpoints\n",
        args.dir.display(),
        format_of(found),
        count(found.layout.cores.len() as u64, "core"),
        count(segments, "segment"),
        count(found.streams.len() as u64, "stream"),
        count(found.tail_records, "record"),
    ));
    text.push_str(&match damages(found) {
        0 => "sound\n".to_owned(),
        damages => format!(
            "damaged: {}; keep a copy, then restore a backup or see `thalweg storage repair`\n",
            count(damages, "finding")
        ),
    });
    text
}

fn as_json(args: &VerifyArgs, found: &Inspection) -> serde_json::Value {
    let findings: Vec<_> = found.findings.iter().map(findings::json).collect();
    json!({
        "directory": directory(&args.dir),
        "format": found.format.as_ref().map(|format| format.version),
        "sound": !found.is_damaged(),
        "cores": found.layout.cores.len(),
        "streams": found.streams.len(),
        "tail_records": found.tail_records,
        "findings": findings,
    })
}

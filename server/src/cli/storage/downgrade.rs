//! `thalweg storage downgrade`: a copy that an older version can read.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use thalweg_storage::backup::{copy_keys, prepare_target};
use thalweg_storage::downgrade::{DOWNGRADED_VERSION, downgrade, obstacles};
use thalweg_storage::inspect::{Severity, inspect};
use thalweg_storage::{DataDirLock, Disk, ReadOnlyDisk, RealDisk};

use super::exit::{Exit, Failure};
use super::progress::Progress;
use super::text::count;
use super::{MADE_BY, findings, say};

/// The arguments of `thalweg storage downgrade`.
#[derive(Args, Debug)]
pub struct DowngradeArgs {
    /// The data directory of a stopped server; it stays as it is
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// The version of the format to write
    #[arg(long, value_name = "N")]
    to_version: u32,
    /// The directory to make: it does not exist, or is empty
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Leave out what the older version cannot express, which is listed without this
    #[arg(long)]
    drop: bool,
}

pub(super) fn main(args: &DowngradeArgs) -> Result<Exit, Failure> {
    let DowngradeArgs { dir, to_version, to, drop } = args;
    if *to_version != DOWNGRADED_VERSION {
        return Err(Failure::usage(format!(
            "--to-version {to_version}: this program can write version {DOWNGRADED_VERSION}"
        )));
    }
    if !dir.is_dir() {
        return Err(Failure::usage(format!("{} is not a directory", dir.display())));
    }
    let _lock = DataDirLock::acquire(dir)?;
    let progress = Progress::of(dir, 2);
    let found = inspect(&ReadOnlyDisk, dir, &|bytes| progress.add(bytes));
    progress.end();
    let found = found?;
    if found.format.as_ref().is_some_and(|format| format.version <= *to_version) {
        let (dir, version) = (dir.display(), findings::format_of(&found));
        return Err(Failure::usage(format!("{dir} has format {version} already")));
    }
    if let Some(first) = found.findings.iter().find(|finding| finding.severity == Severity::Damage)
    {
        let dir = dir.display();
        return Err(Failure::damaged(format!("{dir} is damaged: {first}; repair it first")));
    }
    let obstacles = obstacles(&found);
    for obstacle in &obstacles {
        say(&format!("{obstacle}\n"))?;
    }
    if !obstacles.is_empty() && !drop {
        return Err(Failure::usage(format!(
            "version {to_version} cannot express this ({}). With --drop it is left out: streams \
             keep everything from now on, and reading what was dropped is an error",
            count(obstacles.len() as u64, "entry").replace("entrys", "entries")
        )));
    }
    prepare_target(dir, to)?;
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    copy_keys(dir, to)?;
    downgrade((&disk, dir), to, &found, MADE_BY)?;
    let written = inspect(&ReadOnlyDisk, to, &|_| {})?;
    if let Some(first) =
        written.findings.iter().find(|finding| finding.severity == Severity::Damage)
    {
        let to = to.display();
        return Err(Failure::damaged(format!("{to} is damaged: {first}; do not use it")));
    }
    let streams = count(written.streams.len() as u64, "stream");
    say(&format!("{}: format {to_version}, {streams}\n", to.display()))?;
    Ok(Exit::Ok)
}

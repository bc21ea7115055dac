//! `thalweg storage backup`: one moment of a data directory, taken while the server runs or not.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Deserialize;
use thalweg_storage::backup::{self, Cut, Taken};
use thalweg_storage::inspect::{Severity, inspect};
use thalweg_storage::layout::CoreLayout;
use thalweg_storage::{DataDirLock, LogId, LogPosition, Lsn, ReadOnlyDisk};

use super::exit::{Exit, Failure};
use super::progress::Progress;
use super::text::{count, now, size};
use super::{MADE_BY, findings, say, tell};
use crate::local_socket::in_short_path;
use crate::serve::backups::SOCKET_NAME;

/// The arguments of `thalweg storage backup`.
#[derive(Args, Debug)]
pub struct BackupArgs {
    /// The data directory
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// The backup to make: a directory that does not exist, or is empty
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Copy every file: without this, files that never change are linked where that is possible
    #[arg(long)]
    copy: bool,
    /// Do not verify the backup afterwards
    #[arg(long)]
    no_verify: bool,
}

/// The server's answer.
#[derive(Deserialize)]
#[serde(untagged)]
enum Answer {
    Cut { generation: u64, next_log: u32, cores: Vec<CoreCut> },
    Refused { error: String },
}

#[derive(Deserialize)]
struct CoreCut {
    log: u32,
    checkpoint: u64,
    segment: u32,
    byte: u64,
    record: u64,
    chain: u32,
}

pub(super) fn main(args: &BackupArgs) -> Result<Exit, Failure> {
    if !args.dir.is_dir() {
        return Err(Failure::usage(format!("{} is not a directory", args.dir.display())));
    }
    let (taken, how) = match DataDirLock::holder(&args.dir) {
        Some(pid) => (of_running(args, &pid)?, "of a running server"),
        None => (of_stopped(args)?, "of a stopped server"),
    };
    say(&format!(
        "{}: a backup {how}: {} linked, {}; {} copied, {}\n",
        args.to.display(),
        count(taken.linked_files, "file"),
        size(taken.linked_bytes),
        count(taken.copied_files, "file"),
        size(taken.copied_bytes),
    ))?;
    if args.no_verify {
        return Ok(Exit::Ok);
    }
    verify(&args.to)
}

/// The server gives the cut and holds the files for as long as the connection is open.
fn of_running(args: &BackupArgs, pid: &str) -> Result<Taken, Failure> {
    let failed = |error: std::io::Error| {
        Failure::failed(format!(
            "{} is in use by process {pid}, which does not answer at {SOCKET_NAME}: {error}; stop \
             it first",
            args.dir.display()
        ))
    };
    let mut server =
        in_short_path(&args.dir, SOCKET_NAME, |path| UnixStream::connect(path)).map_err(failed)?;
    server.write_all(b"backup\n").map_err(failed)?;
    let mut line = String::new();
    BufReader::new(&server).read_line(&mut line).map_err(failed)?;
    let answer: Answer = serde_json::from_str(&line).map_err(|error| {
        Failure::failed(format!("process {pid} answers {line:?}, which is not understood: {error}"))
    })?;
    match answer {
        Answer::Refused { error } => Err(Failure::failed(format!("process {pid}: {error}"))),
        Answer::Cut { generation, next_log, cores } => {
            let cores = cores.iter().map(CoreCut::parts).collect();
            let cut = Cut { generation, next_log, cores };
            Ok(backup::take(&args.dir, &args.to, &cut, (MADE_BY, &now()), !args.copy)?)
        }
    }
}

fn of_stopped(args: &BackupArgs) -> Result<Taken, Failure> {
    let _lock = DataDirLock::acquire(&args.dir)?;
    let progress = Progress::of(&args.dir, 2);
    let found = inspect(&ReadOnlyDisk, &args.dir, &|bytes| progress.add(bytes));
    progress.end();
    let found = found?;
    if let Some(first) = found.findings.iter().find(|finding| finding.severity == Severity::Damage)
    {
        return Err(Failure::damaged(format!(
            "{} is damaged: {first}; `thalweg storage verify` lists all of it. Copy the directory \
             as it is, and see `thalweg storage repair`",
            args.dir.display()
        )));
    }
    let ends = found.ends().into_iter().map(|end| end.unwrap_or(LogPosition::origin(Lsn(0))));
    let cut = Cut {
        generation: found.layout.generation,
        next_log: found.layout.next_log,
        cores: found.layout.cores.iter().copied().zip(ends).collect(),
    };
    Ok(backup::take(&args.dir, &args.to, &cut, (MADE_BY, &now()), !args.copy)?)
}

impl CoreCut {
    fn parts(&self) -> (CoreLayout, LogPosition) {
        let layout = CoreLayout { log: LogId(self.log), newest: self.checkpoint, previous: None };
        let position = LogPosition {
            segment: self.segment,
            file_offset: self.byte,
            lsn: Lsn(self.record),
            chain: self.chain,
        };
        (layout, position)
    }
}

fn verify(dir: &Path) -> Result<Exit, Failure> {
    let progress = Progress::of(dir, 2);
    let found = inspect(&ReadOnlyDisk, dir, &|bytes| progress.add(bytes));
    progress.end();
    let found = found?;
    for finding in &found.findings {
        tell(findings::text(finding).trim_end());
    }
    if found.is_damaged() {
        return Err(Failure::damaged(format!("the backup {} is damaged", dir.display())));
    }
    say(&format!("verified: {}, sound\n", count(found.streams.len() as u64, "stream")))?;
    Ok(Exit::Ok)
}

//! `thalweg storage restore`: a backup becomes a data directory again.

use std::path::PathBuf;

use clap::Args;
use thalweg_storage::backup;

use super::exit::{Exit, Failure};
use super::progress::Progress;
use super::say;
use super::text::{count, size};

/// The arguments of `thalweg storage restore`.
#[derive(Args, Debug)]
pub struct RestoreArgs {
    /// The backup
    #[arg(value_name = "BACKUP")]
    from: PathBuf,
    /// The data directory to make: it does not exist, or is empty
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
}

pub(super) fn main(args: &RestoreArgs) -> Result<Exit, Failure> {
    let progress = Progress::of(&args.from, 2);
    let taken = backup::restore(&args.from, &args.to, &|bytes| progress.add(bytes));
    progress.end();
    let taken = taken?;
    say(&format!(
        "{}: {}, {}, from {}\n",
        args.to.display(),
        count(taken.copied_files, "file"),
        size(taken.copied_bytes),
        args.from.display(),
    ))?;
    Ok(Exit::Ok)
}

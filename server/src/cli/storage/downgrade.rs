//! `thalweg storage downgrade`: a copy that an older version can read.

use std::path::PathBuf;

use clap::Args;

use super::exit::{Exit, Failure};

/// The arguments of `thalweg storage downgrade`.
#[derive(Args, Debug)]
pub struct DowngradeArgs {
    /// The data directory of a stopped server
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// The version of the format to write
    #[arg(long, value_name = "N")]
    to_version: u32,
    /// The directory to make: it does not exist, or is empty
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
}

pub(super) fn main(args: &DowngradeArgs) -> Result<Exit, Failure> {
    let DowngradeArgs { dir, to_version, to } = args;
    Err(Failure::usage(format!("{dir:?} {to_version} {to:?}: not yet")))
}

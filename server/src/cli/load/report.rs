//! `thalweg load report`: a result again.

use std::path::PathBuf;

use clap::Args;
use thalweg_loadgen::output::{self, text};

use super::exit::{Exit, Failure};
use super::results::{take_directory, write_html, write_report};
use super::say;

/// The arguments of `thalweg load report`.
#[derive(Args, Debug)]
pub struct ReportArgs {
    /// The result: a directory of --output, its result.json, or a sample log (ours or JMeter's)
    #[arg(
        value_name = "RESULT",
        required_unless_present = "reportonly",
        conflicts_with = "reportonly"
    )]
    result: Option<PathBuf>,
    /// The result, as JMeter's users write it
    #[arg(short = 'g', long = "reportonly", value_name = "RESULT", id = "reportonly")]
    reportonly: Option<PathBuf>,
    /// Write the HTML report and all files to this directory, which does not exist or is empty.
    /// Without it, the report of a directory is made again in its place
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
}

pub(super) fn main(args: &ReportArgs) -> Result<Exit, Failure> {
    // clap requires one of the two.
    let path = args.result.as_deref().or(args.reportonly.as_deref()).unwrap_or("".as_ref());
    let result = output::load(path).map_err(Failure::not_made)?;
    if let Some(dir) = &args.output {
        take_directory(dir)?;
        write_report(&result, dir)?;
    } else if path.is_dir() {
        write_html(&result, path)?;
    }
    say(&text::text(&result))?;
    Ok(Exit::Passed)
}

//! `thalweg load compare`: two results side by side.

use std::path::PathBuf;

use clap::Args;
use thalweg_loadgen::compare::{self, Options};
use thalweg_loadgen::output;

use super::exit::{Exit, Failure};
use super::say;

/// The arguments of `thalweg load compare`.
#[derive(Args, Debug)]
pub struct CompareArgs {
    /// What it was: a directory of --output, its result.json, or a sample log
    a: PathBuf,
    /// What it is now
    b: PathBuf,
    /// How much worse is still the same: 0.05 is 5 %
    #[arg(long, value_name = "PART", default_value_t = Options::default().tolerance)]
    tolerance: f64,
    /// Resamples of the bootstrap that the confidence intervals come from
    #[arg(
        long,
        value_name = "N",
        default_value_t = Options::default().resamples,
        value_parser = clap::value_parser!(u32).range(100..=1_000_000)
    )]
    resamples: u32,
    /// Fixes the choices of the bootstrap
    #[arg(long, value_name = "N", default_value_t = Options::default().seed)]
    seed: u64,
}

pub(super) fn main(args: &CompareArgs) -> Result<Exit, Failure> {
    let CompareArgs { tolerance, resamples, seed, .. } = *args;
    if !(0.0..=10.0).contains(&tolerance) {
        return Err(Failure::usage(format!("--tolerance {tolerance}: expected 0 to 10")));
    }
    let a = output::load(&args.a).map_err(Failure::not_made)?;
    let b = output::load(&args.b).map_err(Failure::not_made)?;
    let comparison = compare::compare(&a, &b, &Options { tolerance, resamples, seed });
    say(&comparison.text())?;
    Ok(if comparison.is_regression() { Exit::Failed } else { Exit::Passed })
}

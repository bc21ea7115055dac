//! `thalweg load run`: a plan from a file.

use clap::Args;

use super::describe::describe;
use super::execute::execute;
use super::exit::{Exit, Failure};
use super::generator::GeneratorArgs;
use super::plan::{OverrideArgs, PlanArgs};
use super::results::ResultArgs;
use super::say;

/// The arguments of `thalweg load run`.
#[derive(Args, Debug)]
pub struct RunArgs {
    #[command(flatten)]
    plan: PlanArgs,
    /// Read the plan, print what it would do, and end
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    overrides: OverrideArgs,
    #[command(flatten)]
    results: ResultArgs,
    #[command(flatten)]
    generator: GeneratorArgs,
}

pub(super) fn main(args: &RunArgs) -> Result<Exit, Failure> {
    let mut ready = args.plan.read(&args.overrides)?;
    ready.add_thresholds(&args.results.thresholds)?;
    if args.check {
        say(&describe(&ready))?;
        return Ok(Exit::Passed);
    }
    execute(&ready, &args.generator.generator()?, &args.results)
}

//! `thalweg load calibrate`: what the generator itself can do.

use std::time::Duration;

use clap::Args;
use thalweg_loadgen::calibrate::{self, CalibrateOptions};
use thalweg_loadgen::engine::Stop;
use thalweg_loadgen::plan::parse_duration;

use super::exit::{Exit, Failure};
use super::generator::CoreArgs;
use super::interrupt::stop_on_signal;
use super::say;

/// The arguments of `thalweg load calibrate`.
#[derive(Args, Debug)]
pub struct CalibrateArgs {
    #[command(flatten)]
    cores: CoreArgs,
    /// How long each of the three measurements takes, like 3s
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = parse_duration)]
    duration: Duration,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn main(args: &CalibrateArgs) -> Result<Exit, Failure> {
    if !(SHORTEST..=LONGEST).contains(&args.duration) {
        let duration = args.duration;
        return Err(Failure::usage(format!("--duration {duration:?}: expected 100ms to 10m")));
    }
    let (duration, stop) = (args.duration, Stop::default());
    stop_on_signal(&stop);
    let options = CalibrateOptions { cores: args.cores.cores()?, duration, stop: stop.clone() };
    let calibration = match calibrate::run(&options) {
        Ok(calibration) => calibration,
        Err(error) if stop.is_stopped() => {
            return Err(Failure { exit: Exit::Interrupted, message: error.to_string() });
        }
        Err(error) => return Err(error.into()),
    };
    if args.json {
        let json = serde_json::to_string_pretty(&calibration).map_err(Failure::not_made)?;
        say(&format!("{json}\n"))?;
    } else {
        say(&calibration.text())?;
    }
    match calibrate::save(&calibration) {
        Ok(path) if args.json => eprintln!("thalweg: saved in {}", path.display()),
        Ok(path) => say(&format!(
            "\nsaved in {}: results that come near these figures say so\n",
            path.display()
        ))?,
        Err(error) => eprintln!("thalweg: the calibration was not saved: {error}"),
    }
    Ok(Exit::Passed)
}

const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(600);

//! `thalweg serve`: from flags to a running server.

use std::process::ExitCode;

use crate::cli::exit::Exit;
use crate::config::{Config, Machine, ServeArgs};
use crate::logging;
use crate::version;

/// Resolves the configuration, then prints it or runs the server until it is stopped.
pub(super) fn main(args: &ServeArgs) -> ExitCode {
    let config = match Config::load(args, &Machine::detect()) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("thalweg: {error}");
            return Exit::Usage.into();
        }
    };
    if args.print_config {
        print!("{config}");
        return Exit::Ok.into();
    }
    logging::init(&config.log);
    logging::log_panics();
    log_start(&config);
    match start(config, args) {
        Ok(()) => Exit::Ok.into(),
        Err(error) => {
            eprintln!("thalweg: {error}");
            Exit::Failure.into()
        }
    }
}

/// What was not left as it is by default; `thalweg config print` shows the rest.
fn log_start(config: &Config) {
    let defaults = Config::defaults(&Machine::detect()).map(|defaults| defaults.settings());
    let defaults = defaults.unwrap_or_default();
    let set = config.settings().into_iter().filter(|setting| !defaults.contains(setting));
    let set: Vec<String> = set.map(|(key, value)| format!("{key} = {value}")).collect();
    let pid = std::process::id();
    tracing::info!(version = version::LONG, pid, settings = set.join("; "), "starting");
}

/// The one place that hands a configuration to the server.
fn start(config: Config, args: &ServeArgs) -> Result<(), String> {
    crate::serve::run(config, args.clone()).map_err(|error| error.to_string())
}

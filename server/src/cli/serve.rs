//! `thalweg serve`: from flags to a running server.

use std::process::ExitCode;

use crate::cli::exit::Exit;
use crate::config::{Config, Machine, ServeArgs};
use crate::logging;

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
    match start(config, args) {
        Ok(()) => Exit::Ok.into(),
        Err(error) => {
            eprintln!("thalweg: {error}");
            Exit::Failure.into()
        }
    }
}

/// The one place that hands a configuration to the server.
fn start(config: Config, args: &ServeArgs) -> Result<(), String> {
    crate::serve::run(config, args.clone()).map_err(|error| error.to_string())
}

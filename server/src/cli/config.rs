//! `thalweg config`: what is wrong with a configuration, and what is in effect.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::cli::exit::Exit;
use crate::config::origin::Sources;
use crate::config::{Machine, ServeArgs};

/// Options of `thalweg config`.
#[derive(Args, Debug)]
pub struct ConfigArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Subcommand, Debug)]
enum ConfigCommand {
    /// Say everything that is wrong, with file and line; exit with 0 or 2
    Check(Source),
    /// Print what is in effect as TOML, each value with where it comes from
    Print(Source),
}

/// A file, and flags of `thalweg serve` over it.
#[derive(Args, Debug)]
struct Source {
    /// TOML file to read, as `--config` of `thalweg serve`
    #[arg(value_name = "FILE", conflicts_with = "config")]
    file: Option<PathBuf>,

    #[command(flatten)]
    serve: Box<ServeArgs>,
}

/// Checks or prints.
pub(super) fn main(args: &ConfigArgs) -> ExitCode {
    let (ConfigCommand::Check(source) | ConfigCommand::Print(source)) = &args.command;
    let mut serve = (*source.serve).clone();
    serve.config = serve.config.or_else(|| source.file.clone());
    let sources = match Sources::read(&serve) {
        Ok(sources) => sources,
        Err(error) => {
            eprintln!("thalweg: {error}");
            return Exit::Usage.into();
        }
    };
    match (sources.resolve(&Machine::detect()), &args.command) {
        (Err(mistakes), _) => {
            mistakes.iter().for_each(|mistake| eprintln!("{mistake}"));
            Exit::Usage.into()
        }
        (Ok(_), ConfigCommand::Check(_)) => {
            println!("the configuration is valid");
            Exit::Ok.into()
        }
        (Ok(config), ConfigCommand::Print(_)) => {
            print!("{}", sources.annotate(&config));
            Exit::Ok.into()
        }
    }
}

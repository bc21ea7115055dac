//! `thalweg load worker`: a part of the load of runs that are started elsewhere.
//!
//! Invariant: whoever can connect can make a worker send load anywhere, so one that can be reached
//! from other machines has a secret.

use std::net::ToSocketAddrs;
use std::path::PathBuf;

use clap::Args;
use thalweg_loadgen::distributed::run_job;
use thalweg_loadgen::distributed::worker::{Worker, WorkerOptions};
use thalweg_loadgen::engine;

use super::exit::{Exit, Failure};
use super::generator::{CoreArgs, options, read_token};
use super::interrupt::stop_on_signal;
use super::say;

/// The arguments of `thalweg load worker`.
#[derive(Args, Debug)]
pub struct WorkerArgs {
    /// Where it waits for controllers; other addresses than loopback ones need --token-file
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7437")]
    listen: String,
    /// File with a secret: only controllers that know it may start runs
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    #[command(flatten)]
    cores: CoreArgs,
}

pub(super) fn main(args: &WorkerArgs) -> Result<Exit, Failure> {
    let token = args.token_file.as_deref().map(read_token).transpose()?;
    let listen = &args.listen;
    let wrong = |reason: String| Failure::usage(format!("--listen {listen}: {reason}"));
    if token.is_none() && !is_loopback(listen).map_err(|error| wrong(error.to_string()))? {
        return Err(wrong(
            "other machines can reach it, and whoever can may make it send load anywhere: give it \
             a secret with --token-file"
                .to_owned(),
        ));
    }
    let run = options(args.cores.cores()?);
    let stop = run.stop.clone();
    let options = WorkerOptions {
        token,
        run,
        machine: engine::machine(),
        runner: Box::new(run_job),
        log: Box::new(|line| eprintln!("thalweg: {line}")),
    };
    let worker = Worker::bind(listen, options).map_err(|error| wrong(error.to_string()))?;
    let address = worker.local_addr().map_err(Failure::not_made)?;
    stop_on_signal(&stop);
    say(&format!("thalweg {} load worker ready: {address}\n", env!("CARGO_PKG_VERSION")))?;
    worker.serve();
    Ok(Exit::Passed)
}

/// Whether all addresses of a name are this machine's alone.
fn is_loopback(listen: &str) -> std::io::Result<bool> {
    Ok(listen.to_socket_addrs()?.all(|address| address.ip().is_loopback()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_addresses() {
        let check = |listen: &str, want: Option<bool>| {
            assert_eq!(is_loopback(listen).ok(), want, "{listen}");
        };
        check("127.0.0.1:7437", Some(true));
        check("127.9.9.9:0", Some(true));
        check("[::1]:7437", Some(true));
        check("localhost:7437", Some(true));
        check("0.0.0.0:7437", Some(false));
        check("[::]:7437", Some(false));
        check("192.0.2.1:7437", Some(false));
        check("[::ffff:127.0.0.1]:7437", Some(false));
        check("7437", None);
        check("127.0.0.1", None);
    }
}

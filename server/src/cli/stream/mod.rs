//! `thalweg stream`: a client for any Durable Streams server, made for shells and scripts.
//!
//! Data goes to stdout and nothing else does, except the new tail offset that writing commands
//! answer with; words go to stderr. A reader of stdout that leaves ends the command quietly.

mod append;
mod args;
mod backoff;
mod batch;
mod failure;
mod follow;
mod http;
mod json;
mod manage;
mod output;
mod read;
mod target;

use std::process::ExitCode;

use crate::cli::exit::Exit;

pub use args::StreamArgs;
use args::StreamCommand;
use failure::Failure;
use http::Http;

/// Runs one command to its end.
pub(super) fn main(args: &StreamArgs) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("thalweg: cannot start: {error}");
            return Exit::Failure.into();
        }
    };
    let result = runtime.block_on(run(args));
    // A read of stdin may be under way on a helper thread; nothing waits for it.
    runtime.shutdown_background();
    match result {
        Ok(()) => Exit::Ok.into(),
        Err(failure) if failure.is_broken_pipe() => Exit::Ok.into(),
        Err(failure) => {
            eprintln!("thalweg: {failure}");
            failure.exit().into()
        }
    }
}

async fn run(args: &StreamArgs) -> Result<(), Failure> {
    let http = Http::new(&args.connection)?;
    let base = &args.connection.url;
    match &args.command {
        StreamCommand::Create(create) => manage::create(&http, base, create).await,
        StreamCommand::Append(append) => append::append(&http, base, append).await,
        StreamCommand::Read(read) => read::read(&http, base, read).await,
        StreamCommand::Tail(tail) => read::read(&http, base, &tail.to_read()).await,
        StreamCommand::Head(head) => manage::head(&http, base, head).await,
        StreamCommand::Close(close) => manage::close(&http, base, close).await,
        StreamCommand::Delete(delete) => manage::delete(&http, base, delete).await,
        StreamCommand::Fork(fork) => manage::fork(&http, base, fork).await,
        StreamCommand::List(list) => manage::list(&http, base, list).await,
    }
}

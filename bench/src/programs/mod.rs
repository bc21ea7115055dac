//! Programs of our own: floors, which do only what the kernel must do in any case, and the fan-out
//! program on several runtimes. Each is a hidden subcommand, so that it runs in a process of its
//! own, pinned like any contestant: `bench program NAME --port P`.
//!
//! Invariant: a floor sends the very bytes that the server would send, and checks nothing that
//! costs: what remains between it and the server is the price of being a server.
//!
//! Deliberately absent: pinning, starting and measuring them.

mod connection;
pub(crate) mod count;
mod door;
mod fanout;
mod fanout_h2;
mod http;
mod http_static;
mod long_poll;
#[cfg(feature = "glommio")]
mod on_glommio;
mod on_monoio;
mod on_tokio;
mod sendfile;
mod sends;
mod stream;
mod sync;
mod tasks;
#[cfg(test)]
mod tests;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Protocol, Type};

use crate::Failure;

/// What a program is started with; each takes what it needs.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct ProgramArgs {
    /// Where it listens, on 127.0.0.1.
    #[arg(long, default_value_t = 0)]
    pub(crate) port: u16,
    /// An empty directory of its own.
    #[arg(long)]
    pub(crate) data_dir: Option<PathBuf>,
    /// Bytes of the answer to a read, where the answer is fixed.
    #[arg(long, alias = "body-bytes", default_value_t = 1024)]
    pub(crate) page_bytes: usize,
    /// How often it does what it does, where it ends by itself.
    #[arg(long, short, default_value_t = 2000)]
    pub(crate) n: u32,
}

/// A program's entry. One that serves returns only if it cannot.
pub(crate) type Run = fn(&ProgramArgs) -> Result<(), Failure>;

/// One of ours.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    /// What a 2xx answer to an append means, for the tables.
    pub(crate) durability: &'static str,
    pub(crate) run: Run,
}

/// All of them.
pub(crate) const ALL: &[Entry] = &[
    program("fanout-uring", |args| fanout::uring(listen(args)?)),
    program("fanout-h2-uring", |args| fanout_h2::uring(listen(args)?)),
    program("fanout-epoll", |args| fanout::epoll(listen(args)?)),
    program("fanout-monoio", |args| on_monoio::fanout(listen(args)?)),
    #[cfg(feature = "glommio")]
    program("fanout-glommio", |args| on_glommio::fanout(listen(args)?)),
    program("fanout-tokio", |args| on_tokio::fanout(listen(args)?)),
    program("long-poll-uring", |args| long_poll::uring(listen(args)?)),
    program("long-poll-epoll", |args| long_poll::epoll(listen(args)?)),
    program("http-static", |args| http_static::epoll(listen(args)?, args.page_bytes)),
    program("sendfile", |args| sendfile::epoll(listen(args)?, args)),
    program("sync", sync::run),
    program("count-append", count::appends),
    program("count-frames", count::frames),
];

const fn program(name: &'static str, run: Run) -> Entry {
    Entry { name, durability: "none", run }
}

/// The program of a name. `None`: there is none, or this is built without its feature.
pub(crate) fn by_name(name: &str) -> Option<Run> {
    ALL.iter().find(|entry| entry.name == name).map(|entry| entry.run)
}

/// What a 2xx answer of a program means.
pub(crate) fn durability(name: &str) -> &'static str {
    ALL.iter().find(|entry| entry.name == name).map_or("none", |entry| entry.durability)
}

fn listen(args: &ProgramArgs) -> Result<TcpListener, Failure> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // If it is refused, connections are: whoever connects sees that.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let socket = socket2::Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, args.port));
    socket.bind(&address.into()).map_err(|error| format!("{address}: {error}"))?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// As many as the server's.
const BACKLOG: i32 = 4096;
/// What the kernel may hold per live reader: as much as the server lets it.
const SEND_BUFFER_BYTES: usize = 256 * 1024;

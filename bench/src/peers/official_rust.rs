//! The server of the crate `durable-streams`, which the protocol's authors publish.
//!
//! Its binary knows no `--version`: it is told apart by that, and its version is what `cargo
//! install` noted.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::place::{Binary, ask};
use super::version::installed_crate;
use super::{PROTOCOL_SUITES, found};
use crate::Failure;
use crate::contest::{Contestant, Found, Launch, Place, Ready, Role, Streams};
use crate::suite::SuiteName;

pub(super) struct OfficialRust;

const BINARY: Binary = Binary {
    variable: "THALWEG_BENCH_OFFICIAL_RUST",
    peer: "official-rust",
    file: "durable-streams-server",
};
const INSTALL: &str =
    "cargo install durable-streams --version 0.1.5 --root bench-peers/official-rust";

impl OfficialRust {
    fn binary() -> Option<(PathBuf, String)> {
        BINARY.find(|binary| version(installed_crate(binary), &ask(binary, "--version")?.text))
    }
}

/// By the list of `cargo install` and by what the binary answers to `--version`.
fn version(installed: Option<(String, String)>, said: &str) -> Option<String> {
    match installed {
        Some((name, version)) if name == "durable-streams" => Some(version),
        None if said.contains("unknown argument: --version") => Some("unknown".to_owned()),
        _ => None,
    }
}

impl Contestant for OfficialRust {
    fn name(&self) -> &str {
        "official-rust"
    }

    fn role(&self) -> Role {
        Role::Peer
    }

    fn durability(&self) -> &str {
        "fdatasync of its log before the answer (--durability wal)"
    }

    fn find(&self) -> Found {
        found(Self::binary().map(|(_, version)| version), INSTALL)
    }

    fn launch(&self, place: &Place<'_>) -> Result<Launch, Failure> {
        let (binary, _) = Self::binary().ok_or(INSTALL)?;
        Ok(Launch {
            command: command(&binary, place),
            ready: Ready::Get("/".to_owned()),
            base_path: "/v1/stream".to_owned(),
            streams: Streams::Created,
        })
    }

    fn suites(&self) -> &[SuiteName] {
        PROTOCOL_SUITES
    }
}

fn command(binary: &Path, place: &Place<'_>) -> Command {
    let cores = place.cores.to_string();
    let mut command = Command::new(binary);
    command
        .args(["--host", "127.0.0.1", "--port", &place.port.to_string()])
        .args(["--worker-threads", &cores, "--wal-shards", &cores, "--durability", "wal"])
        .arg("--data-dir")
        .arg(place.data_dir);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn told_apart_from_others_of_its_name() {
        let installed = |name: &str| Some((name.to_owned(), "0.1.5".to_owned()));
        let check = |installed, said: &str, want: Option<&str>| {
            assert_eq!(version(installed, said).as_deref(), want);
        };
        let own = "unknown argument: --version\n";
        check(installed("durable-streams"), own, Some("0.1.5"));
        check(None, own, Some("unknown"));
        check(installed("durable-streams-server"), "durable-streams-server 0.3.0\n", None);
        check(None, "durable-streams-server 0.3.0\n", None);
        check(None, "v2.10.2 h1:abc=\n", None);
    }

    #[test]
    fn as_many_threads_as_cores() {
        let place = Place { data_dir: Path::new("/d"), port: 4000, cores: 2, page_bytes: 0 };
        let command = command(Path::new("/s"), &place);
        let arguments: Vec<_> =
            command.get_args().filter_map(|argument| argument.to_str()).collect();
        let text = arguments.join(" ");
        assert!(text.contains("--port 4000 --worker-threads 2 --wal-shards 2"), "{text}");
        assert!(text.ends_with("--data-dir /d"), "{text}");
    }
}

//! The crate `durable-streams-server`: another server of the protocol, on axum and tokio.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::place::{Binary, ask};
use super::version::after;
use super::{HOUR_SECONDS, PROTOCOL_SUITES, found};
use crate::Failure;
use crate::contest::{Contestant, Found, Launch, Place, Ready, Role, Streams};
use crate::suite::SuiteName;

pub(super) struct Axum;

const BINARY: Binary =
    Binary { variable: "THALWEG_BENCH_AXUM", peer: "axum", file: "durable-streams-server" };
const INSTALL: &str =
    "cargo install durable-streams-server --version 0.3.0 --root bench-peers/axum";

impl Axum {
    fn binary() -> Option<(PathBuf, String)> {
        BINARY.find(|binary| {
            let said = ask(binary, "--version")?;
            after(&said.text, "durable-streams-server ").filter(|_| said.success)
        })
    }
}

impl Contestant for Axum {
    fn name(&self) -> &str {
        "axum"
    }

    fn role(&self) -> Role {
        Role::Peer
    }

    fn durability(&self) -> &str {
        "fdatasync of the stream's file before the answer (storage mode file-durable)"
    }

    fn find(&self) -> Found {
        found(Self::binary().map(|(_, version)| version), INSTALL)
    }

    fn launch(&self, place: &Place<'_>) -> Result<Launch, Failure> {
        let (binary, _) = Self::binary().ok_or(INSTALL)?;
        Ok(Launch {
            command: command(&binary, place),
            ready: Ready::Get("/readyz".to_owned()),
            base_path: "/v1/stream".to_owned(),
            streams: Streams::Created,
        })
    }

    fn suites(&self) -> &[SuiteName] {
        PROTOCOL_SUITES
    }
}

fn command(binary: &Path, place: &Place<'_>) -> Command {
    let mut command = Command::new(binary);
    command
        .arg("serve")
        .env("DS_SERVER__BIND_ADDRESS", format!("127.0.0.1:{}", place.port))
        .env("DS_STORAGE__MODE", "file-durable")
        .env("DS_STORAGE__DATA_DIR", place.data_dir)
        // Its limits on what is stored are 100 MiB, and 10 MiB a stream.
        .env("DS_LIMITS__MAX_MEMORY_BYTES", LIMIT_BYTES)
        .env("DS_LIMITS__MAX_STREAM_BYTES", LIMIT_BYTES)
        .env("DS_TRANSPORT__CONNECTION__SSE_RECONNECT_INTERVAL_SECS", HOUR_SECONDS.to_string())
        .env("DS_OBSERVABILITY__RUST_LOG", "warn")
        .env("RUST_LOG", "warn")
        .env("TOKIO_WORKER_THREADS", place.cores.to_string());
    command
}

const LIMIT_BYTES: &str = "68719476736";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_append_is_synced() {
        let place = Place { data_dir: Path::new("/d"), port: 4000, cores: 2, page_bytes: 0 };
        let command = command(Path::new("/s"), &place);
        let value = |name: &str| {
            let mut all = command.get_envs();
            all.find(|(given, _)| *given == name).and_then(|(_, value)| value?.to_str())
        };
        assert_eq!(value("DS_STORAGE__MODE"), Some("file-durable"));
        assert_eq!(value("DS_SERVER__BIND_ADDRESS"), Some("127.0.0.1:4000"));
        assert_eq!(value("DS_STORAGE__DATA_DIR"), Some("/d"));
        assert_eq!(value("TOKIO_WORKER_THREADS"), Some("2"));
    }
}

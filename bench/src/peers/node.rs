//! The reference server of the protocol's authors, npm's `@durable-streams/server`, file-backed.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::place::{PEERS, ask};
use super::{PROTOCOL_SUITES, found};
use crate::Failure;
use crate::contest::{Contestant, Found, Launch, Place, Ready, Role, Streams};
use crate::suite::SuiteName;

pub(super) struct Node;

/// The package's directory, if it is somewhere else.
const VARIABLE: &str = "THALWEG_BENCH_NODE";
const PACKAGE: &str = "node/node_modules/@durable-streams/server";
const INSTALL: &str = "npm install --prefix bench-peers/node @durable-streams/server@0.3.7";
const LAUNCHER: &str = include_str!("node.mjs");

impl Node {
    /// The package and its version.
    fn package() -> Option<(PathBuf, String)> {
        let package = match std::env::var_os(VARIABLE) {
            Some(directory) => PathBuf::from(directory),
            None => Path::new(PEERS).join(PACKAGE),
        };
        let description = std::fs::read_to_string(package.join("package.json")).ok()?;
        Some((std::path::absolute(package).ok()?, version(&description)?))
    }
}

/// Out of a `package.json`, whose fields stand on lines of their own.
fn version(description: &str) -> Option<String> {
    let line = |line: &str| {
        let value = line.trim().strip_prefix("\"version\":")?.trim().trim_end_matches(',');
        Some(value.strip_prefix('"')?.strip_suffix('"')?.to_owned())
    };
    description.lines().find_map(line)
}

impl Contestant for Node {
    fn name(&self) -> &str {
        "node"
    }

    fn role(&self) -> Role {
        Role::Peer
    }

    fn durability(&self) -> &str {
        "fdatasync of the stream's file before the answer (dataDir)"
    }

    fn find(&self) -> Found {
        let node = ask(Path::new("node"), "--version").filter(|said| said.success);
        let both = Self::package().zip(node);
        let version = both.map(|((_, version), node)| {
            format!("{version} on Node.js {}", node.text.trim().trim_start_matches('v'))
        });
        found(version, INSTALL)
    }

    fn launch(&self, place: &Place<'_>) -> Result<Launch, Failure> {
        let (package, _) = Self::package().ok_or(INSTALL)?;
        let mut command = Command::new("node");
        command
            .args(["--input-type=module", "--eval", LAUNCHER, "--"])
            .arg(package)
            .arg(place.port.to_string())
            .arg(place.data_dir);
        Ok(Launch {
            command,
            ready: Ready::Get("/v1/stream/none".to_owned()),
            base_path: "/v1/stream".to_owned(),
            streams: Streams::Created,
        })
    }

    fn suites(&self) -> &[SuiteName] {
        PROTOCOL_SUITES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_packages() {
        let check = |text: &str, want: Option<&str>| assert_eq!(version(text).as_deref(), want);
        check(
            "{\n  \"name\": \"x\",\n  \"version\": \"0.3.7\",\n  \"type\": \"module\"\n}",
            Some("0.3.7"),
        );
        check("{\n\t\"version\":\"1.0.0-rc.1\"\n}", Some("1.0.0-rc.1"));
        check("{}", None);
    }
}

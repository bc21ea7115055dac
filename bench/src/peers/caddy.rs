//! The Caddy server of the protocol's authors, with its file store.
//!
//! Written after its documentation and untried: its releases are no packages of a registry.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;

use super::place::{Binary, Said, ask};
use super::{HOUR_SECONDS, PROTOCOL_SUITES, found};
use crate::Failure;
use crate::contest::{Contestant, Found, Launch, Place, Ready, Role, Streams};
use crate::suite::SuiteName;

pub(super) struct Caddy;

const BINARY: Binary =
    Binary { variable: "THALWEG_BENCH_CADDY", peer: "caddy", file: "durable-streams-server" };
const INSTALL: &str = "put durable-streams-server of the releases of \
                       github.com/durable-streams/durable-streams into bench-peers/caddy/bin";

impl Caddy {
    fn binary() -> Option<(PathBuf, String)> {
        BINARY.find(|binary| version(&ask(binary, "version")?))
    }
}

/// The other two of this name refuse the word `version`.
fn version(said: &Said) -> Option<String> {
    let first = said.text.split_whitespace().next()?;
    let is_version = first.starts_with('v') || first.starts_with('(');
    (said.success && is_version).then(|| format!("Caddy {first}"))
}

impl Contestant for Caddy {
    fn name(&self) -> &str {
        "caddy"
    }

    fn role(&self) -> Role {
        Role::Peer
    }

    fn durability(&self) -> &str {
        "fsync of the stream's file and of its database before the answer (data_dir)"
    }

    fn find(&self) -> Found {
        found(Self::binary().map(|(_, version)| version), INSTALL)
    }

    fn launch(&self, place: &Place<'_>) -> Result<Launch, Failure> {
        let (binary, _) = Self::binary().ok_or(INSTALL)?;
        let file = place.data_dir.join("Caddyfile");
        std::fs::write(&file, configuration(place))?;
        let mut command = Command::new(binary);
        command.args(["run", "--adapter", "caddyfile", "--config"]).arg(file);
        command.env("GOMAXPROCS", place.cores.to_string());
        for variable in ["HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"] {
            command.env(variable, place.data_dir);
        }
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

fn configuration(place: &Place<'_>) -> String {
    let (data_dir, port) = (place.data_dir.join("streams"), place.port);
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "{{
	admin off
	auto_https off
	persist_config off
	log {{
		level WARN
	}}
}}

http://127.0.0.1:{port} {{
	bind 127.0.0.1
	route /v1/stream/* {{
		durable_streams {{
			data_dir \"{}\"
			max_file_handles {FILE_HANDLES}
			sse_reconnect_interval {HOUR_SECONDS}s
		}}
	}}
}}
",
        data_dir.display()
    );
    text
}

/// One for each stream of the suites that append; it would close and open files otherwise.
const FILE_HANDLES: u32 = 1024;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn told_apart_from_others_of_its_name() {
        let check = |success, text: &str, want: Option<&str>| {
            let said = Said { success, text: text.to_owned() };
            assert_eq!(version(&said).as_deref(), want, "{text}");
        };
        check(true, "v2.10.2 h1:abc=\n", Some("Caddy v2.10.2"));
        check(true, "(devel)\n", Some("Caddy (devel)"));
        check(false, "unknown argument: version\n", None);
        check(false, "error: unrecognized subcommand 'version'\n", None);
        check(true, "durable-streams-server 0.3.0\n", None);
    }

    #[test]
    fn a_file_store_on_its_port() {
        let place = Place { data_dir: Path::new("/d"), port: 4000, cores: 1, page_bytes: 0 };
        let text = configuration(&place);
        assert!(text.contains("http://127.0.0.1:4000 {"), "{text}");
        assert!(text.contains("data_dir \"/d/streams\""), "{text}");
        assert_eq!(text.matches('{').count(), text.matches('}').count());
    }
}

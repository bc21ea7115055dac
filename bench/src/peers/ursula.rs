//! `ursula`: a replicated server of the protocol, here as a single node with its log on disk.
//!
//! Streams lie in buckets, `/BUCKET/STREAM`. So a stream of its own lies in the bucket of its
//! name, and of several streams their common path is the bucket.

use std::path::PathBuf;
use std::process::Command;

use thalweg_loadgen::plan::{Plan, SamplerKind, Step, StreamSet};

use super::place::{Binary, ask};
use super::version::after;
use super::{PROTOCOL_SUITES, found};
use crate::Failure;
use crate::contest::{Contestant, Found, Launch, Place, Ready, Role, Streams};
use crate::suite::SuiteName;

pub(super) struct Ursula;

const BINARY: Binary = Binary { variable: "THALWEG_BENCH_URSULA", peer: "ursula", file: "ursula" };
const INSTALL: &str = "cargo install ursula --version 0.11.5 --root bench-peers/ursula";

impl Ursula {
    fn binary() -> Option<(PathBuf, String)> {
        BINARY.find(|binary| after(&ask(binary, "--version")?.text, "ursula "))
    }
}

impl Contestant for Ursula {
    fn name(&self) -> &str {
        "ursula"
    }

    fn role(&self) -> Role {
        Role::Peer
    }

    fn durability(&self) -> &str {
        "fdatasync of its Raft log before the answer, one node (raft.wal.path, fsync always)"
    }

    fn find(&self) -> Found {
        found(Self::binary().map(|(_, version)| version), INSTALL)
    }

    fn launch(&self, place: &Place<'_>) -> Result<Launch, Failure> {
        let (binary, _) = Self::binary().ok_or(INSTALL)?;
        let file = place.data_dir.join("ursula.toml");
        std::fs::write(&file, configuration(place))?;
        let mut command = Command::new(binary);
        command
            .args(["server", "--config"])
            .arg(file)
            .env("RUST_LOG", "warn")
            .env("TOKIO_WORKER_THREADS", place.cores.to_string());
        Ok(Launch {
            command,
            ready: Ready::Get("/none/none".to_owned()),
            base_path: String::new(),
            streams: Streams::Created,
        })
    }

    fn suites(&self) -> &[SuiteName] {
        PROTOCOL_SUITES
    }

    fn adapt(&self, plan: &mut Plan) -> Result<(), Failure> {
        in_buckets(plan);
        Ok(())
    }
}

fn configuration(place: &Place<'_>) -> String {
    format!(
        r#"[server]
listen = "127.0.0.1:{port}"
admin_listen = "127.0.0.1:0"
cluster_id = "bench"

[runtime]
core_count = {cores}

[raft]
node_id = 1

# A node with a log of its own to keep names itself.
[[raft.peers]]
node_id = 1
url = "http://127.0.0.1:{port}"

[raft.wal]
path = '{path}'
fsync = "always"

[storage.cold]
backend = "none"
# There is no cold store to move anything to.
max_hot_size_per_group = "0"
"#,
        port = place.port,
        cores = place.cores,
        path = place.data_dir.join("wal").display(),
    )
}

/// Every set of streams gets a bucket, which is made before it.
fn in_buckets(plan: &mut Plan) {
    let mut sets = Vec::with_capacity(2 * plan.streams.len());
    for set in std::mem::take(&mut plan.streams) {
        let mut stream = set.clone();
        if set.count == 1 {
            stream.path = format!("{}/{}", set.path, set.path);
        }
        sets.push(StreamSet { name: format!("{}-bucket", set.name), count: 1, ..set });
        sets.push(stream);
    }
    plan.streams = sets;
    let steps = plan.groups.iter_mut().flat_map(|group| &mut group.steps);
    for step in steps {
        if let Step::Sample(sampler) = step
            && let Some(streams) = streams_of(&mut sampler.kind)
        {
            *streams = 2 * *streams + 1;
        }
    }
}

fn streams_of(kind: &mut SamplerKind) -> Option<&mut usize> {
    match kind {
        SamplerKind::Tail(tail) => Some(&mut tail.streams),
        SamplerKind::Create { streams, .. }
        | SamplerKind::Append { streams, .. }
        | SamplerKind::AppendBatch { streams, .. }
        | SamplerKind::ProducerAppend { streams, .. }
        | SamplerKind::Close { streams }
        | SamplerKind::Read { streams, .. }
        | SamplerKind::Head { streams }
        | SamplerKind::Delete { streams }
        | SamplerKind::Fork { streams } => Some(streams),
        SamplerKind::Http { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use thalweg_loadgen::plan::{AppendOptions, FanoutOptions, append, fanout};

    use super::*;

    #[test]
    fn one_node_that_syncs() {
        let place = Place { data_dir: Path::new("/d"), port: 4000, cores: 2, page_bytes: 0 };
        let text = configuration(&place);
        let peer = "[[raft.peers]]\nnode_id = 1\nurl = \"http://127.0.0.1:4000\"";
        for line in ["listen = \"127.0.0.1:4000\"", "core_count = 2", "path = '/d/wal'", peer] {
            assert!(text.contains(line), "{text}");
        }
        assert!(text.contains("fsync = \"always\""), "{text}");
    }

    #[test]
    fn streams_lie_in_buckets() {
        let url = "http://127.0.0.1:4000/bench".to_owned();
        let mut plan = fanout(&FanoutOptions { url: url.clone(), ..FanoutOptions::default() });
        in_buckets(&mut plan);
        let paths = |plan: &Plan| {
            let path = |set: &StreamSet| (set.path.clone(), set.count);
            plan.streams.iter().map(path).collect::<Vec<_>>()
        };
        assert_eq!(paths(&plan), [("bench".to_owned(), 1), ("bench/bench".to_owned(), 1)]);
        for group in &mut plan.groups {
            let [Step::Sample(sampler)] = group.steps.as_mut_slice() else { panic!("one step") };
            assert_eq!(streams_of(&mut sampler.kind), Some(&mut 1));
        }
        let mut plan = append(&AppendOptions { url, ..AppendOptions::default() });
        in_buckets(&mut plan);
        assert_eq!(paths(&plan), [("bench".to_owned(), 1), ("bench".to_owned(), 1000)]);
    }
}

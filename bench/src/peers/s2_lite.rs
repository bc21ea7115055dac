//! `s2-lite`, a server of streams over an object store, here over a local directory.
//!
//! It has a protocol of its own: records in JSON envelopes, basins that streams lie in. So plans of
//! appends become requests of its own form, with messages of the same size in them.
//!
//! Deliberately absent: live readers. Its records come as JSON strings within JSON, which the load
//! generator's stamped messages are not.

use std::path::PathBuf;
use std::process::Command;

use thalweg_loadgen::plan::{Payload, Piece, Plan, SamplerKind, Size, Step, Template};

use super::found;
use super::place::{Binary, ask};
use super::version::{after, installed_crate};
use crate::Failure;
use crate::contest::{Contestant, Found, Launch, Place, Ready, Role, Streams};
use crate::suite::SuiteName;

pub(super) struct S2Lite;

const BINARY: Binary = Binary { variable: "THALWEG_BENCH_S2", peer: "s2", file: "s2" };
const INSTALL: &str = "cargo install s2-cli --version 0.43.4 --root bench-peers/s2";

impl S2Lite {
    fn binary() -> Option<(PathBuf, String)> {
        BINARY.find(|binary| {
            let said = ask(binary, "--version").filter(|said| said.success)?;
            let noted = installed_crate(binary).map(|(_, version)| version);
            after(&said.text, "s2 ").or(noted)
        })
    }
}

impl Contestant for S2Lite {
    fn name(&self) -> &str {
        "s2-lite"
    }

    fn role(&self) -> Role {
        Role::Peer
    }

    fn durability(&self) -> &str {
        "a file of its own per 5 ms of appends before the answer, not synced (--local-root)"
    }

    fn find(&self) -> Found {
        found(Self::binary().map(|(_, version)| version), INSTALL)
    }

    fn launch(&self, place: &Place<'_>) -> Result<Launch, Failure> {
        let (binary, _) = Self::binary().ok_or(INSTALL)?;
        let (file, store) = (place.data_dir.join("init.json"), place.data_dir.join("store"));
        std::fs::create_dir_all(&store)?;
        std::fs::write(&file, RESOURCES)?;
        let mut command = Command::new(binary);
        command
            .args(["lite", "--port", &place.port.to_string()])
            .arg("--local-root")
            .arg(store)
            .arg("--init-file")
            .arg(file)
            .env("RUST_LOG", "warn")
            .env("TOKIO_WORKER_THREADS", place.cores.to_string());
        Ok(Launch {
            command,
            ready: Ready::Get("/health".to_owned()),
            base_path: STREAMS.to_owned(),
            streams: Streams::Implicit,
        })
    }

    fn suites(&self) -> &[SuiteName] {
        &[SuiteName::Append, SuiteName::AppendLatency, SuiteName::AppendBatch]
    }

    fn adapt(&self, plan: &mut Plan) -> Result<(), Failure> {
        let basin = Template(vec![Piece::Text(BASIN.to_owned())]);
        plan.fields.push(("s2-basin".to_owned(), basin));
        plan.fields.push(("content-type".to_owned(), text("application/json")));
        let counts: Vec<u32> = plan.streams.iter().map(|set| set.count).collect();
        plan.streams.clear();
        let steps = plan.groups.iter_mut().flat_map(|group| &mut group.steps);
        for step in steps {
            let Step::Sample(sampler) = step else { continue };
            let (set, size, messages) = match &sampler.kind {
                SamplerKind::Append { streams, payload: Payload::Stamped(size) } => {
                    (*streams, size, 1)
                }
                SamplerKind::AppendBatch { streams, payload: Payload::Stamped(size), messages } => {
                    (*streams, size, *messages)
                }
                _ => return Err("s2-lite has no such operation".into()),
            };
            let Size::Constant(bytes) = *size else { return Err("expected one size".into()) };
            let count = counts.get(set).copied().unwrap_or(1);
            sampler.kind = append(count, bytes as usize, messages as usize);
        }
        Ok(())
    }
}

/// An append to one of so many streams, any as likely as the other.
fn append(streams: u32, bytes: usize, messages: usize) -> SamplerKind {
    let record = format!("{{\"body\":\"{}\"}}", "x".repeat(bytes));
    let body = format!("{{\"records\":[{}]}}", vec![record; messages].join(","));
    let path = vec![
        Piece::Text(format!("{STREAMS}/bench-")),
        Piece::Random(0, i64::from(streams) - 1),
        Piece::Text("/records".to_owned()),
    ];
    SamplerKind::Http { method: "POST".to_owned(), path: Template(path), body: text(&body) }
}

fn text(text: &str) -> Template {
    Template(vec![Piece::Text(text.to_owned())])
}

const BASIN: &str = "thalweg-bench";
const STREAMS: &str = "/v1/streams";
/// Streams come to be with their first append.
const RESOURCES: &str = r#"{"basins":[{"name":"thalweg-bench","config":{"create_stream_on_append":true,"create_stream_on_read":true}}]}"#;

#[cfg(test)]
mod tests {
    use thalweg_loadgen::plan::{AppendOptions, FanoutOptions};

    use super::*;

    #[test]
    fn appends_of_its_own_form() {
        let url = "http://127.0.0.1:4000/v1/streams/bench".to_owned();
        let options = AppendOptions { url: url.clone(), ..AppendOptions::default() };
        let mut plan = thalweg_loadgen::plan::append(&options);
        S2Lite.adapt(&mut plan).unwrap();
        assert!(plan.streams.is_empty());
        let [Step::Sample(sampler)] = plan.groups[0].steps.as_slice() else { panic!("one step") };
        let SamplerKind::Http { path, body, .. } = &sampler.kind else { panic!("its own form") };
        assert_eq!(path.0[1], Piece::Random(0, 999));
        let Piece::Text(body) = &body.0[0] else { panic!("a text") };
        assert_eq!(body.len(), r#"{"records":[{"body":""}]}"#.len() + 100);

        let mut readers =
            thalweg_loadgen::plan::fanout(&FanoutOptions { url, ..FanoutOptions::default() });
        assert!(S2Lite.adapt(&mut readers).is_err());
    }

    #[test]
    fn a_batch_has_its_records() {
        let SamplerKind::Http { body, .. } = append(1, 3, 2) else { panic!("its own form") };
        assert_eq!(body, text(r#"{"records":[{"body":"xxx"},{"body":"xxx"}]}"#));
    }

    #[test]
    fn the_basin_is_the_one_that_requests_name() {
        assert!(RESOURCES.contains(&format!("\"name\":\"{BASIN}\"")));
    }
}

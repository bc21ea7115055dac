//! nginx, twice: with nchan, which publishes messages to live readers, and as a server of files,
//! which is what a catch-up read costs if the answer lies ready.
//!
//! Neither speaks the protocol: plans are changed to nchan's paths and to plain Server-Sent Events,
//! and the file server answers every path with one file of the right length.

mod configuration;

use std::path::{Path, PathBuf};
use std::process::Command;

use thalweg_loadgen::plan::{Plan, SamplerKind, Step, TailMode};

use super::found;
use super::place::{Binary, ask};
use super::version::after;
use crate::Failure;
use crate::contest::{Contestant, Found, Launch, Place, Ready, Role, Streams};
use crate::suite::SuiteName;

/// nginx with nchan.
pub(super) struct Nchan;

/// nginx with one file.
pub(super) struct Files;

const BINARY: Binary = Binary { variable: "THALWEG_BENCH_NGINX", peer: "nginx", file: "nginx" };
/// nchan, if it is somewhere else than where packages put it.
const MODULE_VARIABLE: &str = "THALWEG_BENCH_NCHAN_MODULE";
const MODULES: [&str; 2] =
    ["/usr/lib/nginx/modules/ngx_nchan_module.so", "/usr/lib64/nginx/modules/ngx_nchan_module.so"];
const INSTALL_NCHAN: &str = "apt-get install nginx libnginx-mod-nchan";
const INSTALL: &str = "apt-get install nginx";

fn nginx() -> Option<(PathBuf, String)> {
    BINARY.find(|binary| after(&ask(binary, "-v")?.text, "nginx version: nginx/"))
}

fn nchan() -> Option<PathBuf> {
    let named = std::env::var_os(MODULE_VARIABLE).map(PathBuf::from);
    named.into_iter().chain(MODULES.map(PathBuf::from)).find(|module| module.is_file())
}

impl Contestant for Nchan {
    fn name(&self) -> &str {
        "nchan"
    }

    fn role(&self) -> Role {
        Role::Peer
    }

    fn durability(&self) -> &str {
        "none: messages are in shared memory"
    }

    fn find(&self) -> Found {
        let version = nginx().zip(nchan()).map(|((_, version), _)| format!("nginx {version}"));
        found(version, INSTALL_NCHAN)
    }

    fn launch(&self, place: &Place<'_>) -> Result<Launch, Failure> {
        let ((binary, _), module) = nginx().zip(nchan()).ok_or(INSTALL_NCHAN)?;
        let text = configuration::nchan(place, &module);
        launch(&binary, place, &text, Streams::Implicit)
    }

    fn suites(&self) -> &[SuiteName] {
        &[
            SuiteName::Fanout,
            SuiteName::FanoutOverload,
            SuiteName::Append,
            SuiteName::AppendLatency,
            SuiteName::IdleMemory,
        ]
    }

    fn adapt(&self, plan: &mut Plan) -> Result<(), Failure> {
        for set in &mut plan.streams {
            set.create = false;
            set.live_path = Some(format!("{}/{}", configuration::SUBSCRIBE, set.path));
            set.path = format!("{}/{}", configuration::PUBLISH, set.path);
        }
        let steps = plan.groups.iter_mut().flat_map(|group| &mut group.steps);
        for step in steps {
            let Step::Sample(sampler) = step else { continue };
            match &mut sampler.kind {
                SamplerKind::Append { .. } => {}
                SamplerKind::Tail(tail) if tail.mode == TailMode::Sse => {
                    tail.mode = TailMode::Events;
                }
                SamplerKind::Tail(_) => return Err("nchan's long-poll is another protocol".into()),
                _ => return Err("nchan has no such operation".into()),
            }
        }
        Ok(())
    }
}

impl Contestant for Files {
    fn name(&self) -> &str {
        "nginx"
    }

    fn role(&self) -> Role {
        Role::Peer
    }

    fn durability(&self) -> &str {
        "takes no appends: a file"
    }

    fn find(&self) -> Found {
        found(nginx().map(|(_, version)| version), INSTALL)
    }

    fn launch(&self, place: &Place<'_>) -> Result<Launch, Failure> {
        let (binary, _) = nginx().ok_or(INSTALL)?;
        std::fs::write(place.data_dir.join(configuration::PAGE), vec![b'x'; place.page_bytes])?;
        launch(&binary, place, &configuration::files(place), Streams::Fixed)
    }

    fn suites(&self) -> &[SuiteName] {
        &[SuiteName::ReadSmall, SuiteName::ReadLarge]
    }
}

fn launch(
    binary: &Path,
    place: &Place<'_>,
    text: &str,
    streams: Streams,
) -> Result<Launch, Failure> {
    let file = place.data_dir.join("nginx.conf");
    std::fs::write(&file, text)?;
    let mut command = Command::new(binary);
    command.args(["-e", "stderr", "-p"]).arg(place.data_dir).arg("-c").arg(file);
    let base_path = "/v1/stream".to_owned();
    Ok(Launch { command, ready: Ready::Get("/".to_owned()), base_path, streams })
}

#[cfg(test)]
mod tests {
    use thalweg_loadgen::plan::{FanoutOptions, StreamSet, fanout};

    use super::*;

    fn plan(mode: TailMode) -> Plan {
        let url = "http://127.0.0.1:4000/v1/stream/bench".to_owned();
        fanout(&FanoutOptions { url, mode, ..FanoutOptions::default() })
    }

    #[test]
    fn plans_for_nchan() {
        let mut plan = plan(TailMode::Sse);
        Nchan.adapt(&mut plan).unwrap();
        let StreamSet { path, live_path, create, .. } = &plan.streams[0];
        assert_eq!((path.as_str(), live_path.as_deref()), ("/pub/bench", Some("/sub/bench")));
        assert!(!create);
        let modes: Vec<_> = plan.groups.iter().flat_map(|group| &group.steps).collect();
        let is_events = |step: &&Step| match step {
            Step::Sample(sampler) => {
                matches!(&sampler.kind, SamplerKind::Tail(tail) if tail.mode == TailMode::Events)
            }
            _ => false,
        };
        assert_eq!(modes.into_iter().filter(is_events).count(), 1);
    }

    #[test]
    fn what_it_does_not_do() {
        let error = Nchan.adapt(&mut plan(TailMode::LongPoll)).unwrap_err();
        assert_eq!(error.to_string(), "nchan's long-poll is another protocol");
    }
}

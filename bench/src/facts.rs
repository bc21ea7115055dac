//! What the figures were measured on, and when.

use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::Serialize;

use crate::machine::Cpus;

/// Of one call of the benchmark.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Facts {
    /// UTC.
    pub(crate) date: String,
    /// Of the source tree, `-dirty` if it has changes.
    pub(crate) commit: String,
    pub(crate) cpu: String,
    /// CPUs that this process may use.
    pub(crate) cpus: usize,
    pub(crate) kernel: String,
    pub(crate) memory_mib: u64,
    /// Of the last minute, at the start.
    pub(crate) load_average: f64,
    /// Rounds.
    pub(crate) rounds: usize,
    /// Small numbers that compare with nothing.
    pub(crate) quick: bool,
}

impl Facts {
    /// Now.
    pub(crate) fn gather(cpus: &Cpus, rounds: usize, quick: bool) -> Facts {
        let machine = thalweg_loadgen::engine::machine();
        let date = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        Facts {
            date,
            commit: commit(),
            cpu: machine.cpu,
            cpus: cpus.count(),
            kernel: machine.kernel,
            memory_mib: machine.memory_bytes >> 20,
            load_average: load_average(),
            rounds,
            quick,
        }
    }

    /// As the begin of a report.
    pub(crate) fn text(&self) -> String {
        let Facts { date, commit, cpu, cpus, kernel, memory_mib, load_average, rounds, .. } = self;
        format!(
            "{date}, commit {commit}, {cpu}, {cpus} CPUs, {memory_mib} MiB, {kernel}, \
             load average {load_average:.2} at the start, rounds: {rounds}\n"
        )
    }

    /// Why the figures may be worth less than they look.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.quick {
            warnings.push("QUICK: small numbers, one round. Compares with nothing.".to_owned());
        }
        if self.load_average > QUIET_LOAD {
            warnings.push(format!(
                "the machine is not quiet: its load average is {:.2}, expected at most {QUIET_LOAD}",
                self.load_average
            ));
        }
        if self.cpus < 2 {
            warnings.push("one CPU: the load generator slows every contestant down".to_owned());
        }
        warnings
    }
}

/// Raises the limit of descriptors as far as it goes, for us and all that we start. The limit.
pub(crate) fn most_descriptors() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => maximum.unwrap_or(u64::MAX),
        Err(_) => current.unwrap_or(u64::MAX),
    }
}

/// A source file that is newer than the server's binary.
pub(crate) fn newer_source(binary: &Path) -> Option<String> {
    let built = std::fs::metadata(binary).ok()?.modified().ok()?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let dirs = ["proto/src", "storage/src", "server/src"];
    dirs.iter().find_map(|dir| newer(&root.join(dir), built))
}

fn newer(dir: &Path, than: SystemTime) -> Option<String> {
    for entry in std::fs::read_dir(dir).ok()?.flatten() {
        let path = entry.path();
        let found = match path.is_dir() {
            true => newer(&path, than),
            false => {
                let changed = entry.metadata().ok()?.modified().ok()?;
                (changed > than).then(|| path.display().to_string())
            }
        };
        if found.is_some() {
            return found;
        }
    }
    None
}

fn commit() -> String {
    let mut git = Command::new("git");
    git.args(["describe", "--always", "--dirty", "--abbrev=12"]);
    let output = git.current_dir(env!("CARGO_MANIFEST_DIR")).output();
    let text = output.ok().filter(|output| output.status.success());
    let text = text.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.unwrap_or_else(|| "unknown".to_owned())
}

fn load_average() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(f64::NAN)
}

/// Above it something else is at work.
const QUIET_LOAD: f64 = 0.5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_newer_than_a_binary() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("deep")).unwrap();
        let file = dir.path().join("deep/x.rs");
        std::fs::write(&file, "").unwrap();
        let at = std::fs::metadata(&file).unwrap().modified().unwrap();
        let second = std::time::Duration::from_secs(1);
        assert_eq!(newer(dir.path(), at - second), Some(file.display().to_string()));
        assert_eq!(newer(dir.path(), at + second), None);
    }
}

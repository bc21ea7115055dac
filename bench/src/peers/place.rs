//! Where a peer's binary is: named by an environment variable, in `bench-peers/<peer>/bin` below
//! the working directory, or in PATH.
//!
//! Invariant: a variable that is set is believed: nothing else is looked at then.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A binary that may be on this machine.
pub(super) struct Binary {
    /// Names it, if it is set.
    pub(super) variable: &'static str,
    /// Its directory in [`PEERS`].
    pub(super) peer: &'static str,
    /// What it is called.
    pub(super) file: &'static str,
}

impl Binary {
    /// The first candidate of which `version` knows one.
    pub(super) fn find(
        &self,
        version: impl Fn(&Path) -> Option<String>,
    ) -> Option<(PathBuf, String)> {
        let variable = std::env::var_os(self.variable);
        let path = std::env::var_os("PATH").unwrap_or_default();
        let candidates = self.candidates(variable, Path::new(PEERS), &path);
        candidates.into_iter().find_map(|candidate| {
            let version = version(&candidate)?;
            Some((std::path::absolute(candidate).ok()?, version))
        })
    }

    fn candidates(&self, variable: Option<OsString>, peers: &Path, path: &OsStr) -> Vec<PathBuf> {
        if let Some(named) = variable {
            return vec![named.into()];
        }
        let own = peers.join(self.peer).join("bin");
        let directories = std::iter::once(own).chain(std::env::split_paths(path));
        directories.map(|directory| directory.join(self.file)).filter(|at| at.is_file()).collect()
    }
}

/// What a program says, and whether it ended well.
pub(super) struct Said {
    pub(super) success: bool,
    /// On both of its outputs.
    pub(super) text: String,
}

/// Runs a program that says something and ends.
pub(super) fn ask(binary: &Path, argument: &str) -> Option<Said> {
    let output = Command::new(binary).arg(argument).stdin(Stdio::null()).output().ok()?;
    let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    Some(Said { success: output.status.success(), text: format!("{out}{err}") })
}

/// Where install lines put peers.
pub(super) const PEERS: &str = "bench-peers";

#[cfg(test)]
mod tests {
    use super::*;

    const BINARY: Binary = Binary { variable: "THALWEG_BENCH_X", peer: "x", file: "server" };

    #[test]
    fn a_variable_goes_before_everything() {
        let directory = tempfile::tempdir().unwrap();
        let (own, other) = (directory.path().join("x/bin"), directory.path().join("usr"));
        for directory in [&own, &other] {
            std::fs::create_dir_all(directory).unwrap();
            std::fs::write(directory.join("server"), "").unwrap();
        }
        let path = std::env::join_paths([Path::new("/nowhere"), &other]).unwrap();
        let of = |variable: Option<&str>| {
            BINARY.candidates(variable.map(OsString::from), directory.path(), &path)
        };
        assert_eq!(of(Some("/y")), [Path::new("/y")]);
        assert_eq!(of(None), [own.join("server"), other.join("server")]);
        assert!(BINARY.candidates(None, Path::new("/none"), OsStr::new("/nowhere")).is_empty());
    }

    #[test]
    fn what_programs_say() {
        let said = ask(Path::new("echo"), "v 1").unwrap();
        assert!(said.success && said.text == "v 1\n");
        assert!(!ask(Path::new("false"), "").unwrap().success);
        assert!(ask(Path::new("/nowhere/server"), "--version").is_none());
    }
}

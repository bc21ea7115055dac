//! Calibrations of this user, kept for the notes of later runs.
//!
//! One JSON file in the user's cache, one calibration per machine, kernel and version: another
//! kernel or another version of this program is another generator.
//!
//! Invariant: a file that cannot be read is as good as none; it is never an error of a run.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use super::Calibration;
use crate::result::{Ceiling, Machine};

/// What was saved for a machine by this version of the program.
#[must_use]
pub fn saved(machine: &Machine) -> Option<Ceiling> {
    let all = read(&path()?);
    all.into_iter().find(|one| is_of(one, machine, VERSION)).map(|one| one.ceiling)
}

/// Saves a calibration in place of an earlier one of the same machine and version. Where it is.
///
/// # Errors
/// If neither `XDG_CACHE_HOME` nor `HOME` says where, or the file cannot be written.
pub fn save(calibration: &Calibration) -> io::Result<PathBuf> {
    let unknown = || io::Error::new(io::ErrorKind::NotFound, "set HOME or XDG_CACHE_HOME");
    let path = path().ok_or_else(unknown)?;
    save_to(&path, calibration)?;
    Ok(path)
}

fn save_to(path: &Path, calibration: &Calibration) -> io::Result<()> {
    let mut all = read(path);
    all.retain(|one| !is_of(one, &calibration.machine, &calibration.version));
    all.insert(0, calibration.clone());
    all.truncate(MOST_KEPT);
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir)?;
    }
    // Whole or not at all: another run may be reading it.
    let new = path.with_extension(format!("json.{}", std::process::id()));
    std::fs::write(&new, serde_json::to_vec_pretty(&all)?)?;
    std::fs::rename(&new, path)
}

fn read(path: &Path) -> Vec<Calibration> {
    let text = std::fs::read(path).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

/// How many processors a process may use, and how much memory there is, change nothing for one
/// core.
fn is_of(one: &Calibration, machine: &Machine, version: &str) -> bool {
    let Machine { cpu, kernel, .. } = &one.machine;
    (cpu, kernel, one.version.as_str()) == (&machine.cpu, &machine.kernel, version)
}

fn path() -> Option<PathBuf> {
    let of = |name| std::env::var_os(name).filter(|value: &OsString| !value.is_empty());
    let cache = of("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(of("HOME")?).join(".cache")))?;
    Some(cache.join("thalweg").join("calibration.json"))
}

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Calibrations in one file.
const MOST_KEPT: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn calibration(cpu: &str, version: &str, requests_per_second: f64) -> Calibration {
        let machine = Machine { cpu: cpu.into(), ..Machine::default() };
        let ceiling = Ceiling { requests_per_second, cores: 1, ..Ceiling::default() };
        Calibration {
            version: version.into(),
            machine,
            measured_unix_ms: 0,
            cpus: vec![1],
            apart: true,
            ceiling,
            figures: Vec::new(),
        }
    }

    #[test]
    fn one_for_each_machine_and_version() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("thalweg/calibration.json");
        assert_eq!(read(&path), []);
        for (cpu, version, rate) in
            [("a", "1", 1.0), ("b", "1", 2.0), ("a", "2", 3.0), ("a", "1", 4.0)]
        {
            save_to(&path, &calibration(cpu, version, rate)).unwrap();
        }
        let rates: Vec<f64> =
            read(&path).iter().map(|one| one.ceiling.requests_per_second).collect();
        assert_eq!(rates, [4.0, 3.0, 2.0]);
        let more = Machine { cpu: "b".into(), cpus: 7, ..Machine::default() };
        assert_eq!(read(&path).iter().filter(|one| is_of(one, &more, "1")).count(), 1);
        std::fs::write(&path, "no JSON").unwrap();
        assert_eq!(read(&path), []);
        assert_eq!(std::fs::read_dir(dir.path().join("thalweg")).unwrap().count(), 1);
    }
}

//! What these tests need of a machine: root, tools, mounts.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::support::{PATIENCE, Server, wait_until};

/// Loop devices and mounts are the whole machine's: one test at a time.
static MOUNTS: Mutex<()> = Mutex::new(());

/// The right to mount.
pub(super) fn alone() -> MutexGuard<'static, ()> {
    MOUNTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says that a test cannot do here what it is for. Past the capture of the test harness: `./test`
/// repeats these lines.
pub(super) fn skipped(why: &str) {
    let thread = std::thread::current();
    let _ = writeln!(std::io::stderr(), "skipped: {}: {why}", thread.name().unwrap_or("test"));
}

/// Whether root and all of these programs are here; says what is not.
pub(super) fn has(programs: &[&str]) -> bool {
    if !rustix::process::geteuid().is_root() {
        skipped("it mounts file systems and needs root");
        return false;
    }
    let missing = programs.iter().find(|program| !is_installed(program));
    if let Some(program) = missing {
        skipped(&format!("it needs {program}"));
    }
    missing.is_none()
}

fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(system).any(|dir| dir.join(program).is_file())
}

/// Runs a program; what it said if it failed.
pub(super) fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(program).args(arguments).output();
    let Output { status, stderr, .. } = output.map_err(|error| format!("{program}: {error}"))?;
    match status.success() {
        true => Ok(()),
        false => Err(format!("{program}: {status}: {}", String::from_utf8_lossy(&stderr).trim())),
    }
}

/// A mounted file system. Unmounted when dropped.
pub(super) struct Mount {
    at: PathBuf,
}

impl Mount {
    /// Mounts the file system in a file.
    pub(super) fn image(image: &Path, at: PathBuf) -> Result<Mount, String> {
        Mount::new(&["-o", "loop,noatime"], image, at)
    }

    /// Mounts memory.
    pub(super) fn memory(bytes: u64, at: PathBuf) -> Result<Mount, String> {
        Mount::new(&["-t", "tmpfs", "-o", &format!("size={bytes}")], Path::new("tmpfs"), at)
    }

    fn new(options: &[&str], what: &Path, at: PathBuf) -> Result<Mount, String> {
        std::fs::create_dir_all(&at).map_err(|error| error.to_string())?;
        run("mount", &[options, &[text(what), text(&at)]].concat())?;
        Ok(Mount { at })
    }

    pub(super) fn path(&self) -> &Path {
        &self.at
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // What used it may still be on its way out.
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = run("umount", &[text(&self.at)]) {
            if Instant::now() > deadline {
                let _ = writeln!(std::io::stderr(), "{error}");
                let _ = run("umount", &["--lazy", text(&self.at)]);
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

/// Waits until the server has made the next segment of this name and size, so that its helper
/// leaves the disk alone.
pub(super) fn wait_for_segment_ahead(server: &Server, name: &str, bytes: u64) {
    let path = server.data_dir().join(name);
    let is_open = || {
        let open = std::fs::read_dir(format!("/proc/{}/fd", server.pid())).expect("a process");
        open.flatten().any(|entry| std::fs::read_link(entry.path()).is_ok_and(|to| to == path))
    };
    let is_made = || std::fs::metadata(&path).is_ok_and(|file| file.len() == bytes);
    wait_until("the next segment", || is_made() && !is_open());
}

/// Paths of these tests are text.
pub(super) fn text(path: &Path) -> &str {
    path.to_str().expect("a path of UTF-8")
}

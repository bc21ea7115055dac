//! A memory cgroup for a process that has just been started. As root, with cgroup v2 or v1.
//!
//! Version 2 counts everything under one limit. Version 1 counts socket buffers apart; both get the
//! limit, and the peak is the sum of both peaks, which is more than there was at any time.

use std::fs;
use std::path::{Path, PathBuf};

/// See the module. Removed when it is dropped; its processes must have ended.
pub(super) struct Cgroup {
    dir: PathBuf,
    peaks: &'static [&'static str],
}

impl Cgroup {
    /// A new one with a limit in bytes; why there is none otherwise.
    pub(super) fn create(bytes: u64) -> Result<Cgroup, String> {
        let name = format!("thalweg-bench-{}", std::process::id());
        let v2 = Path::new("/sys/fs/cgroup");
        let controllers = fs::read_to_string(v2.join("cgroup.controllers")).unwrap_or_default();
        if controllers.split_whitespace().any(|controller| controller == "memory") {
            // It may be on already.
            let _ = fs::write(v2.join("cgroup.subtree_control"), "+memory");
            let limits = ["memory.max"];
            return Cgroup::with(v2.join(name), &limits, &["memory.peak"], bytes);
        }
        let limits = ["memory.limit_in_bytes", "memory.kmem.tcp.limit_in_bytes"];
        let peaks = &["memory.max_usage_in_bytes", "memory.kmem.tcp.max_usage_in_bytes"];
        Cgroup::with(v2.join("memory").join(name), &limits, peaks, bytes)
    }

    fn with(
        dir: PathBuf,
        limits: &[&str],
        peaks: &'static [&'static str],
        bytes: u64,
    ) -> Result<Cgroup, String> {
        let failed = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
        fs::create_dir(&dir).map_err(|error| failed(&dir, error))?;
        let cgroup = Cgroup { dir, peaks };
        for limit in limits {
            let path = cgroup.dir.join(limit);
            fs::write(&path, bytes.to_string()).map_err(|error| failed(&path, error))?;
        }
        // Swap would hide what is too much. Where there is none, there is no such file.
        let _ = fs::write(cgroup.dir.join("memory.swap.max"), "0");
        Ok(cgroup)
    }

    /// Moves a process into it, with all its threads.
    pub(super) fn add(&self, pid: u32) -> Result<(), String> {
        let path = self.dir.join("cgroup.procs");
        fs::write(&path, pid.to_string()).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// The most that was in use.
    pub(super) fn peak_bytes(&self) -> u64 {
        let read = |file: &&str| fs::read_to_string(self.dir.join(file)).ok();
        let number = |text: String| text.trim().parse::<u64>().ok();
        self.peaks.iter().filter_map(read).filter_map(number).sum()
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // The kernel may need a moment to see the end of the processes.
        for _ in 0..100 {
            if fs::remove_dir(&self.dir).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

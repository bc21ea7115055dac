//! What the figures were measured on, and which CPU does what.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The CPUs of a benchmark.
pub(crate) struct Cpus {
    allowed: CpuSet,
    /// The server's.
    pub(crate) server: usize,
    /// The load generator's: this process.
    pub(crate) load: usize,
}

impl Cpus {
    /// The first and the last CPU that this process may use.
    pub(crate) fn split() -> Result<Cpus, crate::Failure> {
        let allowed = sched_getaffinity(None)?;
        let cpus: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu)).collect();
        let (Some(first), Some(last)) = (cpus.first(), cpus.last()) else {
            return Err("no CPU is allowed to this process".into());
        };
        if first == last {
            eprintln!("bench: only one CPU: the load generator will slow the server down");
        }
        Ok(Cpus { allowed, server: *first, load: *last })
    }

    /// Starts a process that may use every CPU, as an operator would, then keeps to its own.
    pub(crate) fn start_beside<T>(&self, start: impl FnOnce() -> T) -> std::io::Result<T> {
        sched_setaffinity(None, &self.allowed)?;
        let started = start();
        let mut own = CpuSet::new();
        own.set(self.load);
        sched_setaffinity(None, &own)?;
        Ok(started)
    }
}

/// Kernel and CPU in one line.
pub(crate) fn describe() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let info = read("/proc/cpuinfo");
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown CPU", |(_, model)| model).to_owned();
    format!("{model}, Linux {}", read("/proc/sys/kernel/osrelease").trim())
}

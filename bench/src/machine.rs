//! What the figures were measured on, and which CPU does what.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Pins this process to the last CPU it may use; the server takes the first. Returns both.
pub(crate) fn split_cpus() -> Result<(usize, usize), Box<dyn std::error::Error>> {
    let allowed = sched_getaffinity(None)?;
    let cpus: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu)).collect();
    let (Some(first), Some(last)) = (cpus.first(), cpus.last()) else {
        return Err("no CPU is allowed to this process".into());
    };
    if first == last {
        eprintln!("bench: only one CPU: the load generator will slow the server down");
    }
    let mut own = CpuSet::new();
    own.set(*last);
    sched_setaffinity(None, &own)?;
    Ok((*first, *last))
}

/// Kernel and CPU in one line.
pub(crate) fn describe() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let info = read("/proc/cpuinfo");
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown CPU", |(_, model)| model).to_owned();
    format!("{model}, Linux {}", read("/proc/sys/kernel/osrelease").trim())
}

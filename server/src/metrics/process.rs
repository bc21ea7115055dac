//! What the kernel says about this process.

use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

use super::families;
use super::snapshot::{Labels, Sample};

/// The process's samples; those that the kernel does not tell are missing.
#[must_use]
pub fn samples(started: SystemTime) -> Vec<Sample> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let cpu = clock_gettime(ClockId::ProcessCPUTime);
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    [
        (families::CPU_SECONDS, Some(cpu.tv_sec as f64 + cpu.tv_nsec as f64 / 1e9)),
        (families::RESIDENT_BYTES, field(&status, "VmRSS:").map(|kib| kib * 1024.0)),
        (families::VIRTUAL_BYTES, field(&status, "VmSize:").map(|kib| kib * 1024.0)),
        (families::OPEN_FDS, fs::read_dir("/proc/self/fd").ok().map(|dir| dir.count() as f64)),
        (families::MAX_FDS, limit.map(|limit| limit as f64)),
        (families::THREADS, field(&status, "Threads:")),
        (families::START_TIME, Some(since_1970(started).as_secs_f64())),
    ]
    .into_iter()
    .filter_map(|(family, value)| Some(Sample::new(family, Labels::new(), value?)))
    .collect()
}

/// The number after a name in `/proc/self/status`.
fn field(status: &str, name: &str) -> Option<f64> {
    let rest = status.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

fn since_1970(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_name() {
        let status = "Name:\tVmRSS: 1\nVmRSS:\t    2048 kB\nThreads:\t7\n";
        assert_eq!(field(status, "VmRSS:"), Some(2048.0));
        assert_eq!(field(status, "Threads:"), Some(7.0));
        assert_eq!(field(status, "VmSize:"), None);
    }

    #[test]
    fn this_process_has_all_of_them() {
        assert_eq!(samples(SystemTime::now()).len(), 7);
    }
}

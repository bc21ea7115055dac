//! The machine that makes the load, as reports name it.

use std::fs;

use crate::result::Machine;

/// This machine.
#[must_use]
pub fn machine() -> Machine {
    let uname = rustix::system::uname();
    let text = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
    Machine {
        cpu: field("/proc/cpuinfo", "model name").unwrap_or_else(|| text(uname.machine())),
        cpus: std::thread::available_parallelism().map_or(1, |count| count.get() as u32),
        kernel: format!("{} {}", text(uname.sysname()), text(uname.release())),
        memory_bytes: kib("/proc/meminfo", "MemTotal").unwrap_or(0),
    }
}

/// Largest resident memory of this process so far, in bytes.
pub(crate) fn peak_rss_bytes() -> u64 {
    kib("/proc/self/status", "VmHWM").unwrap_or(0)
}

/// CPU time of this process so far, in milliseconds.
pub(crate) fn cpu_ms() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as u64 * 1000 + time.tv_nsec as u64 / 1_000_000
}

fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.split(':').next().map(str::trim) == Some(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn kib(path: &str, name: &str) -> Option<u64> {
    let kib: u64 = field(path, name)?.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_a_kernel_and_memory() {
        let machine = machine();
        assert!(machine.kernel.starts_with("Linux "), "{machine:?}");
        assert!(machine.memory_bytes > 1 << 20 && machine.cpus > 0, "{machine:?}");
        assert!(peak_rss_bytes() > 0);
    }
}

//! What the machine offers: the CPUs this process may use and its descriptor limit.
//!
//! Asked once at start-up and passed on, so that resolving a configuration stays pure.

/// The machine as far as the configuration depends on it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Machine {
    /// CPU numbers of the affinity mask, ascending, never empty.
    pub cpus: Vec<usize>,
    /// The hard limit of open descriptors; the server raises its soft limit to it.
    pub descriptors: u64,
}

impl Machine {
    /// Asks the operating system.
    #[must_use]
    pub fn detect() -> Machine {
        Machine { cpus: allowed_cpus(), descriptors: descriptor_limit() }
    }
}

/// The affinity mask, which containers and `taskset` narrow; not the number of CPUs installed.
fn allowed_cpus() -> Vec<usize> {
    let Ok(mask) = rustix::thread::sched_getaffinity(None) else {
        // The mask does not fit `CpuSet` on machines with more than 1,024 CPUs.
        let count = std::thread::available_parallelism().map_or(1, usize::from);
        return (0..count).collect();
    };
    (0..rustix::thread::CpuSet::MAX_CPU).filter(|cpu| mask.is_set(*cpu)).collect()
}

fn descriptor_limit() -> u64 {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    limit.maximum.or(limit.current).unwrap_or(u64::MAX)
}

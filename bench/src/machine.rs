//! What the figures were measured on, and which CPU does what.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::Failure;

/// The CPUs of a benchmark: servers get the first ones, the load generator, which is this process,
/// the last one.
#[derive(Clone, Debug)]
pub(crate) struct Cpus(Vec<usize>);

impl Cpus {
    /// Those that this process may use. From here on it keeps to its own.
    pub(crate) fn split() -> Result<Cpus, Failure> {
        let allowed = sched_getaffinity(None)?;
        let cpus: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu)).collect();
        if cpus.is_empty() {
            return Err("no CPU is allowed to this process".into());
        }
        let cpus = Cpus(cpus);
        pin(&[cpus.load()])?;
        Ok(cpus)
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// Those of a server that is given so many.
    pub(crate) fn servers(&self, cores: usize) -> &[usize] {
        &self.0[..cores.clamp(1, self.0.len())]
    }

    /// The load generator's.
    pub(crate) fn load(&self) -> usize {
        self.0.last().copied().unwrap_or_default()
    }

    /// Starts a process that stays on the CPUs of a server, with all that it starts itself.
    pub(crate) fn on_servers<T>(
        &self,
        cores: usize,
        start: impl FnOnce() -> T,
    ) -> Result<T, Failure> {
        // A process begins where the thread was that started it.
        pin(self.servers(cores))?;
        let started = start();
        pin(&[self.load()])?;
        Ok(started)
    }
}

/// Keeps this thread, and what it starts from now on, to these CPUs.
fn pin(cpus: &[usize]) -> Result<(), Failure> {
    let mut set = CpuSet::new();
    cpus.iter().for_each(|cpu| set.set(*cpu));
    sched_setaffinity(None, &set)
        .map_err(|error| format!("cannot keep to CPUs {cpus:?}: {error}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_get_the_first_and_the_load_the_last() {
        let cpus = Cpus(vec![2, 3, 5]);
        assert_eq!((cpus.servers(1), cpus.servers(2), cpus.load()), (&[2][..], &[2, 3][..], 5));
        assert_eq!((cpus.servers(9), cpus.servers(0)), (&[2, 3, 5][..], &[2][..]));
    }
}

//! Who makes the load: threads of this process, or workers.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use rustix::thread::{CpuSet, sched_getaffinity};
use thalweg_loadgen::capacity::Scaling;
use thalweg_loadgen::distributed::{Job, Token, controller};
use thalweg_loadgen::engine::{self, Cores, RunOptions, Share};
use thalweg_loadgen::plan::Plan;
use thalweg_loadgen::result::{RunResult, thresholds};
use thalweg_loadgen::{LoadError, calibrate};

use super::exit::Failure;
use super::plan::Ready;

/// Threads of a generator.
#[derive(Args, Debug)]
pub(super) struct CoreArgs {
    /// Threads that send, and as many that take deliveries [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    cores: Option<u16>,
    /// The same, each kept on one of these processors
    #[arg(long, value_name = "CPU,...", value_delimiter = ',', conflicts_with = "cores")]
    pin: Option<Vec<usize>>,
}

impl CoreArgs {
    pub(super) fn cores(&self) -> Result<Cores, Failure> {
        let Some(cpus) = &self.pin else {
            return Ok(Cores::Count(self.cores.map_or(1, usize::from)));
        };
        let allowed = allowed_cpus();
        match cpus.iter().find(|cpu| !allowed.contains(cpu)) {
            None => Ok(Cores::Pinned(cpus.clone())),
            Some(cpu) => Err(Failure::usage(format!(
                "--pin {cpu}: expected processors that this process may use: {}",
                ranges(&allowed)
            ))),
        }
    }
}

/// Where the load comes from.
#[derive(Args, Debug)]
pub(super) struct GeneratorArgs {
    #[command(flatten)]
    cores: CoreArgs,
    /// Let these make the load together instead: addresses of `thalweg load worker`
    #[arg(
        long,
        value_name = "HOST:PORT,...",
        value_delimiter = ',',
        conflicts_with_all = ["cores", "pin"]
    )]
    workers: Vec<String>,
    /// File with the secret that the workers know
    #[arg(long, value_name = "FILE", requires = "workers")]
    token_file: Option<PathBuf>,
}

impl GeneratorArgs {
    pub(super) fn generator(&self) -> Result<Generator, Failure> {
        let token = self.token_file.as_deref().map(read_token).transpose()?;
        for (index, worker) in self.workers.iter().enumerate() {
            let expected = match self.workers[..index].contains(worker) {
                _ if !worker.contains(':') => "expected HOST:PORT",
                true => "it is given twice: expected each worker once",
                false => continue,
            };
            return Err(Failure::usage(format!("--workers {worker:?}: {expected}")));
        }
        Ok(Generator { cores: self.cores.cores()?, workers: self.workers.clone(), token })
    }
}

/// What makes the load.
pub(super) struct Generator {
    pub(super) cores: Cores,
    workers: Vec<String>,
    token: Option<Token>,
}

impl Generator {
    /// For a run in this process.
    pub(super) fn options(&self) -> RunOptions {
        options(self.cores.clone())
    }

    /// Makes a run, and judges the thresholds of `plan`: the ready one, or what a search made of
    /// it by `scaling`.
    pub(super) fn run(
        &self,
        ready: &Ready,
        plan: &Plan,
        scaling: Option<Scaling>,
        options: &RunOptions,
    ) -> Result<RunResult, LoadError> {
        if self.workers.is_empty() {
            return engine::run(plan, options);
        }
        let mut overrides = ready.overrides.clone();
        // Repeats of a search differ by it.
        overrides.seed = Some(plan.seed);
        let job = Job {
            source: ready.source.clone(),
            overrides,
            scaling,
            share: Share::default(),
            rows: options.jtl.is_some(),
            jtl_deliveries: options.jtl_deliveries,
        };
        let mut result = controller::run(&self.workers, self.token.as_ref(), &job, options)?;
        result.verdicts = thresholds::evaluate(&thresholds::of(plan), &result);
        Ok(result)
    }
}

/// For a run with these threads. What `calibrate` found before is for the notes.
pub(super) fn options(cores: Cores) -> RunOptions {
    let ceiling = calibrate::saved(&engine::machine());
    RunOptions { cores, ceiling, ..RunOptions::default() }
}

/// Those that the scheduler may put this process on, in order.
fn allowed_cpus() -> Vec<usize> {
    let allowed = sched_getaffinity(None).unwrap_or_default();
    (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu)).collect()
}

/// Numbers in order, like `0-3, 6`.
fn ranges(numbers: &[usize]) -> String {
    let runs = numbers.chunk_by(|one, next| one + 1 == *next);
    let texts = runs.map(|run| match run {
        [first, .., last] => format!("{first}-{last}"),
        _ => run.iter().map(usize::to_string).collect(),
    });
    texts.collect::<Vec<_>>().join(", ")
}

/// The secret in a file.
pub(super) fn read_token(file: &Path) -> Result<Token, Failure> {
    let wrong =
        |reason: String| Failure::usage(format!("--token-file {}: {reason}", file.display()));
    let text = fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
    Token::new(&text).ok_or_else(|| wrong("it is empty; expected a secret".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_ranges() {
        let check = |numbers: &[usize], want: &str| assert_eq!(ranges(numbers), want);
        check(&[], "");
        check(&[3], "3");
        check(&[0, 1], "0-1");
        check(&[0, 1, 2, 5, 7, 8], "0-2, 5, 7-8");
    }
}

//! `thalweg-sim`: runs seeds and says which of them break a promise.

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use thalweg_sim::{Options, Outcome, Totals, run};
use thalweg_storage::planted;

/// The whole server under a simulated disk, clock and clients.
#[derive(Parser, Debug)]
#[command(name = "thalweg-sim")]
struct Args {
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds.
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// Steps of each run.
    #[arg(long, default_value_t = 20_000)]
    steps: u64,
    /// Threads.
    #[arg(long, default_value_t = 1)]
    jobs: u64,
    /// Make a mistake that must be found: its name, or `all` for a table of all of them. Needs a
    /// build with `--features planted-bugs`.
    #[arg(long)]
    plant: Option<String>,
    /// Print what happens.
    #[arg(long)]
    trace: bool,
}

fn main() -> ExitCode {
    // A panic of the simulated server is an outcome of the run, which says it in its own words.
    std::panic::set_hook(Box::new(|_| {}));
    let args = Args::parse();
    match args.plant.as_deref() {
        None => seeds(&args),
        Some("all") => all_bugs(&args),
        Some(name) => match planted::ALL.iter().find(|(_, known)| *known == name) {
            Some((bug, name)) => one_bug(&args, *bug, name),
            None => {
                let known: Vec<&str> = planted::ALL.iter().map(|(_, name)| *name).collect();
                eprintln!("thalweg-sim: no mistake {name:?}; known: all, {}", known.join(", "));
                ExitCode::from(2)
            }
        },
    }
}

/// Runs seeds on so many threads; the first failure counts.
fn seeds(args: &Args) -> ExitCode {
    let started = Instant::now();
    let jobs = args.jobs.max(1);
    let (mut failures, mut totals) = (0, Totals::default());
    std::thread::scope(|scope| {
        let job = |job: u64| {
            let seeds = (args.seed..args.seed + args.seeds).filter(move |seed| seed % jobs == job);
            let (mut failures, mut totals) = (0, Totals::default());
            for seed in seeds {
                let outcome = run(Options { seed, steps: args.steps, trace: args.trace });
                failures += u64::from(!passes(args, seed, &outcome));
                totals.add(&outcome.totals);
            }
            (failures, totals)
        };
        let threads: Vec<_> = (0..jobs).map(|number| scope.spawn(move || job(number))).collect();
        for thread in threads {
            let (failed, done) = thread.join().unwrap_or((1, Totals::default()));
            failures += failed;
            totals.add(&done);
        }
    });
    println!("{totals:?}");
    println!(
        "{} seeds of {} steps in {:.1} s: {failures} with a violation",
        args.seeds,
        args.steps,
        started.elapsed().as_secs_f64()
    );
    if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn passes(args: &Args, seed: u64, outcome: &Outcome) -> bool {
    if let Some(violation) = &outcome.violation {
        report(args, seed, outcome);
        println!("seed {seed}: {}: {}", violation.invariant, violation.what);
        return false;
    }
    if args.seeds == 1 || args.trace {
        println!("seed {seed}: trace {:016x}", outcome.hash);
    }
    true
}

fn report(args: &Args, seed: u64, outcome: &Outcome) {
    if !args.trace {
        outcome.last.iter().for_each(|line| println!("  {line}"));
    }
    println!("again: thalweg-sim --seed {seed} --steps {} --trace", args.steps);
}

/// Looks for one mistake.
fn one_bug(args: &Args, bug: planted::Bug, name: &str) -> ExitCode {
    if !planted::plant(Some(bug)) {
        eprintln!(
            "thalweg-sim: this build makes no mistakes; build it with --features planted-bugs"
        );
        return ExitCode::from(2);
    }
    for seed in args.seed..args.seed + args.seeds {
        let outcome = run(Options { seed, steps: args.steps, trace: args.trace });
        if let Some(violation) = &outcome.violation {
            let tried = seed - args.seed + 1;
            println!("{name:<22} {tried:>6}  {:<10} {}", violation.invariant, violation.what);
            return ExitCode::SUCCESS;
        }
    }
    println!("{name:<22}  not found in {} seeds", args.seeds);
    ExitCode::FAILURE
}

fn all_bugs(args: &Args) -> ExitCode {
    println!("{:<22} {:>6}  {:<10} what was seen", "mistake", "seeds", "invariant");
    let missed = planted::ALL
        .iter()
        .filter(|(bug, name)| one_bug(args, *bug, name) != ExitCode::SUCCESS)
        .count();
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

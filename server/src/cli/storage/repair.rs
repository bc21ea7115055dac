//! `thalweg storage repair`: a damaged directory starts again, and says what it lost.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use thalweg_storage::inspect::{Affected, Finding, Inspection, inspect};
use thalweg_storage::repair::{Plan, apply, plan};
use thalweg_storage::{DataDirLock, Disk, ReadOnlyDisk, RealDisk};

use super::exit::{Exit, Failure};
use super::progress::Progress;
use super::text::{count, now};
use super::{MADE_BY, findings, say};

/// The arguments of `thalweg storage repair`.
#[derive(Args, Debug)]
pub struct RepairArgs {
    /// The data directory of a stopped server
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Do it. Without this, nothing is changed
    #[arg(long, conflicts_with = "dry_run")]
    yes: bool,
    /// Only say what would be done: the default
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn main(args: &RepairArgs) -> Result<Exit, Failure> {
    // Also for a look: what a running server writes meanwhile would look like damage.
    let _lock = match (args.yes, DataDirLock::holder(&args.dir)) {
        (true, _) if args.dir.is_dir() => Some(DataDirLock::acquire(&args.dir)?),
        (_, Some(pid)) => {
            let dir = args.dir.display();
            return Err(Failure::usage(format!("{dir} is in use by process {pid}; stop it first")));
        }
        _ => None,
    };
    let progress = Progress::of(&args.dir, 2);
    let found = inspect(&ReadOnlyDisk, &args.dir, &|bytes| progress.add(bytes));
    progress.end();
    let found = found?;
    let Some(plan) = plan(&found) else {
        say(&format!("{}: sound, nothing to repair\n", args.dir.display()))?;
        return Ok(Exit::Ok);
    };
    let at = now();
    let report = describe(args, &found, &plan, &at);
    if !args.yes {
        say(&format!("{report}\nNothing was changed. With --yes this is done.\n"))?;
        return Ok(Exit::Damaged);
    }
    // Colons are trouble in names on some systems that copies end up on.
    let name = at.replace(':', "-");
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let quarantine = apply(&disk, &args.dir, &found, &plan, (&name, &report, MADE_BY))?;
    say(&format!("{report}\nDone; see {}\n", quarantine.display()))?;
    Ok(Exit::Ok)
}

fn describe(args: &RepairArgs, found: &Inspection, plan: &Plan, at: &str) -> String {
    let mut text = format!("Repair of {} by {MADE_BY}, {at}\n\nFound:\n", args.dir.display());
    for finding in &found.findings {
        text.push_str(&findings::text(finding));
    }
    list(&mut text, "Moved to the quarantine:", plan.moved.iter().map(|file| file.display()));
    let rewritten = plan.rewritten.iter().map(|file| file.display());
    list(&mut text, "Of these, the good bytes of streams are written anew:", rewritten);
    let what = "Lost: these bytes cannot be read, their offsets stay taken:";
    list(&mut text, what, plan.lost.iter());
    let what = "Of streams that nothing else is known of, in the quarantine only:";
    list(&mut text, what, plan.unknown.iter());
    let what = "Lost to forks, with the streams that they were forked from:";
    list(&mut text, what, plan.orphaned.iter());
    if found.findings.iter().any(Finding::loses_records) {
        text.push_str(
            "\nDamaged parts of a log may also have held the last records of streams; what cannot be \
             read there\nis not known, and not counted.\n",
        );
    }
    let bytes = |lost: &[Affected]| lost.iter().map(|lost| lost.to - lost.from).sum::<u64>();
    text.push_str(&format!(
        "\n{} of {} lose {}.\n",
        count(streams(&plan.lost), "stream"),
        found.streams.len(),
        count(bytes(&plan.lost), "byte"),
    ));
    text
}

fn list<T: std::fmt::Display>(text: &mut String, title: &str, items: impl Iterator<Item = T>) {
    let lines: Vec<String> = items.map(|item| format!("  {item}\n")).collect();
    if !lines.is_empty() {
        text.push_str(&format!("\n{title}\n{}", lines.concat()));
    }
}

fn streams(lost: &[Affected]) -> u64 {
    let mut ids: Vec<u64> = lost.iter().map(|lost| lost.id.0).collect();
    ids.sort_unstable();
    ids.dedup();
    ids.len() as u64
}

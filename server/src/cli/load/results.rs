//! Where what came of a run goes: text, files, the endpoint for Prometheus.
//!
//! Invariants: whatever can be known about the files before the run is known before the run: a
//! long run does not end in a wrong path. One that cannot be written does not keep the others from
//! being written.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{ArgAction, Args};
use rustix::fs::{Access, access};
use thalweg_loadgen::engine::JtlDeliveries;
use thalweg_loadgen::html;
use thalweg_loadgen::output::summary::Summary;
use thalweg_loadgen::output::{self, junit, text};
use thalweg_loadgen::result::RunResult;

use super::exit::Failure;
use super::{say, tell};

/// What is written, and where.
#[derive(Args, Debug)]
pub(super) struct ResultArgs {
    /// Log every request to this file, as JMeter does; a file that is there is replaced
    #[arg(short, long, value_name = "FILE.jtl", alias = "logfile")]
    pub(super) log: Option<PathBuf>,
    /// Which deliveries are logged there too: those of all readers, of one in N, or of none
    #[arg(
        long,
        value_name = "all|1/N|none",
        default_value = "none",
        value_parser = deliveries,
        requires = "log"
    )]
    pub(super) jtl_deliveries: JtlDeliveries,
    /// Accepted, as JMeter's users write it: --output makes the report
    #[arg(short = 'e', action = ArgAction::SetTrue, requires = "output")]
    report: bool,
    /// Write the HTML report, the whole result and files for other tools to this directory, which
    /// does not exist or is empty
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Write the figures as JSON; `-` writes them to stdout, and the text to stderr
    #[arg(long, value_name = "FILE")]
    summary: Option<PathBuf>,
    /// Write thresholds, operations and deliveries as JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Add a threshold to the plan's, like 'deliver: p99 < 250ms'; may be given several times
    #[arg(long = "threshold", value_name = "CONDITION")]
    pub(super) thresholds: Vec<String>,
    #[command(flatten)]
    pub(super) watch: WatchArgs,
}

/// How a run is seen while it goes on.
#[derive(Args, Debug)]
pub(super) struct WatchArgs {
    /// Answer Prometheus at http://ADDR/metrics while it runs
    #[arg(long, value_name = "ADDR")]
    pub(super) metrics: Option<String>,
    /// Show no progress
    #[arg(short, long)]
    pub(super) quiet: bool,
}

impl ResultArgs {
    /// Whether all of it can be written, as far as can be known.
    pub(super) fn check(&self) -> Result<(), Failure> {
        if let Some(dir) = &self.output {
            take_directory(dir)?;
        }
        let files = [
            ("--log", self.log.as_deref()),
            ("--summary", self.summary.as_deref().filter(|file| !is_stdout(file))),
            ("--junit", self.junit.as_deref()),
        ];
        let mut taken: Vec<(&str, PathBuf)> = Vec::new();
        for (flag, file) in files {
            let Some(file) = file else { continue };
            if let Some(reason) = unwritable(file) {
                return Err(Failure::usage(format!("{flag} {reason}")));
            }
            let place = place(file);
            if let Some((other, _)) = taken.iter().find(|(_, other)| *other == place) {
                let name = file.display();
                return Err(Failure::usage(format!(
                    "{flag} {name}: {other} writes there too; expected another file"
                )));
            }
            // A device takes all that comes.
            if !file.exists() || file.is_file() {
                taken.push((flag, place));
            }
        }
        Ok(())
    }

    /// Shows the result and writes all files, whatever becomes of one of them. The first error.
    pub(super) fn write(&self, result: &RunResult) -> Result<(), Failure> {
        let text = text::text(result);
        let said = match &self.summary {
            Some(file) if is_stdout(file) => {
                let _ = std::io::stderr().write_all(text.as_bytes());
                summary(result).and_then(|summary| say(&summary))
            }
            Some(file) => {
                let written = summary(result).and_then(|summary| write(file, &summary));
                say(&text).and(written)
            }
            None => say(&text),
        };
        let junit = self.junit.as_ref().map_or(Ok(()), |file| {
            junit::junit(result).map_err(Failure::not_made).and_then(|text| write(file, &text))
        });
        let report = self.output.as_ref().map_or(Ok(()), |dir| {
            write_report(result, dir)?;
            tell(&format!("the report is {}", dir.join(INDEX).display()));
            Ok(())
        });
        said.and(junit).and(report)
    }
}

/// Makes sure that a directory is there, empty, and ours to write to.
pub(super) fn take_directory(dir: &Path) -> Result<(), Failure> {
    let refused = |reason: String| Failure::usage(format!("--output {}: {reason}", dir.display()));
    if dir.exists() && !dir.is_dir() {
        return Err(refused("it is a file; expected a directory".to_owned()));
    }
    fs::create_dir_all(dir).map_err(|error| refused(error.to_string()))?;
    let mut entries = fs::read_dir(dir).map_err(|error| refused(error.to_string()))?;
    if entries.next().is_some() {
        return Err(refused("it is not empty; expected a new or an empty directory".to_owned()));
    }
    tempfile_in(dir).map_err(|error| refused(error.to_string()))
}

/// All files of a result, and the report.
pub(super) fn write_report(result: &RunResult, dir: &Path) -> Result<(), Failure> {
    let failed = |error| Failure::not_made(format!("{}: {error}", dir.display()));
    output::write_dir(result, dir).map_err(failed)?;
    write_html(result, dir)
}

/// The report alone.
pub(super) fn write_html(result: &RunResult, dir: &Path) -> Result<(), Failure> {
    write(&dir.join(INDEX), &html::render(result).map_err(Failure::not_made)?)
}

pub(super) fn write(file: &Path, text: &str) -> Result<(), Failure> {
    output::write_atomically(file, text.as_bytes())
        .map_err(|error| Failure::not_made(format!("{}: {error}", file.display())))
}

fn summary(result: &RunResult) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(&Summary::from(result));
    text.map(|text| text + "\n").map_err(Failure::not_made)
}

fn is_stdout(file: &Path) -> bool {
    file.as_os_str() == "-"
}

/// Why a file cannot be written, with its name.
fn unwritable(file: &Path) -> Option<String> {
    // Where a link leads is where it is written.
    let end = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let parent = parent(&end);
    let name = file.display();
    if file.is_dir() {
        return Some(format!("{name}: it is a directory; expected a file"));
    }
    if !parent.is_dir() {
        return Some(format!("{name}: there is no directory {}", parent.display()));
    }
    let probed = match fs::metadata(file) {
        Ok(there) if !there.is_file() => {
            access(file, Access::WRITE_OK).map_err(std::io::Error::from)
        }
        // A file is replaced by one that is made beside it.
        _ => tempfile_in(parent),
    };
    probed.err().map(|error| format!("{name}: {error}"))
}

fn parent(file: &Path) -> &Path {
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// The same for two names of one file.
fn place(file: &Path) -> PathBuf {
    let beside = || Some(fs::canonicalize(parent(file)).ok()?.join(file.file_name()?));
    fs::canonicalize(file).ok().or_else(beside).unwrap_or_else(|| file.to_owned())
}

/// Tries to write into a directory.
fn tempfile_in(dir: &Path) -> std::io::Result<()> {
    let probe = dir.join(format!(".{}.tmp", std::process::id()));
    fs::File::create_new(&probe).and_then(|_| fs::remove_file(&probe))
}

/// `all`, `none`, or one reader in so many.
fn deliveries(text: &str) -> Result<JtlDeliveries, String> {
    let wrong = || "expected all, none or 1/N, like 1/100".to_owned();
    match text {
        "all" => Ok(JtlDeliveries::All),
        "none" => Ok(JtlDeliveries::None),
        _ => match text.strip_prefix("1/").and_then(|n| n.parse().ok()) {
            Some(n) if n > 0 => Ok(JtlDeliveries::OneIn(n)),
            _ => Err(wrong()),
        },
    }
}

const INDEX: &str = "index.html";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_does_not_go_over_another_one() {
        let dir = tempfile::tempdir().unwrap();
        let new = dir.path().join("a/b");
        take_directory(&new).unwrap();
        take_directory(&new).unwrap();
        fs::write(new.join("index.html"), "x").unwrap();
        assert!(take_directory(&new).unwrap_err().message.contains("not empty"));
        let file = take_directory(&new.join("index.html")).unwrap_err().message;
        assert!(file.contains("index.html: it is a file"), "{file}");
    }

    #[test]
    fn files_that_cannot_be() {
        let dir = tempfile::tempdir().unwrap();
        let check = |name: &str, want: Option<&str>| {
            let got = unwritable(&dir.path().join(name));
            match (&got, want) {
                (None, None) => {}
                (Some(got), Some(want)) if got.contains(want) => {}
                _ => panic!("{name}: {got:?}"),
            }
        };
        check("a", None);
        check(".", Some("a directory; expected a file"));
        check("no/a", Some("there is no directory"));
        std::os::unix::fs::symlink("/dev/full", dir.path().join("full")).unwrap();
        check("full", None);
        assert!(unwritable(Path::new("/proc/self/status")).is_some());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left over");
        assert_eq!(unwritable(Path::new("a")), None);
    }

    #[test]
    fn sampled_deliveries() {
        let check = |text: &str, want: Option<JtlDeliveries>| {
            assert_eq!(deliveries(text).ok(), want, "{text}");
        };
        check("all", Some(JtlDeliveries::All));
        check("none", Some(JtlDeliveries::None));
        check("1/100", Some(JtlDeliveries::OneIn(100)));
        for text in ["", "1", "1/", "1/0", "1/-1", "2/3", "1/4294967296"] {
            check(text, None);
        }
    }
}

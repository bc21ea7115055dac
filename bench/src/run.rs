//! A call of the benchmark: every suite that was asked for, one part after the other, and the files
//! that it writes.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::contest::{Contestant, Role, Where};
use crate::facts::{self, Facts};
use crate::figures::written;
use crate::machine::Cpus;
use crate::report::{Report, found};
use crate::rounds::{Who, play};
use crate::suite::{self, Part, Setting, SuiteName, Turn};
use crate::{Failure, peers};

/// What was asked for.
pub(crate) struct Asked {
    pub(crate) suites: Vec<SuiteName>,
    /// What the titles of the parts contain; all if there is nothing.
    pub(crate) part: Option<String>,
    pub(crate) quick: bool,
    pub(crate) rounds: usize,
    /// Contestants; all if there is none.
    pub(crate) only: Vec<String>,
    pub(crate) out: PathBuf,
    pub(crate) server: PathBuf,
}

/// Runs everything. Whether our own server did what it should everywhere.
pub(crate) fn run(asked: &Asked) -> Result<bool, Failure> {
    check_age(&asked.server);
    let descriptors = facts::most_descriptors();
    let cpus = Cpus::split()?;
    let facts = Facts::gather(&cpus, asked.rounds, asked.quick);
    let others = peers::all().into_iter().map(Rc::from).collect();
    let setting = Setting { quick: asked.quick, server: asked.server.clone(), peers: others };
    let parts = parts(asked, &setting)?;
    let mut files = Files::create(&asked.out, &facts, &asked.suites)?;
    let mut sound = true;
    for (name, part) in &parts {
        if part.descriptors > descriptors {
            let name = name.word();
            eprintln!(
                "bench: {name} needs {} descriptors and the limit is {descriptors}: raise it with `ulimit -n`",
                part.descriptors
            );
        }
        let place = Where {
            cpus: cpus.clone(),
            scratch: asked.out.clone(),
            cores: part.cores,
            page_bytes: part.page_bytes,
        };
        match one(*name, part, asked, &place, &facts, &mut files) {
            Ok(part_sound) => sound &= part_sound,
            Err(error) => {
                sound = false;
                files.text(&format!("## {}: {}\n\nFAILED: {error}\n", name.word(), part.title))?;
            }
        }
    }
    files.end();
    Ok(sound)
}

/// What was asked for. An error if there is nothing like it.
fn parts(asked: &Asked, setting: &Setting) -> Result<Vec<(SuiteName, Part)>, Failure> {
    let of = |name: &SuiteName| {
        let name = *name;
        suite::parts(name, setting).into_iter().map(move |part| (name, part))
    };
    let mut parts: Vec<_> = asked.suites.iter().flat_map(of).collect();
    if let Some(text) = &asked.part {
        let titles: Vec<String> =
            parts.iter().map(|(name, part)| format!("{}: {}", name.word(), part.title)).collect();
        parts.retain(|(_, part)| part.title.contains(text));
        if parts.is_empty() {
            return Err(format!(
                "--part {text:?}: no part has that in its title; there are\n{}",
                titles.join("\n")
            )
            .into());
        }
    }
    let names: BTreeSet<&str> = parts
        .iter()
        .flat_map(|(_, part)| part.contestants.iter().map(|contestant| contestant.name()))
        .collect();
    match asked.only.iter().find(|only| !names.contains(only.as_str())) {
        None => Ok(parts),
        Some(only) => {
            let names = Vec::from_iter(names).join(", ");
            Err(format!("--only {only}: nobody of that name takes part; there are {names}").into())
        }
    }
}

/// One part. Whether our own server did what it should.
fn one(
    name: SuiteName,
    part: &Part,
    asked: &Asked,
    place: &Where,
    facts: &Facts,
    files: &mut Files,
) -> Result<bool, Failure> {
    let (mut present, mut absent) = (Vec::new(), Vec::new());
    let wanted = |who: &&Rc<dyn Contestant>| {
        asked.only.is_empty() || asked.only.iter().any(|only| only == who.name())
    };
    for contestant in part.contestants.iter().filter(wanted) {
        match found(&**contestant) {
            Ok(version) => present.push((&**contestant, version)),
            Err(missing) => absent.push(missing),
        }
    }
    for (name, install) in &absent {
        eprintln!("bench: absent: {name}; to have it: {install}");
    }
    let floor = part.floor.as_deref();
    let missing = floor.and_then(|floor| found(floor).err());
    if let Some((name, install)) = missing {
        return Err(format!("the floor {name} is absent: {install}").into());
    }
    let mut turn = |round: usize, who: Who| {
        let contestant = match who {
            Who::Floor => floor.ok_or("there is no floor")?,
            Who::Contestant(at) => present[at].0,
        };
        let (rounds, word, title) = (asked.rounds, name.word(), &part.title);
        let measured = (part.measure)(&Turn { contestant, place });
        let said = match &measured {
            Ok(values) => {
                let named = part.metrics.iter().zip(values);
                let named =
                    named.map(|(metric, value)| format!("{} {}", metric.name, written(*value)));
                named.collect::<Vec<_>>().join(", ")
            }
            Err(error) => format!("FAILED: {error}"),
        };
        let round = round + 1;
        eprintln!("{word} ({title}) round {round}/{rounds}: {}: {said}", contestant.name());
        measured
    };
    let played = play(present.len(), asked.rounds, floor.is_some(), &mut turn)?;
    let report =
        Report { suite: name, part, played: &played, present: &present, absent: &absent, facts };
    files.text(&report.text())?;
    files.lines(&report.lines())?;
    let is_own = |who: &dyn Contestant| who.role() == Role::Thalweg;
    let expected = part.contestants.iter().filter(wanted).filter(|who| is_own(&***who)).count();
    let own = present.iter().zip(&played.series).filter(|((who, _), _)| is_own(*who));
    let sound = own.filter(|(_, series)| series.failure.is_none()).count();
    Ok(sound == expected)
}

/// A contestant that is absent is named with what installs it; one that is old is not noticed
/// otherwise.
fn check_age(server: &Path) {
    if let Some(source) = facts::newer_source(server) {
        let server = server.display();
        eprintln!("bench: {server} is older than {source}: build it with `cargo build --release`");
    }
}

/// Where results go, beside the terminal.
struct Files {
    markdown: File,
    json: File,
    paths: [PathBuf; 2],
}

impl Files {
    fn create(dir: &Path, facts: &Facts, suites: &[SuiteName]) -> Result<Files, Failure> {
        std::fs::create_dir_all(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
        let suite = match suites {
            [one] => one.word(),
            _ => "several",
        };
        let stem = format!("{}-{suite}", facts.date.replace(':', ""));
        let paths = ["md", "jsonl"].map(|ending| dir.join(format!("{stem}.{ending}")));
        let create = |path: &Path| {
            File::create(path).map_err(|error| format!("{}: {error}", path.display()))
        };
        let (markdown, json) = (create(&paths[0])?, create(&paths[1])?);
        let mut files = Files { markdown, json, paths };
        files.text(&facts.text())?;
        for warning in facts.warnings() {
            eprintln!("bench: {warning}");
            files.text(&format!("WARNING: {warning}\n"))?;
        }
        Ok(files)
    }

    /// To the terminal too.
    fn text(&mut self, text: &str) -> Result<(), Failure> {
        say(text);
        writeln!(self.markdown, "{text}")?;
        Ok(())
    }

    fn lines(&mut self, lines: &str) -> Result<(), Failure> {
        self.json.write_all(lines.as_bytes())?;
        Ok(())
    }

    fn end(&self) {
        let [markdown, json] = &self.paths;
        eprintln!("bench: written to {} and {}", markdown.display(), json.display());
    }
}

/// To standard output. Whoever reads it may have had enough.
pub(crate) fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

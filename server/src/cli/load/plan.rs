//! A plan that is ready to run, and what it was made from.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use thalweg_loadgen::distributed::Overrides;
use thalweg_loadgen::plan::{Plan, PlanSource};
use thalweg_loadgen::result::{Meta, Note, RunResult};

use super::exit::Failure;

/// Which plan.
#[derive(Args, Debug)]
pub(super) struct PlanArgs {
    /// The plan: PLAN.toml, or JMeter's PLAN.jmx
    #[arg(value_name = "PLAN", required_unless_present = "testplan", conflicts_with = "testplan")]
    plan: Option<PathBuf>,
    /// The plan, as JMeter's users write it
    #[arg(short = 't', long = "testfile", value_name = "PLAN", id = "testplan")]
    testplan: Option<PathBuf>,
    /// Accepted, as JMeter's users write it; there is no other mode
    #[arg(short = 'n', long = "nongui")]
    nongui: bool,
    /// Set a property that the plan uses, like ${__P(readers,100)}
    #[arg(short = 'J', long = "property", value_name = "NAME=VALUE", value_parser = property)]
    properties: Vec<(String, String)>,
    /// Leave out what is not supported of a JMX plan, and say what, instead of refusing it
    #[arg(long)]
    skip_unknown: bool,
}

/// What the command line says instead of any plan, or beside it.
#[derive(Args, Debug)]
pub(super) struct OverrideArgs {
    /// Fix every choice of the run with this number, instead of the plan's [default: 1]
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,
    /// Bearer token of every request, instead of the plan's. STREAM_TOKEN in the environment does
    /// the same for a plan without one
    #[arg(long, value_name = "TOKEN")]
    bearer: Option<String>,
}

/// A plan that can run.
pub(super) struct Ready {
    pub(super) source: PlanSource,
    pub(super) overrides: Overrides,
    /// With the overrides.
    pub(super) plan: Plan,
    pub(super) hash: String,
    /// Elements of a JMX plan that were left out.
    pub(super) skipped: Vec<String>,
    /// What else was said about the plan.
    notes: Vec<String>,
}

impl PlanArgs {
    /// Reads the plan and makes sure that it can run. What was left out of it is said on stderr.
    pub(super) fn read(&self, overrides: &OverrideArgs) -> Result<Ready, Failure> {
        // clap requires one of the two.
        let path = self.plan.as_deref().or(self.testplan.as_deref()).unwrap_or("".as_ref());
        let mut properties = BTreeMap::new();
        for (name, value) in &self.properties {
            if properties.insert(name.clone(), value.clone()).is_some() {
                return Err(Failure::usage(format!("-J {name} is given twice: expected once")));
            }
        }
        let source = PlanSource::read(path, properties, self.skip_unknown)?;
        Ready::of(source, overrides)
    }
}

impl Ready {
    pub(super) fn of(source: PlanSource, overrides: &OverrideArgs) -> Result<Ready, Failure> {
        let resolved = source.resolve()?;
        let mut plan = resolved.plan;
        let from_environment = || {
            let token = std::env::var("STREAM_TOKEN").ok().filter(|token| !token.is_empty());
            token.filter(|_| plan.bearer.is_none())
        };
        let bearer = overrides.bearer.clone().or_else(from_environment);
        if bearer.as_ref().is_some_and(|token| token.is_empty() || token.contains(char::is_control))
        {
            return Err(Failure::usage("--bearer: expected a token, in one line"));
        }
        let overrides = Overrides { seed: overrides.seed, bearer };
        overrides.apply(&mut plan);
        for element in &resolved.skipped {
            eprintln!("thalweg: left out: {element}");
        }
        for note in &resolved.notes {
            eprintln!("thalweg: {note}");
        }
        let (hash, skipped, notes) = (resolved.hash, resolved.skipped, resolved.notes);
        Ok(Ready { source, overrides, plan, hash, skipped, notes })
    }

    /// Adds thresholds of the command line, each as it was written.
    pub(super) fn add_thresholds(&mut self, texts: &[String]) -> Result<(), Failure> {
        for text in texts {
            let wrong = |error| Failure::usage(format!("--threshold {text:?}: {error}"));
            self.plan.add_thresholds(text).map_err(wrong)?;
        }
        Ok(())
    }

    /// Writes down in a result what it was made from.
    pub(super) fn sign(&self, result: &mut RunResult) {
        self.sign_meta(&mut result.meta);
        if !self.skipped.is_empty() {
            let text = format!("left out of the JMX plan: {}", self.skipped.join("; "));
            let note = Note { warning: true, code: "elements-left-out".to_owned(), text };
            result.notes.insert(0, note);
        }
        result.notes.extend(self.notes.iter().map(|text| {
            let (warning, code, text) = (false, "plan".to_owned(), text.clone());
            Note { warning, code, text }
        }));
    }

    /// The same, without what was left out.
    pub(super) fn sign_meta(&self, meta: &mut Meta) {
        meta.describe(&self.source, &self.hash);
    }
}

fn property(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected name=value, like -J readers=1000".to_owned()),
    }
}

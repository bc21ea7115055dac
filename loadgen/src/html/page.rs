//! Everything that the page says in words and tables, as text, verdict first.

use serde::Serialize;

use super::charts;
use super::deliveries::Deliveries;
use super::facts::{self, Fact};
use super::tables::{self, ApdexRow, CoreRow, ErrorRow, GroupRow, StatisticsRow};
use crate::numbers::count;
use crate::result::{RunResult, Verdict};

/// The page.
#[derive(Serialize)]
pub(super) struct Page {
    title: String,
    /// `passed`, `failed` or `none`.
    state: &'static str,
    headline: String,
    verdicts: Vec<Verdict>,
    warnings: Vec<String>,
    notes: Vec<String>,
    tiles: Vec<Fact>,
    what: Vec<Fact>,
    machine: Vec<Fact>,
    apdex: Vec<ApdexRow>,
    apdex_satisfied: String,
    apdex_tolerated: String,
    statistics: Vec<StatisticsRow>,
    deliveries: Option<Deliveries>,
    groups: Vec<GroupRow>,
    cores: Vec<CoreRow>,
    lateness: String,
    errors: Vec<ErrorRow>,
    /// Rows that did not fit.
    errors_left_out: usize,
    /// Labels that the charts do not draw.
    charts_left_out: usize,
    plan_text: String,
    plan_cut: bool,
    version: String,
}

impl Page {
    pub(super) fn of(result: &RunResult) -> Page {
        let failed = result.verdicts.iter().filter(|verdict| !verdict.passed).count();
        let (warnings, notes): (Vec<_>, Vec<_>) =
            result.notes.iter().partition(|note| note.warning);
        let mut warnings: Vec<_> = warnings.into_iter().map(|note| note.text.clone()).collect();
        if result.meta.interrupted {
            warnings.insert(0, INTERRUPTED.to_owned());
        }
        let (plan_text, plan_cut) = tables::cut(&result.meta.plan_text, MOST_PLAN_BYTES);
        Page {
            title: result.meta.plan.clone(),
            state: state(result, failed),
            headline: headline(result, failed),
            verdicts: result.verdicts.clone(),
            warnings,
            notes: notes.into_iter().map(|note| note.text.clone()).collect(),
            tiles: facts::tiles(result),
            what: facts::what(result),
            machine: facts::machine(result),
            apdex: tables::apdex(result),
            apdex_satisfied: tables::seconds(super::APDEX_SATISFIED_NS),
            apdex_tolerated: tables::seconds(super::APDEX_TOLERATED_NS),
            statistics: tables::statistics(result),
            deliveries: Deliveries::of(result),
            groups: tables::groups(result),
            cores: tables::cores(result),
            lateness: tables::lateness(result),
            errors: tables::errors(result),
            errors_left_out: result.errors.len().saturating_sub(tables::MOST_ERRORS),
            charts_left_out: charts::left_out(result),
            plan_text,
            plan_cut,
            version: result.meta.version.clone(),
        }
    }
}

fn state(result: &RunResult, failed: usize) -> &'static str {
    match (result.verdicts.is_empty(), failed) {
        (true, _) => "none",
        (false, 0) => "passed",
        (false, _) => "failed",
    }
}

fn headline(result: &RunResult, failed: usize) -> String {
    let all = result.verdicts.len();
    match (all, failed) {
        (0, _) => "No thresholds were set, so nothing is judged".to_owned(),
        (1, 0) => "Passed: the threshold holds".to_owned(),
        (_, 0) => format!("Passed: all {} thresholds hold", count(all as u64)),
        (1, _) => "Failed: the threshold does not hold".to_owned(),
        (_, 1) => format!("Failed: 1 of {} thresholds does not hold", count(all as u64)),
        _ => format!("Failed: {failed} of {} thresholds do not hold", count(all as u64)),
    }
}

const INTERRUPTED: &str =
    "The run was stopped before its end: everything below is about the part that ran.";

/// Of the plan's text that is shown.
const MOST_PLAN_BYTES: usize = 128 * 1024;

//! Rows of the tables, as text. Times are in milliseconds, three significant digits.

use serde::Serialize;

use super::apdex::Apdex;
use super::curves::sum;
use super::facts::rate;
use crate::numbers::{bytes, count, figure, ms, part, percent, time};
use crate::result::notes::MOST_BUSY;
use crate::result::{CoreResult, GroupResult, OperationResult, RunResult, Times};

#[derive(Serialize)]
pub(super) struct ApdexRow {
    label: String,
    score: String,
    rating: &'static str,
    satisfied: String,
    tolerating: String,
    frustrated: String,
}

#[derive(Serialize)]
pub(super) struct StatisticsRow {
    label: String,
    kind: String,
    total: bool,
    count: String,
    errors: String,
    error_share: String,
    failed: bool,
    rate: String,
    mean: String,
    /// Min, p50 and so on, max; whether there were enough values to say.
    times: Vec<(String, bool)>,
    received: String,
    sent: String,
}

#[derive(Serialize)]
pub(super) struct GroupRow {
    name: String,
    model: &'static str,
    users: String,
    intended: String,
    started: String,
    intended_rate: String,
    achieved_rate: String,
    /// Percent of the intended, at most 100: the length of a bar.
    bar: Option<f64>,
    achieved: String,
    behind: bool,
}

#[derive(Serialize)]
pub(super) struct CoreRow {
    name: String,
    operations: String,
    deliveries: String,
    rate: String,
    busy: String,
    /// Percent, at most 100: the length of a bar.
    bar: f64,
    full: bool,
    late_p50: String,
    late_p99: String,
    late_max: String,
}

#[derive(Serialize)]
pub(super) struct ErrorRow {
    label: String,
    kind: String,
    count: String,
    share: String,
    /// Percent of the most frequent: the length of a bar.
    bar: f64,
    example: String,
}

/// One row per label; JMeter has a row for the total first.
pub(super) fn apdex(result: &RunResult) -> Vec<ApdexRow> {
    let row = |label: &str, apdex: Apdex| ApdexRow {
        label: label.to_owned(),
        score: apdex.score().map_or_else(|| "-".to_owned(), |score| format!("{score:.3}")),
        rating: apdex.rating(),
        satisfied: count(apdex.satisfied),
        tolerating: count(apdex.tolerating),
        frustrated: count(apdex.frustrated),
    };
    let deliveries = result
        .deliveries
        .iter()
        .map(|delivery| row(&delivery.label, Apdex::of(&delivery.times, 0, delivery.lost)));
    let operations = result
        .operations
        .iter()
        .map(|operation| row(&operation.label, Apdex::of(&operation.times, operation.failed, 0)));
    deliveries.chain(operations).collect()
}

/// One row per label, and their sum without transactions, which would count twice.
pub(super) fn statistics(result: &RunResult) -> Vec<StatisticsRow> {
    let mut rows: Vec<_> =
        result.operations.iter().map(|operation| statistics_row(result, operation)).collect();
    let plain: Vec<_> =
        result.operations.iter().filter(|operation| operation.kind != "transaction").collect();
    if plain.len() > 1 {
        let add = |of: fn(&OperationResult) -> u64| {
            plain.iter().map(|operation| of(operation)).fold(0, u64::saturating_add)
        };
        let mut total = plain[0].clone();
        total.label = "Total".to_owned();
        total.kind = String::new();
        (total.succeeded, total.failed) = (add(|o| o.succeeded), add(|o| o.failed));
        (total.bytes_sent, total.bytes_received) =
            (add(|o| o.bytes_sent), add(|o| o.bytes_received));
        total.times = sum(plain.iter().map(|operation| &operation.times));
        rows.push(StatisticsRow { total: true, ..statistics_row(result, &total) });
    }
    rows
}

fn statistics_row(result: &RunResult, operation: &OperationResult) -> StatisticsRow {
    let per_second = |number| rate(number, result.meta.duration_ms);
    let all = operation.succeeded.saturating_add(operation.failed);
    StatisticsRow {
        label: operation.label.clone(),
        kind: operation.kind.clone(),
        total: false,
        count: count(all),
        errors: count(operation.failed),
        error_share: percent(part(operation.failed, all)),
        failed: operation.failed > 0,
        rate: figure(per_second(all)),
        mean: figure(operation.times.mean() / 1e6),
        times: percentiles(&operation.times),
        received: format!("{}/s", bytes(per_second(operation.bytes_received))),
        sent: format!("{}/s", bytes(per_second(operation.bytes_sent))),
    }
}

/// Min, the usual percentiles and max. A percentile needs as many values as lie between two of
/// its kind (1,000 for p99.9); with fewer it is only the maximum again.
pub(super) fn percentiles(times: &Times) -> Vec<(String, bool)> {
    if times.is_empty() {
        return vec![("-".to_owned(), false); PERCENTILES.len() + 2];
    }
    let at = |percentile: &f64| {
        let enough = times.count() as f64 * (100.0 - percentile) >= 99.999;
        (ms(times.percentile(*percentile)), enough)
    };
    let ends = |ns| [(ms(ns), true)].into_iter();
    ends(times.min()).chain(PERCENTILES.iter().map(at)).chain(ends(times.max())).collect()
}

/// In the plan's order.
pub(super) fn groups(result: &RunResult) -> Vec<GroupRow> {
    result.groups.iter().map(group).collect()
}

fn group(group: &GroupResult) -> GroupRow {
    let only_open = |text: String| if group.open { text } else { "-".to_owned() };
    let achieved = part(group.started, group.intended);
    GroupRow {
        name: group.name.clone(),
        model: if group.open { "open" } else { "closed" },
        users: count(group.users.into()),
        intended: only_open(count(group.intended)),
        started: count(group.started),
        intended_rate: only_open(figure(group.intended_rate)),
        achieved_rate: figure(group.achieved_rate),
        bar: group.open.then(|| tenths(achieved)),
        achieved: only_open(percent(achieved)),
        behind: group.open && group.intended > 0 && achieved < NEARLY_ALL,
    }
}

/// One row per thread of the generator.
pub(super) fn cores(result: &RunResult) -> Vec<CoreRow> {
    result.cores.iter().map(core).collect()
}

fn core(core: &CoreResult) -> CoreRow {
    let busy = part(core.cpu_ms, core.wall_ms);
    let done = core.operations.saturating_add(core.deliveries);
    CoreRow {
        name: core.name.clone(),
        operations: count(core.operations),
        deliveries: count(core.deliveries),
        rate: figure(rate(done, core.wall_ms)),
        busy: percent(busy),
        bar: tenths(busy),
        full: busy > MOST_BUSY,
        late_p50: time(core.lateness.percentile(50.0)),
        late_p99: time(core.lateness.percentile(99.0)),
        late_max: time(core.lateness.max()),
    }
}

/// The generator's own error in a sentence, beside what was measured.
pub(super) fn lateness(result: &RunResult) -> String {
    if result.lateness.is_empty() {
        return "No operation had an intended start.".to_owned();
    }
    let p99 = |times: &Times| times.percentile(99.0);
    let late = p99(&result.lateness);
    let plain = result.operations.iter().filter(|operation| operation.kind != "transaction");
    let measured = sum(plain.map(|operation| &operation.times));
    let share = percent(part(late, p99(&measured)));
    format!(
        "The generator started operations up to {} late at p99 (max {}); that is {share} of the \
         operations' p99 of {}.",
        time(late),
        time(result.lateness.max()),
        time(p99(&measured)),
    )
}

/// The most frequent.
pub(super) fn errors(result: &RunResult) -> Vec<ErrorRow> {
    let all = result.errors.iter().map(|error| error.count).fold(0, u64::saturating_add);
    let most = result.errors.iter().map(|error| error.count).max().unwrap_or(0);
    let shown = result.errors.iter().take(MOST_ERRORS);
    let row = |error: &crate::result::ErrorCount| ErrorRow {
        label: error.label.clone(),
        kind: short(&error.kind),
        count: count(error.count),
        share: percent(part(error.count, all)),
        bar: tenths(part(error.count, most)),
        example: short(&error.example),
    };
    shown.map(row).collect()
}

/// At most so many bytes of a text, and whether that is less than all of it.
pub(super) fn cut(text: &str, bytes: usize) -> (String, bool) {
    let end = text.floor_char_boundary(bytes);
    (text[..end].to_owned(), end < text.len())
}

/// A text that may have come from the network, of bounded length.
pub(super) fn short(text: &str) -> String {
    let (text, is_cut) = cut(text, MOST_TEXT_BYTES);
    if is_cut { text + "…" } else { text }
}

/// `0.5 s`, `1.5 s`.
pub(super) fn seconds(ns: u64) -> String {
    format!("{} s", ns as f64 / 1e9)
}

/// A fraction as percent with one decimal, between 0 and 100.
fn tenths(fraction: f64) -> f64 {
    (fraction.clamp(0.0, 1.0) * 1000.0).round() / 10.0
}

/// Rows of the table of errors.
pub(super) const MOST_ERRORS: usize = 100;

const PERCENTILES: [f64; 6] = [50.0, 90.0, 95.0, 99.0, 99.9, 99.99];
const MOST_TEXT_BYTES: usize = 400;

/// An open group below this share of its intended rate is behind.
const NEARLY_ALL: f64 = 0.99;

//! Two results side by side: what became better or worse, and whether that is more than chance.
//!
//! Each statistic of each label that both have is given as the ratio of the second to the first,
//! with a 95 % confidence interval by bootstrap over seconds (see `bootstrap`). It is worse only
//! if the whole interval lies on the bad side by more than a tolerance.
//!
//! Invariant: pure and deterministic: the same two results and options give the same comparison.
//!
//! Deliberately absent: any judgement from a single second, or from a percentile that fewer than
//! ten values lie beyond: that is `unknown`, never `same`.

mod bootstrap;
mod table;

use serde::{Serialize, Serializer};

use crate::result::notes::is_founded;
use crate::result::{Interval, RunResult, Times};
use bootstrap::{Blocks, Draw};

/// How two results are compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// How much worse is still the same: 0.05 is 5 %.
    pub tolerance: f64,
    /// Resamples of the bootstrap.
    pub resamples: u32,
    /// Fixes its choices.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Options {
        Options { tolerance: 0.05, resamples: 2000, seed: 1 }
    }
}

/// Two results side by side.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// The first one's plan, begin and server.
    pub a: Side,
    /// The second one's.
    pub b: Side,
    /// How much worse is still the same.
    pub tolerance: f64,
    /// What makes the comparison doubtful.
    pub warnings: Vec<String>,
    /// By label and statistic.
    pub rows: Vec<Row>,
}

/// What was compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Side {
    /// The plan's name.
    pub plan: String,
    /// Begin of the measured part, milliseconds since 1970.
    pub started_unix_ms: u64,
    /// The server's `Server` field.
    pub server: Option<String>,
}

/// One statistic of one label.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Of operations or deliveries.
    pub label: String,
    /// Which.
    pub statistic: Statistic,
    /// Of the first: nanoseconds, a count per second, or a fraction.
    pub a: f64,
    /// Of the second.
    pub b: f64,
    /// `b / a`; `null` in JSON if only `a` is zero.
    #[serde(serialize_with = "finite")]
    pub ratio: f64,
    /// The ratio's 95 % confidence interval, if there were enough seconds.
    pub interval: Option<Bounds>,
    /// What it means.
    pub verdict: Outcome,
}

/// A confidence interval of a ratio.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Bounds {
    /// Its lower end.
    #[serde(serialize_with = "finite")]
    pub low: f64,
    /// Its upper end; `null` in JSON if there is none.
    #[serde(serialize_with = "finite")]
    pub high: f64,
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Statistic {
    /// The median.
    #[serde(rename = "p50")]
    P50,
    /// The 90th percentile.
    #[serde(rename = "p90")]
    P90,
    /// The 99th percentile.
    #[serde(rename = "p99")]
    P99,
    /// The 99.9th percentile.
    #[serde(rename = "p99.9")]
    P999,
    /// The mean.
    #[serde(rename = "mean")]
    Mean,
    /// That ended per second.
    #[serde(rename = "rate")]
    Rate,
    /// Failed ones as a fraction of all.
    #[serde(rename = "errors")]
    Errors,
    /// Lost ones as a fraction of all expected.
    #[serde(rename = "lost")]
    Lost,
}

impl Statistic {
    /// Its word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Statistic::P50 => "p50",
            Statistic::P90 => "p90",
            Statistic::P99 => "p99",
            Statistic::P999 => "p99.9",
            Statistic::Mean => "mean",
            Statistic::Rate => "rate",
            Statistic::Errors => "errors",
            Statistic::Lost => "lost",
        }
    }

    fn percentile(self) -> Option<f64> {
        match self {
            Statistic::P50 => Some(50.0),
            Statistic::P90 => Some(90.0),
            Statistic::P99 => Some(99.0),
            Statistic::P999 => Some(99.9),
            Statistic::Mean | Statistic::Rate | Statistic::Errors | Statistic::Lost => None,
        }
    }
}

/// What a row means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// By more than the tolerance, and not by chance.
    Better,
    /// By more than the tolerance, and not by chance: a regression.
    Worse,
    /// Within the tolerance, and not by chance.
    Same,
    /// The runs are too short or too uneven to say.
    Unknown,
}

impl Comparison {
    /// Whether anything became worse.
    #[must_use]
    pub fn is_regression(&self) -> bool {
        self.rows.iter().any(|row| row.verdict == Outcome::Worse)
    }

    /// For a CI: 1 if anything became worse, 0 otherwise.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        u8::from(self.is_regression())
    }

    /// As a table of at most 100 columns.
    #[must_use]
    pub fn text(&self) -> String {
        table::text(self)
    }
}

/// Compares `b` with `a`.
#[must_use]
pub fn compare(a: &RunResult, b: &RunResult, options: &Options) -> Comparison {
    let (labels_a, labels_b) = (labels(a), labels(b));
    let mut warnings = differences(a, b);
    let only = |from: &[Label<'_>], other: &[Label<'_>], which: &str| -> Vec<String> {
        let missing = from.iter().filter(|label| !other.iter().any(|one| one.is(label)));
        missing.map(|label| format!("only the {which} has {}", label.name)).collect()
    };
    warnings.extend(only(&labels_a, &labels_b, "first"));
    warnings.extend(only(&labels_b, &labels_a, "second"));
    let mut rows = Vec::new();
    for label in &labels_a {
        if let Some(other) = labels_b.iter().find(|one| one.is(label)) {
            rows.extend(compare_label(label, other, options));
        }
    }
    Comparison { a: side(a), b: side(b), tolerance: options.tolerance, warnings, rows }
}

fn side(of: &RunResult) -> Side {
    Side {
        plan: of.meta.plan.clone(),
        started_unix_ms: of.meta.started_unix_ms,
        server: of.meta.server.clone(),
    }
}

/// What makes a comparison doubtful. The server's version is what usually is compared.
fn differences(a: &RunResult, b: &RunResult) -> Vec<String> {
    let (a, b) = (&a.meta, &b.meta);
    let mut found = Vec::new();
    let mut check = |what: &str, a: &str, b: &str| {
        if a != b && !a.is_empty() && !b.is_empty() {
            found.push(format!("{what} differ: {a} and {b}"));
        }
    };
    check("plans", &short(&a.plan_hash), &short(&b.plan_hash));
    check("seeds", &a.seed.to_string(), &b.seed.to_string());
    check("versions of the generator", &a.version, &b.version);
    check("processors", &a.machine.cpu, &b.machine.cpu);
    check("numbers of processors", &a.machine.cpus.to_string(), &b.machine.cpus.to_string());
    check("kernels", &a.machine.kernel, &b.machine.kernel);
    check("numbers of workers", &a.workers.len().to_string(), &b.workers.len().to_string());
    for (which, meta) in [("first", a), ("second", b)] {
        if meta.interrupted {
            found.push(format!("the {which} was stopped before its end"));
        }
    }
    found
}

fn short(hash: &str) -> String {
    hash.chars().take(12).collect()
}

/// One label of one result.
struct Label<'a> {
    name: &'a str,
    deliveries: bool,
    times: &'a Times,
    total: u64,
    failed: u64,
    /// Lost as a fraction of expected.
    lost: f64,
    seconds: f64,
    intervals: Vec<&'a Interval>,
}

impl Label<'_> {
    fn is(&self, other: &Label<'_>) -> bool {
        (self.name, self.deliveries) == (other.name, other.deliveries)
    }

    /// Its statistics, as one draw that has each second once.
    fn draw(&self) -> Draw {
        let times = Times::from_histogram(self.times.histogram().into_owned());
        let at = |percentile| times.percentile(percentile) as f64;
        Draw {
            percentiles: [at(50.0), at(90.0), at(99.0), at(99.9)],
            mean: times.mean(),
            rate: self.total as f64 / self.seconds,
            errors: self.failed as f64 / self.total.max(1) as f64,
        }
    }
}

fn labels(result: &RunResult) -> Vec<Label<'_>> {
    let seconds = result.seconds();
    let intervals = |name: &str, deliveries: bool| {
        let all = result.intervals.iter();
        all.filter(|one| one.label == name && one.deliveries == deliveries).collect()
    };
    let operations = result.operations.iter().map(|one| Label {
        name: &one.label,
        deliveries: false,
        times: &one.times,
        total: one.total(),
        failed: one.failed,
        lost: 0.0,
        seconds,
        intervals: intervals(&one.label, false),
    });
    let deliveries = result.deliveries.iter().map(|one| Label {
        name: &one.label,
        deliveries: true,
        times: &one.times,
        total: one.delivered,
        failed: 0,
        lost: one.lost as f64 / one.expected.max(1) as f64,
        seconds,
        intervals: intervals(&one.label, true),
    });
    operations.chain(deliveries).collect()
}

fn compare_label(a: &Label<'_>, b: &Label<'_>, options: &Options) -> Vec<Row> {
    let (whole_a, whole_b) = (a.draw(), b.draw());
    let draws = |label: &Label<'_>, salt: u64| {
        Blocks::of(&label.intervals, label.seconds)
            .map(|blocks| blocks.draws(options.resamples, options.seed.wrapping_add(salt)))
    };
    // Different choices for the two sides, or the same run would differ from itself by nothing.
    let draws = draws(a, 0).zip(draws(b, 1));
    let row = |statistic: Statistic| {
        let (a_value, b_value) = (whole_a.value(statistic), whole_b.value(statistic));
        let founded = statistic.percentile().is_none_or(|percentile| {
            is_founded(a.times, percentile) && is_founded(b.times, percentile)
        });
        let interval = draws.as_ref().filter(|_| founded).map(|(a, b)| {
            let ratios =
                a.iter().zip(b).map(|(a, b)| ratio(a.value(statistic), b.value(statistic)));
            bounds(ratios.collect())
        });
        let ratio = ratio(a_value, b_value);
        let verdict = interval.map_or(Outcome::Unknown, |bounds| {
            judge(bounds, statistic == Statistic::Rate, options.tolerance)
        });
        let label = a.name.to_owned();
        Row { label, statistic, a: a_value, b: b_value, ratio, interval, verdict }
    };
    let mut rows: Vec<Row> = STATISTICS.into_iter().map(row).collect();
    if a.deliveries {
        // Errors of deliveries are losses, which are counted at the end and not by second.
        rows.pop();
        rows.push(lost(a, b, options.tolerance));
    }
    rows
}

/// A loss is no matter of chance: each counts.
fn lost(a: &Label<'_>, b: &Label<'_>, tolerance: f64) -> Row {
    let ratio = ratio(a.lost, b.lost);
    let bounds = Bounds { low: ratio, high: ratio };
    Row {
        label: a.name.to_owned(),
        statistic: Statistic::Lost,
        a: a.lost,
        b: b.lost,
        ratio,
        interval: Some(bounds),
        verdict: judge(bounds, false, tolerance),
    }
}

/// Nothing and nothing are the same; something instead of nothing is without bound.
fn ratio(a: f64, b: f64) -> f64 {
    if a == b { 1.0 } else { b / a }
}

/// The middle 95 % of the ratios.
fn bounds(mut ratios: Vec<f64>) -> Bounds {
    ratios.sort_by(f64::total_cmp);
    let at = |part: f64| {
        let place = (part * ratios.len() as f64) as usize;
        ratios.get(place.min(ratios.len().saturating_sub(1))).copied().unwrap_or(1.0)
    };
    Bounds { low: at(0.025), high: at(0.975) }
}

fn judge(bounds: Bounds, more_is_better: bool, tolerance: f64) -> Outcome {
    let (least, most) = (1.0 / (1.0 + tolerance), 1.0 + tolerance);
    let (more, less) = if more_is_better {
        (Outcome::Better, Outcome::Worse)
    } else {
        (Outcome::Worse, Outcome::Better)
    };
    if bounds.low > most {
        more
    } else if bounds.high < least {
        less
    } else if bounds.low >= least && bounds.high <= most {
        Outcome::Same
    } else {
        Outcome::Unknown
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn finite<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    value.is_finite().then_some(*value).serialize(serializer)
}

/// In the order of the rows; `errors` last.
const STATISTICS: [Statistic; 7] = [
    Statistic::P50,
    Statistic::P90,
    Statistic::P99,
    Statistic::P999,
    Statistic::Mean,
    Statistic::Rate,
    Statistic::Errors,
];

#[cfg(test)]
mod tests;

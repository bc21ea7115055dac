//! What came of a part: as a table to read, and as lines of JSON to compute with.
//!
//! Invariant: a figure of the table is the median of its readings, and so is a ratio: of the
//! rounds' ratios, not the ratio of two medians. Every reading is among the lines.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::contest::{Contestant, Found, Role};
use crate::facts::Facts;
use crate::figures::{Metric, median, ratio, written};
use crate::rounds::{MOST_DIFFERENCE, Played, Reading, Series};
use crate::suite::{Part, SuiteName};

/// A part with all that came of it.
pub(crate) struct Report<'a> {
    pub(crate) suite: SuiteName,
    pub(crate) part: &'a Part,
    pub(crate) played: &'a Played,
    /// Those that took part, in the order of the series, with their versions.
    pub(crate) present: &'a [(&'a dyn Contestant, String)],
    /// Those that could not, with what would install them.
    pub(crate) absent: &'a [(String, String)],
    pub(crate) facts: &'a Facts,
}

impl Report<'_> {
    /// Markdown.
    pub(crate) fn text(&self) -> String {
        let Report { suite, part, .. } = self;
        let quick = if self.facts.quick { " (QUICK: compares with nothing)" } else { "" };
        let mut out = format!("## {}: {}{quick}\n\n", suite.word(), part.title);
        out.push_str(&crate::table::markdown(&self.rows()));
        if part.floor.is_some() {
            out.push_str("\nIn parentheses: by the mean of the two runs of the floor around it.\n");
        }
        if let Some(rows) = self.beside() {
            let name = &rows[0][0];
            // Writing to a string cannot fail.
            let _ = write!(out, "\n{name} its own figure by the other's, in the same round:\n\n");
            out.push_str(&crate::table::markdown(&rows));
        }
        out.push('\n');
        for line in self.remarks() {
            let _ = writeln!(out, "- {line}");
        }
        out
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let metrics = &self.part.metrics;
        let names = metrics.iter().map(|metric| metric.name.clone());
        let mut rows = vec![["who".to_owned()].into_iter().chain(names).collect::<Vec<_>>()];
        if let Some(floor) = &self.part.floor {
            let value = |at: usize| written(median(column(&self.played.floor, at)));
            let mut row = vec![format!("{} (the floor)", floor.name())];
            row.extend((0..metrics.len()).map(value));
            rows.push(row);
        }
        for ((contestant, _), series) in self.present.iter().zip(&self.played.series) {
            let mut row = vec![contestant.name().to_owned()];
            let cell = |(at, metric): (usize, &Metric)| cell(series, at, metric);
            row.extend(metrics.iter().enumerate().map(cell));
            rows.push(row);
        }
        rows
    }

    /// Our server's first line-up beside each other contestant.
    fn beside(&self) -> Option<Vec<Vec<String>>> {
        let own = self.present.iter().position(|(who, _)| who.role() == Role::Thalweg)?;
        let metrics = &self.part.metrics;
        let mut heading = vec![format!("{}:", self.present[own].0.name())];
        heading.extend(metrics.iter().map(|metric| metric.name.clone()));
        let mut rows = vec![heading];
        for (at, (other, _)) in self.present.iter().enumerate() {
            if at != own && !self.played.series[at].readings.is_empty() {
                let of =
                    |metric| by_round(&self.played.series[own], &self.played.series[at], metric);
                let mut row = vec![format!("by {}", other.name())];
                row.extend((0..metrics.len()).map(|metric| written(median(of(metric)))));
                rows.push(row);
            }
        }
        (rows.len() > 1).then_some(rows)
    }

    fn remarks(&self) -> Vec<String> {
        let mut lines = self.part.notes.clone();
        let (cores, rounds) = (self.part.cores, self.facts.rounds);
        lines.push(format!("CPUs of each contestant: {cores}; rounds: {rounds}"));
        for ((contestant, version), series) in self.present.iter().zip(&self.played.series) {
            let (name, durability) = (contestant.name(), contestant.durability());
            let role = contestant.role().word();
            lines.push(format!("{name} ({role}, {version}): durability: {durability}"));
            let noisy = series.readings.iter().filter(|reading| reading.noisy).count();
            if noisy > 0 {
                let (of, most) = (series.readings.len(), MOST_DIFFERENCE * 100.0);
                lines.push(format!(
                    "NOISY: {name}: in {noisy} of {of} rounds the floors around it differ by more than {most:.0} %"
                ));
            }
            if let Some(failure) = &series.failure {
                let rounds = series.readings.len();
                // What the contestant itself wrote is in the terminal; the table names the failure.
                let failure = failure.lines().next().unwrap_or_default();
                lines.push(format!("ENDED after {rounds} rounds: {name}: {failure}"));
            }
        }
        for (name, install) in self.absent {
            lines.push(format!("absent: {name}. To have it: `{install}`"));
        }
        lines
    }

    /// A line of JSON for each reading, each complete by itself.
    pub(crate) fn lines(&self) -> String {
        let mut out = String::new();
        for ((contestant, version), series) in self.present.iter().zip(&self.played.series) {
            for reading in &series.readings {
                let line = self.line(*contestant, version, reading);
                let _ = writeln!(out, "{line}");
            }
        }
        out
    }

    fn line(&self, contestant: &dyn Contestant, version: &str, reading: &Reading) -> Value {
        let floors =
            reading.floors.as_ref().map(|floors| floors.each_ref().map(|one| self.named(one)));
        json!({
            "suite": self.suite.word(),
            "part": self.part.title,
            "contestant": contestant.name(),
            "role": contestant.role().word(),
            "version": version,
            "durability": contestant.durability(),
            "cores": self.part.cores,
            "round": reading.round,
            "values": self.named(&reading.values),
            "floor": self.part.floor.as_ref().map(|floor| floor.name().to_owned()),
            "floors": floors,
            "noisy": reading.noisy,
            "run": self.facts,
        })
    }

    fn named(&self, values: &[f64]) -> Value {
        let names = self.part.metrics.iter().map(|metric| metric.name.clone());
        // JSON has no NaN: it becomes null.
        names
            .zip(values)
            .map(|(name, value)| (name, json!(value)))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }
}

/// Whether a contestant is on this machine: its version, or what would install it.
pub(crate) fn found(contestant: &dyn Contestant) -> Result<String, (String, String)> {
    match contestant.find() {
        Found::Here { version } => Ok(version),
        Found::Absent { install } => Err((contestant.name().to_owned(), install)),
    }
}

fn cell(series: &Series, at: usize, metric: &Metric) -> String {
    let value = median(series.readings.iter().map(|reading| at_of(&reading.values, at)));
    let ratios = series.readings.iter().filter_map(|reading| {
        let [before, after] = reading.floors.as_ref()?;
        Some(ratio(at_of(&reading.values, at), [at_of(before, at), at_of(after, at)]))
    });
    let by_floor = median(ratios);
    match metric.by_floor && by_floor.is_finite() {
        true => format!("{} ({by_floor:.2})", written(value)),
        false => written(value),
    }
}

/// A contestant's figure by another's, for each round in which both have one.
fn by_round(own: &Series, other: &Series, metric: usize) -> Vec<f64> {
    let pairs = own.readings.iter().filter_map(|reading| {
        let beside = other.readings.iter().find(|other| other.round == reading.round)?;
        Some(at_of(&reading.values, metric) / at_of(&beside.values, metric))
    });
    pairs.filter(|ratio| ratio.is_finite()).collect()
}

fn column(rows: &[Vec<f64>], at: usize) -> impl Iterator<Item = f64> {
    rows.iter().map(move |row| at_of(row, at))
}

fn at_of(values: &[f64], at: usize) -> f64 {
    values.get(at).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(values: &[(f64, Option<[f64; 2]>)]) -> Series {
        let reading = |(round, (value, floors)): (usize, &(f64, Option<[f64; 2]>))| Reading {
            round,
            values: vec![*value],
            floors: floors.map(|floors| floors.map(|floor| vec![floor])),
            noisy: false,
        };
        let readings = values.iter().enumerate().map(reading).collect();
        Series { readings, failure: None }
    }

    #[test]
    fn a_cell_has_the_median_and_that_of_the_ratios() {
        // The medians' ratio would be 30 / 15.
        let floors = [Some([10.0, 10.0]), Some([20.0, 20.0]), Some([15.0, 15.0])];
        let of = series(&[(10.0, floors[0]), (30.0, floors[1]), (60.0, floors[2])]);
        assert_eq!(cell(&of, 0, &Metric::new("x")), "30.0 (1.50)");
        assert_eq!(cell(&of, 0, &Metric::alone("x")), "30.0");
        assert_eq!(cell(&series(&[(7.0, None)]), 0, &Metric::new("x")), "7.00");
        assert_eq!(cell(&Series::default(), 0, &Metric::new("x")), "-");
    }

    #[test]
    fn contestants_are_compared_within_a_round() {
        let own = series(&[(10.0, None), (20.0, None), (30.0, None)]);
        let mut other = series(&[(5.0, None), (40.0, None), (0.0, None)]);
        assert_eq!(by_round(&own, &other, 0), [2.0, 0.5]);
        other.readings.remove(0);
        assert_eq!(by_round(&own, &other, 0), [0.5]);
    }
}

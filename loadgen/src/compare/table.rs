//! A comparison as text.

use super::{Comparison, Outcome, Row, Side, Statistic};
use crate::result::units::{percent, rate, time, time_stamp};

/// At most 100 columns.
pub(super) fn text(of: &Comparison) -> String {
    let mut out = format!("a: {}\nb: {}\n", side(&of.a), side(&of.b));
    if !of.warnings.is_empty() {
        out.push('\n');
        of.warnings.iter().for_each(|warning| {
            out.push_str(&format!("WARNING  {}\n", short(warning, 90)));
        });
    }
    out.push_str(&format!(
        "\n{:<30}{:<8}{:>11}{:>11}{:>9}  {:<19}{}\n",
        "label", "", "a", "b", "b/a", "95 % interval", "verdict"
    ));
    let mut last = None;
    for row in &of.rows {
        let label = if last == Some(&row.label) { "" } else { &row.label };
        last = Some(&row.label);
        out.push_str(line(label, row).trim_end());
        out.push('\n');
    }
    let worse = of.rows.iter().filter(|row| row.verdict == Outcome::Worse).count();
    out.push_str(&match worse {
        0 => format!("\nnothing is worse by more than {}\n", percent(of.tolerance)),
        _ => format!(
            "\n{worse} of {} are WORSE by more than {}\n",
            of.rows.len(),
            percent(of.tolerance)
        ),
    });
    out
}

fn side(of: &Side) -> String {
    let begin = time_stamp(of.started_unix_ms);
    let server = of.server.as_deref().unwrap_or("server not known");
    short(&format!("{}, {begin}, {server}", of.plan), 97)
}

fn line(label: &str, row: &Row) -> String {
    let value = |value: f64| match row.statistic {
        Statistic::Rate => format!("{}/s", rate(value)),
        Statistic::Errors | Statistic::Lost => percent(value),
        Statistic::P50 | Statistic::P90 | Statistic::P99 | Statistic::P999 | Statistic::Mean => {
            time(value)
        }
    };
    let interval = row.interval.map_or("too few values".to_owned(), |bounds| {
        format!("{} to {}", ratio(bounds.low), ratio(bounds.high))
    });
    let verdict = match row.verdict {
        Outcome::Better => "better",
        Outcome::Worse => "WORSE",
        Outcome::Same => "same",
        Outcome::Unknown => "unknown",
    };
    format!(
        "{:<30}{:<8}{:>11}{:>11}{:>9}  {interval:<19}{verdict}",
        short(label, 29),
        row.statistic.name(),
        value(row.a),
        value(row.b),
        ratio(row.ratio),
    )
}

fn ratio(value: f64) -> String {
    if value.is_infinite() {
        "inf".to_owned()
    } else if value >= 99.95 {
        format!("{value:.0}")
    } else {
        format!("{value:.3}")
    }
}

fn short(text: &str, most: usize) -> String {
    let text = text.replace(char::is_control, "?");
    if text.chars().count() <= most {
        return text;
    }
    let begin: String = text.chars().take(most - 3).collect();
    format!("{begin}...")
}

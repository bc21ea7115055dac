//! A result as plain text for a terminal or a log: what ran, what came of it, and loudly what
//! makes the numbers doubtful.
//!
//! Invariant: no line is longer than [`WIDTH`], whatever labels and messages are.
//!
//! Deliberately absent: colours and curves; the report in HTML has them.

use crate::result::units::{count, percent, rate, time, time_stamp};
use crate::result::{DeliveryResult, RunResult, Times, thresholds};

/// Columns at most.
pub const WIDTH: usize = 100;

/// The whole text, with a line end.
#[must_use]
pub fn text(result: &RunResult) -> String {
    let mut out = String::new();
    head(result, &mut out);
    groups(result, &mut out);
    operations(result, &mut out);
    deliveries(result, &mut out);
    lateness(result, &mut out);
    errors(result, &mut out);
    notes(result, &mut out);
    verdicts(result, &mut out);
    out
}

fn head(result: &RunResult, out: &mut String) {
    let meta = &result.meta;
    let mut first = meta.plan.clone();
    if !meta.target.is_empty() {
        first.push_str(&format!(", at {}", meta.target));
    }
    if let Some(server) = &meta.server {
        first.push_str(&format!(" ({server})"));
    }
    wrap("", &first, out);
    let mut second = format!("{:.1} s from {}", result.seconds(), time_stamp(meta.started_unix_ms));
    if meta.setup_ms > 0 {
        second.push_str(&format!(", set-up {:.2} s", meta.setup_ms as f64 / 1e3));
    }
    if !meta.protocol.is_empty() {
        let connections = crate::result::units::count(meta.connections);
        second.push_str(&format!(", {} over {connections} connections", meta.protocol));
    }
    if !result.cores.is_empty() {
        let (threads, machine) = (result.cores.len(), &meta.machine);
        second.push_str(&format!(", {threads} threads on {}, {}", machine.cpu, machine.kernel));
    }
    if meta.peak_rss_bytes > 0 {
        second.push_str(&format!(", {} MiB", meta.peak_rss_bytes >> 20));
    }
    if !meta.workers.is_empty() {
        second.push_str(&format!(", workers {}", meta.workers.join(" ")));
    }
    wrap("", &second, out);
}

fn groups(result: &RunResult, out: &mut String) {
    if result.groups.is_empty() {
        return;
    }
    out.push_str(&format!(
        "\n{:<24}{:>10}{:>12}{:>14}{:>14}{:>10}\n",
        "group", "users", "started", "intended/s", "achieved/s", "part"
    ));
    for group in &result.groups {
        let (intended, part) = if group.open {
            let part = group.started as f64 / group.intended.max(1) as f64;
            (rate(group.intended_rate), percent(part))
        } else {
            ("closed".to_owned(), String::new())
        };
        let line = format!(
            "{:<24}{:>10}{:>12}{:>14}{:>14}{:>10}",
            cut(&group.name, 23),
            count(group.users.into()),
            count(group.started),
            intended,
            rate(group.achieved_rate),
            part
        );
        push_line(&line, out);
    }
}

fn operations(result: &RunResult, out: &mut String) {
    if result.operations.is_empty() {
        return;
    }
    table_head("operation", "failed", out);
    for operation in &result.operations {
        let failed = operation.failed;
        let per_second = operation.total() as f64 / result.seconds();
        row(&operation.label, operation.total(), per_second, failed, &operation.times, out);
    }
}

fn deliveries(result: &RunResult, out: &mut String) {
    if result.deliveries.is_empty() {
        return;
    }
    table_head("deliveries", "lost", out);
    for delivery in &result.deliveries {
        let per_second = delivery.delivered as f64 / result.seconds();
        row(&delivery.label, delivery.delivered, per_second, delivery.lost, &delivery.times, out);
        delivery_details(delivery, out);
    }
}

fn delivery_details(of: &DeliveryResult, out: &mut String) {
    let counted = format!(
        "{} of {} to {} {} readers: {} lost, {} duplicated, {} reordered, {} damaged",
        count(of.delivered),
        count(of.expected),
        count(of.readers),
        of.mode,
        count(of.lost),
        count(of.duplicated),
        count(of.reordered),
        count(of.damaged),
    );
    wrap("  delivered         ", &counted, out);
    if of.reconnects + of.failed_readers > 0 {
        let text =
            format!("{} reconnects, {} gave up", count(of.reconnects), count(of.failed_readers));
        wrap("  readers           ", &text, out);
    }
    for (name, times) in [
        ("  last reader       ", &of.last_reader),
        ("  reader's longest  ", &of.reader_max),
        ("  reader's mean     ", &of.reader_mean),
        ("  reader's set-up   ", &of.setup),
    ] {
        if !times.is_empty() {
            wrap(name, &distribution(times), out);
        }
    }
    let (median, slowest) = (of.reader_mean.percentile(50.0), of.reader_mean.max());
    if median > 0 {
        let ratio = slowest as f64 / median as f64;
        let text = format!("the slowest reader's mean is {ratio:.2} times the median reader's");
        wrap("  fairness          ", &text, out);
    }
}

fn lateness(result: &RunResult, out: &mut String) {
    if !result.lateness.is_empty() {
        out.push('\n');
        wrap("lateness            ", &distribution(&result.lateness), out);
    }
}

fn errors(result: &RunResult, out: &mut String) {
    if result.errors.is_empty() {
        return;
    }
    out.push_str("\nerrors\n");
    for error in result.errors.iter().take(MOST_ERRORS) {
        let text =
            format!("{} {}: {}; first: {}", error.count, error.label, error.kind, error.example);
        wrap("  ", &text, out);
    }
    if let Some(more) = result.errors.len().checked_sub(MOST_ERRORS).filter(|more| *more > 0) {
        out.push_str(&format!("  and {more} kinds more\n"));
    }
}

fn notes(result: &RunResult, out: &mut String) {
    let (loud, quiet): (Vec<_>, Vec<_>) = result.notes.iter().partition(|note| note.warning);
    if !loud.is_empty() {
        out.push('\n');
        loud.iter().for_each(|note| wrap("WARNING  ", &note.text, out));
    }
    if !quiet.is_empty() {
        out.push('\n');
        quiet.iter().for_each(|note| wrap("note     ", &note.text, out));
    }
}

fn verdicts(result: &RunResult, out: &mut String) {
    out.push('\n');
    for verdict in &result.verdicts {
        let mark = if verdict.passed { "pass     " } else { "FAIL     " };
        wrap(mark, &format!("{}: {}", verdict.threshold, verdict.observed), out);
    }
    out.push_str(if thresholds::passed(result) { "passed\n" } else { "FAILED\n" });
}

fn table_head(what: &str, faults: &str, out: &mut String) {
    out.push_str(&format!("\n{what:<22}{:>13}{:>9}{faults:>8}", "count", "per s"));
    for percentile in PERCENTILES {
        out.push_str(&format!("{:>8}", format!("p{percentile}")));
    }
    out.push_str("     max\n");
}

fn row(label: &str, total: u64, per_second: f64, faults: u64, times: &Times, out: &mut String) {
    // Unpacked once.
    let times = Times::from_histogram(times.histogram().into_owned());
    let mut line = format!(
        "{:<22}{:>13}{:>9}{:>8}",
        cut(label, 21),
        count(total),
        rate(per_second),
        count(faults)
    );
    for percentile in PERCENTILES {
        line.push_str(&format!("{:>8}", at(&times, percentile)));
    }
    line.push_str(&format!("{:>8}", at(&times, 100.0)));
    push_line(&line, out);
}

fn at(times: &Times, percentile: f64) -> String {
    if times.is_empty() { "-".to_owned() } else { time(times.percentile(percentile) as f64) }
}

/// `p50 12.3 ms, p90 20 ms, p99 40 ms, max 41 ms`.
fn distribution(times: &Times) -> String {
    let times = Times::from_histogram(times.histogram().into_owned());
    let parts = [50.0, 90.0, 99.0, 99.9].map(|one| format!("p{one} {}", at(&times, one)));
    format!("{}, max {}", parts.join(", "), at(&times, 100.0))
}

/// The text behind `begin`, in lines of at most [`WIDTH`], further ones indented as far.
fn wrap(begin: &str, text: &str, out: &mut String) {
    let room = WIDTH - begin.len();
    let mut line = String::new();
    let mut first = true;
    let mut push = |line: &mut String| {
        let indent = if first { begin.to_owned() } else { " ".repeat(begin.len()) };
        push_line(&format!("{indent}{line}"), out);
        first = false;
        line.clear();
    };
    for word in text.split_whitespace() {
        let mut word = plain(word);
        while line.chars().count() + 1 + word.chars().count() > room {
            if !line.is_empty() {
                push(&mut line);
            } else if word.chars().count() > room {
                let end = word.char_indices().nth(room).map_or(word.len(), |(at, _)| at);
                let rest = word.split_off(end);
                line = std::mem::replace(&mut word, rest);
            } else {
                break;
            }
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&word);
    }
    push(&mut line);
}

fn push_line(line: &str, out: &mut String) {
    out.push_str(line.trim_end());
    out.push('\n');
}

/// At most so many characters of it, none of which moves the cursor.
fn cut(text: &str, most: usize) -> String {
    let text = plain(text);
    if text.chars().count() <= most {
        return text;
    }
    let begin: String = text.chars().take(most - 3).collect();
    format!("{begin}...")
}

/// Without control characters: a server's message must not rule the terminal.
fn plain(text: &str) -> String {
    text.replace(char::is_control, "?")
}

const PERCENTILES: [f64; 5] = [50.0, 90.0, 99.0, 99.9, 99.99];
const MOST_ERRORS: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::fixture::example;
    use crate::result::{ErrorCount, merge};

    #[test]
    fn it_says_what_matters() {
        let mut result = example();
        result.deliveries[0].lost = 2;
        let text = text(&result);
        for part in [
            "fan-out to 10,000 readers, at http://127.0.0.1:4437/v1/stream (thalweg/0.1.0)\n",
            "60.0 s from 2025-10-09T08:53:20Z, set-up 3.42 s, HTTP/1.1 over 10,050 connections, 2 threads on",
            "publisher                        1         300          5.00          5.00     100 %\n",
            "readers                     10,000      10,000        closed",
            "\ntail                      3,000,000   50,000       2",
            "  delivered         3,000,000 of 3,000,000 to 10,000 sse readers: 2 lost, 0 dup",
            "3 read history: status 503; first: GET /v1",
            "\nWARNING  group history is a closed loop: ",
            "\nnote     publish: 300 values are too few",
            "\nFAIL     p99 < 250 ms: p99 = ",
            "\npass     lost == 0: lost = 0\n",
            "\nFAILED\n",
        ] {
            assert!(text.contains(part), "{part:?} is not in\n{text}");
        }
    }

    #[test]
    fn no_line_is_too_long() {
        let check = |result: &RunResult| {
            let text = text(result);
            for line in text.lines() {
                assert!(line.chars().count() <= WIDTH, "{line}");
                assert!(!line.contains(char::is_control), "{line:?}");
            }
        };
        check(&example());
        check(&merge::merge(vec![example(), example()]).unwrap());
        let mut result = example();
        let long = "\u{1b}[31mé".repeat(100);
        result.meta.target = long.clone();
        result.operations[0].label = long.clone();
        result.groups[0].name = long.clone();
        result.errors =
            vec![
                ErrorCount { label: long.clone(), kind: long.clone(), count: 1, example: long };
                25
            ];
        result.verdicts.clear();
        result.lateness = Times::new();
        check(&result);
        result.deliveries[0].times = Times::new();
        check(&result);
        assert!(text(&result).contains("\n  and 5 kinds more\n"));
    }
}

//! A result as a few lines of text.

use std::fmt::Write;

use thalweg_loadgen::result::units::{count, rate, time};
use thalweg_loadgen::result::{DeliveryResult, RunResult, Times};

/// Whether nothing went wrong.
pub(super) fn passed(result: &RunResult) -> bool {
    let whole = |delivery: &DeliveryResult| {
        let DeliveryResult { lost, duplicated, reordered, damaged, failed_readers, .. } = delivery;
        lost + duplicated + reordered + damaged + failed_readers == 0
    };
    result.deliveries.iter().all(whole)
        && result.operations.iter().all(|operation| operation.failed == 0)
        && result.verdicts.iter().all(|verdict| verdict.passed)
}

/// The figures, then what their reader must know.
pub(super) fn of(result: &RunResult) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write_all(result, &mut out);
    out
}

fn write_all(result: &RunResult, out: &mut String) -> std::fmt::Result {
    let meta = &result.meta;
    writeln!(out, "target       {}", meta.target)?;
    writeln!(
        out,
        "machine      {}, {} CPUs, {}",
        meta.machine.cpu, meta.machine.cpus, meta.machine.kernel
    )?;
    for group in result.groups.iter().filter(|group| group.open) {
        let (achieved, intended) = (rate(group.achieved_rate), rate(group.intended_rate));
        writeln!(
            out,
            "{:<12} {achieved} of {intended}, {} sent",
            group.name,
            count(group.started)
        )?;
    }
    for operation in &result.operations {
        let (succeeded, failed) = (count(operation.succeeded), count(operation.failed));
        writeln!(out, "{:<12} {succeeded} succeeded, {failed} failed", operation.label)?;
        writeln!(out, "             {}", percentiles(&operation.times))?;
    }
    for delivery in &result.deliveries {
        write_delivery(delivery, meta.setup_ms, out)?;
    }
    writeln!(out, "lateness     {}", percentiles(&result.lateness))?;
    writeln!(out, "generator    {} KiB of memory at most", meta.peak_rss_bytes / 1024)?;
    for error in &result.errors {
        writeln!(
            out,
            "error        {} x {} {}: {}",
            count(error.count),
            error.label,
            error.kind,
            error.example
        )?;
    }
    for fault in result.deliveries.iter().flat_map(|delivery| &delivery.faults).take(10) {
        writeln!(out, "fault        {fault}")?;
    }
    for note in &result.notes {
        let word = if note.warning { "WARNING" } else { "note" };
        writeln!(out, "{word:<12} {}", note.text)?;
    }
    for verdict in &result.verdicts {
        let word = if verdict.passed { "passed" } else { "FAILED" };
        writeln!(out, "{word:<12} {} ({})", verdict.threshold, verdict.observed)?;
    }
    Ok(())
}

fn write_delivery(delivery: &DeliveryResult, setup_ms: u64, out: &mut String) -> std::fmt::Result {
    let DeliveryResult { label, mode, readers, delivered, expected, .. } = delivery;
    let (delivered, expected) = (count(*delivered), count(*expected));
    writeln!(out, "{label:<12} {delivered} of {expected} to {} {mode} readers", count(*readers))?;
    let DeliveryResult { lost, duplicated, reordered, damaged, .. } = delivery;
    writeln!(
        out,
        "             {lost} lost, {duplicated} duplicated, {reordered} reordered, {damaged} damaged"
    )?;
    let DeliveryResult { reconnects, failed_readers, .. } = delivery;
    writeln!(
        out,
        "             set up in {setup_ms} ms, {reconnects} reconnects, {failed_readers} readers gave up"
    )?;
    writeln!(out, "             {}", percentiles(&delivery.times))?;
    writeln!(out, "last reader  {}", percentiles(&delivery.last_reader))?;
    writeln!(out, "worst case   {} (of each reader)", percentiles(&delivery.reader_max))
}

fn percentiles(times: &Times) -> String {
    if times.is_empty() {
        return "no values".into();
    }
    let at = |percentile| time(times.percentile(percentile) as f64);
    let (p50, p90, p99, p99_9, max) = (at(50.0), at(90.0), at(99.0), at(99.9), at(100.0));
    format!("p50 {p50}, p90 {p90}, p99 {p99}, p99.9 {p99_9}, max {max}")
}

#[cfg(test)]
mod tests {
    use thalweg_loadgen::result::fixture;

    use super::*;

    #[test]
    fn a_result_says_what_went_wrong() {
        let mut result = fixture::example();
        result.operations.iter_mut().for_each(|operation| operation.failed = 0);
        result.verdicts.clear();
        for delivery in &mut result.deliveries {
            (delivery.lost, delivery.duplicated, delivery.reordered) = (0, 0, 0);
            (delivery.damaged, delivery.failed_readers) = (0, 0);
        }
        assert!(passed(&result));
        result.deliveries[0].lost = 3;
        assert!(!passed(&result));
        let text = of(&result);
        assert!(text.contains("3 lost, 0 duplicated"), "{text}");
        assert!(text.contains("last reader  p50"), "{text}");
    }
}

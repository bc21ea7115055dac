//! The written plan as text.

use std::fmt::{self, Formatter};

use super::limits::Extrapolation;
use super::report::{CapacityReport, HEADROOM};
use super::search::{Answer, Limit, Outcome, Purpose};
use super::{Fit, Knob, TrialRecord};

/// Writes a report in sections, the answer first.
pub(super) fn write(f: &mut Formatter<'_>, report: &CapacityReport) -> fmt::Result {
    writeln!(f, "Capacity of {}", report.meta.target)?;
    writeln!(f, "  plan            {}", report.meta.plan)?;
    writeln!(f, "  objective       {}", report.slo)?;
    writeln!(f, "  changed         {}", report.knob)?;
    writeln!(f)?;
    answer(f, report)?;
    writeln!(f)?;
    costs(f, report)?;
    limits(f, report)?;
    model(f, report)?;
    if let Some(extrapolation) = &report.extrapolation {
        writeln!(f)?;
        extrapolated(f, extrapolation, report.knob)?;
    }
    writeln!(f)?;
    trials(f, report)
}

fn answer(f: &mut Formatter<'_>, report: &CapacityReport) -> fmt::Result {
    let load = |value| amount(value, report.knob);
    match report.answer {
        Some(Answer::Sustained { value, fails_at }) => {
            let repeats = report.trials.iter().rev();
            let repeats = repeats.take_while(|trial| trial.trial.purpose == Purpose::Confirm);
            let repeats = repeats.filter(|trial| trial.trial.value == value).count();
            writeln!(f, "SUSTAINED: {} ({repeats} repeats held)", load(value))?;
            writeln!(f, "  fails at        {}", load(fails_at))?;
        }
        Some(Answer::AtLeast { value: Some(value), limit: Limit::Generator }) => {
            writeln!(f, "AT LEAST: {}: the generator is the limit", load(value))?;
            writeln!(
                f,
                "  The server was not brought to its limit. Use more --cores, or --workers."
            )?;
        }
        Some(Answer::AtLeast { value: Some(value), limit: Limit::UpperEnd }) => {
            writeln!(f, "AT LEAST: {}: the upper end of the search held", load(value))?;
        }
        Some(Answer::AtLeast { value: None, .. }) => {
            writeln!(
                f,
                "UNKNOWN: the generator was the limit, and no load held that can be counted on"
            )?;
        }
        Some(Answer::Below { value }) => {
            writeln!(f, "BELOW: even {} failed", load(value))?;
        }
        Some(Answer::Unconfirmed { value: Some(value) }) => {
            writeln!(f, "UNCONFIRMED: {} held, but no trials were left to repeat it", load(value))?;
        }
        Some(Answer::Unconfirmed { value: None }) => {
            writeln!(f, "UNKNOWN: nothing held, and no trials were left")?;
        }
        None => match (&report.failure, report.best) {
            (Some(failure), best) => {
                let held = best.map_or("nothing".to_owned(), load);
                writeln!(f, "NOT FINISHED: {held} held until then; the next trial: {failure}")?;
            }
            (None, Some(best)) => writeln!(f, "STOPPED: {} held until then", load(best))?,
            (None, None) => writeln!(f, "STOPPED: nothing held until then")?,
        },
    }
    if let Some(recommended) = report.recommended {
        let part = 100.0 * HEADROOM;
        let recommended = load(recommended);
        writeln!(f, "  plan with       {recommended} ({part:.0} % of it; the rest is headroom)")?;
    }
    Ok(())
}

fn costs(f: &mut Formatter<'_>, report: &CapacityReport) -> fmt::Result {
    let per = &report.per;
    if per.bytes_out_per_second.is_none() {
        return Ok(());
    }
    writeln!(f, "At that load")?;
    if let (Some(sent), Some(received)) = (per.bytes_out_per_second, per.bytes_in_per_second) {
        let (sent, received) = (bytes(sent), bytes(received));
        writeln!(f, "  network         {sent}/s sent by the server, {received}/s received")?;
    }
    if let (Some(cpu), Some(rss)) = (per.cpu, per.rss_bytes) {
        writeln!(f, "  server          {cpu:.2} cores, {} resident", bytes(rss as f64))?;
    }
    match (per.readers_per_core, per.load_per_core) {
        (Some(readers), _) => {
            writeln!(f, "  per core        {} readers", grouped(readers, 0))?;
        }
        (None, Some(load)) => writeln!(f, "  per core        {}", amount(load, report.knob))?,
        (None, None) => {}
    }
    if let Some(memory) = per.bytes_per_reader {
        writeln!(f, "  per reader      {} of memory", bytes(memory))?;
    }
    Ok(())
}

fn limits(f: &mut Formatter<'_>, report: &CapacityReport) -> fmt::Result {
    let first = &report.first_limit;
    match first.resource {
        Some(resource) => writeln!(f, "  limits first    {resource}: {}", first.evidence),
        None => writeln!(f, "  limits first    not known: {}", first.evidence),
    }
}

fn model(f: &mut Formatter<'_>, report: &CapacityReport) -> fmt::Result {
    let model = &report.model;
    writeln!(f)?;
    writeln!(f, "Model (least squares over the trials that held)")?;
    if let Some(fit) = &model.cpu {
        let terms = fit.terms.iter().map(|term| {
            let (micros, name) = (term.coefficient * 1e6, &term.name);
            format!(" + {micros:.3} us x {name}")
        });
        let terms: String = terms.collect();
        writeln!(f, "  CPU/s         = {:.3}{terms}   {}", fit.constant, quality(fit))?;
    }
    if let Some(fit) = &model.memory {
        let terms = fit.terms.iter();
        let terms = terms.map(|term| format!(" + {} x {}", bytes(term.coefficient), term.name));
        let terms: String = terms.collect();
        writeln!(f, "  memory        = {}{terms}   {}", bytes(fit.constant), quality(fit))?;
    }
    model.gaps.iter().try_for_each(|gap| writeln!(f, "  not known: {gap}"))
}

fn quality(fit: &Fit) -> String {
    format!("(R2 {:.3}, {} trials)", fit.r2, fit.observations)
}

fn extrapolated(f: &mut Formatter<'_>, found: &Extrapolation, knob: Knob) -> fmt::Result {
    match (found.value, found.first) {
        (Some(value), Some(first)) => {
            let value = amount(value, knob);
            writeln!(f, "EXTRAPOLATION, not measured: about {value}; {first} would end first")?;
        }
        _ => writeln!(f, "EXTRAPOLATION: the data do not allow one")?,
    }
    for limit in &found.limits {
        let value = match limit.value {
            Some(value) if value.is_finite() => amount(value, knob),
            Some(_) => "no limit".to_owned(),
            None => "not known".to_owned(),
        };
        writeln!(f, "  {:<15} {value}: {}", limit.resource.to_string(), limit.because)?;
    }
    writeln!(f, "  It assumes that")?;
    found.assumptions.iter().try_for_each(|assumption| writeln!(f, "  - {assumption}"))
}

fn trials(f: &mut Formatter<'_>, report: &CapacityReport) -> fmt::Result {
    let knob = report.knob;
    writeln!(f, "Trials")?;
    let head = "    #  for      ";
    writeln!(f, "{head}{knob:>12}  held      p50 ms    p99 ms    max ms  deliv./s   req./s  CPU")?;
    for record in &report.trials {
        trial(f, record, knob)?;
    }
    Ok(())
}

fn trial(f: &mut Formatter<'_>, record: &TrialRecord, knob: Knob) -> fmt::Result {
    let purpose = match record.trial.purpose {
        Purpose::Step => "step",
        Purpose::Bisect => "bisect",
        Purpose::Confirm => "repeat",
    };
    let held = match record.outcome {
        Outcome::Held => "yes",
        Outcome::Failed => "no",
        Outcome::GeneratorHeld => "yes*",
        Outcome::GeneratorFailed => "*",
    };
    let value = grouped(record.trial.value, decimals(knob, record.trial.value));
    write!(f, "  {:>3}  {purpose:<8} {value:>12}  {held:<5}", record.trial.number)?;
    if let Some(seen) = &record.seen {
        let ms = |ns: u64| ns as f64 / 1e6;
        let (p50, p99, max) = (ms(seen.p50), ms(seen.p99), ms(seen.max));
        let deliveries = grouped(seen.deliveries_per_second, 0);
        let requests = grouped(seen.requests_per_second, 0);
        write!(f, " {p50:>9.2} {p99:>9.2} {max:>9.2} {deliveries:>9} {requests:>8}")?;
        match seen.server {
            Some(usage) => write!(f, " {:>4.2}", usage.cpu)?,
            None => write!(f, "    -")?,
        }
    }
    writeln!(f)?;
    record.reasons.iter().try_for_each(|reason| writeln!(f, "       {reason}"))
}

/// With its unit: `4,800 readers`, `12.5 per second`.
pub(super) fn amount(value: f64, knob: Knob) -> String {
    format!("{} {}", grouped(value, decimals(knob, value)), knob.unit())
}

fn decimals(knob: Knob, value: f64) -> usize {
    if knob.is_whole() || value >= 1000.0 { 0 } else { 1 }
}

/// Digits in groups of three.
fn grouped(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    let (whole, fraction) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut out = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) && !out.ends_with('-') {
            out.push(',');
        }
        out.push(digit);
    }
    out + fraction
}

/// In the unit that leaves one to three digits.
fn bytes(value: f64) -> String {
    let units = ["B", "KiB", "MiB", "GiB"];
    let mut scaled = value;
    let mut unit = 0;
    while scaled.abs() >= 1000.0 && unit + 1 < units.len() {
        scaled /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{scaled:.0} B") } else { format!("{scaled:.1} {}", units[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        let check = |value, knob, want: &str| assert_eq!(amount(value, knob), want);
        check(1_234_567.0, Knob::Readers, "1,234,567 readers");
        check(999.0, Knob::Streams, "999 streams");
        check(12.345, Knob::Rate, "12.3 per second");
        check(123_456.7, Knob::Rate, "123,457 per second");
        assert_eq!(grouped(-1000.0, 0), "-1,000");
        assert_eq!(grouped(-100.0, 0), "-100");
        assert_eq!((bytes(5.0).as_str(), bytes(1536.0).as_str()), ("5 B", "1.5 KiB"));
        assert_eq!(bytes(-3.0 * 1024.0 * 1024.0), "-3.0 MiB");
    }
}

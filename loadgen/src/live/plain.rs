//! The view for logs and pipes: a line per second, without colours or control characters.

use crate::live::history::{labels, merged};
use crate::live::{Moment, Phase, Progress};
use crate::numbers::{clock, count, figure, time};

/// What is run, once.
pub(super) fn heading(progress: &Progress) -> String {
    printable(&format!("{} -> {}", progress.plan, progress.target))
}

/// How it is doing.
pub(super) fn line(progress: &Progress) -> String {
    let mut parts = vec![phase(progress)];
    if progress.readers_wanted > 0 {
        parts.push(readers(progress));
    }
    if progress.users > 0 {
        parts.push(format!("{} users", count(progress.users)));
    }
    let now = Moment::of(progress);
    parts.extend(load(progress, "deliveries", true, now.deliveries));
    parts.extend(load(progress, "operations", false, now.operations));
    let errors: u64 = progress.errors.iter().map(|error| error.count).sum();
    parts.push(format!("errors {}", count(errors)));
    parts.push(format!("faults {}", count(progress.faults)));
    if let Some(late) = progress.cores.iter().map(|core| core.lateness_p99).max() {
        parts.push(format!("late p99 {}", time(late)));
    }
    parts.join("  ")
}

/// `running 12 s of 1 min 00 s`.
pub(super) fn phase(progress: &Progress) -> String {
    let name = phase_name(progress.phase);
    let elapsed = clock(progress.elapsed_ms / 1000 * 1000);
    match progress.phase_ms {
        Some(phase_ms) => format!("{name} {elapsed} of {}", clock(phase_ms)),
        None if progress.phase == Phase::Done => name.to_owned(),
        None => format!("{name} {elapsed}"),
    }
}

/// `10,000 of 10,000 readers`.
pub(super) fn readers(progress: &Progress) -> String {
    format!("{} of {} readers", count(progress.readers), count(progress.readers_wanted))
}

fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::SettingUp => "setting up",
        Phase::WarmUp => "warming up",
        Phase::Running => "running",
        Phase::Draining => "draining",
        Phase::Done => "done",
    }
}

/// Nothing until something of its kind has ended.
fn load(progress: &Progress, name: &str, deliveries: bool, rate: f64) -> Option<String> {
    let all = merged(labels(progress, deliveries).map(|label| &label.all));
    if all.is_empty() {
        return None;
    }
    Some(format!(
        "{name} {}/s p50 {} p99 {} max {}",
        figure(rate),
        time(all.percentile(50.0)),
        time(all.percentile(99.0)),
        time(all.max())
    ))
}

/// Names come from files: nothing in them may drive a terminal.
fn printable(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { '\u{fffd}' } else { char }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::{CoreProgress, LabelProgress};
    use crate::result::{ErrorCount, Times};

    #[test]
    fn a_line_says_what_there_is() {
        let check = |progress: &Progress, wanted: &str| assert_eq!(line(progress), wanted);
        let mut progress = Progress { readers: 17, readers_wanted: 10_000, ..Progress::default() };
        progress.elapsed_ms = 1_900;
        check(&progress, "setting up 1 s  17 of 10,000 readers  errors 0  faults 0");
        let mut all = Times::new();
        (1..=100).for_each(|ms| all.record(ms * 1_000_000));
        progress.phase = Phase::Running;
        progress.phase_ms = Some(60_000);
        progress.faults = 3;
        let error = ErrorCount {
            label: "a".to_owned(),
            kind: "timeout".to_owned(),
            count: 2,
            example: String::new(),
        };
        progress.errors = vec![error.clone(), error];
        progress.cores = vec![CoreProgress { lateness_p99: 45_000, ..CoreProgress::default() }];
        progress.labels = vec![LabelProgress {
            deliveries: true,
            per_second: 50_000.0,
            all,
            ..LabelProgress::default()
        }];
        check(
            &progress,
            "running 1 s of 1 min 00 s  17 of 10,000 readers  deliveries 50,000/s p50 50.0 ms \
             p99 99.0 ms max 100 ms  errors 4  faults 3  late p99 45.0 µs",
        );
    }

    #[test]
    fn a_name_cannot_drive_the_terminal() {
        let progress = Progress { plan: "a\u{1b}[2Jb\n".to_owned(), ..Progress::default() };
        assert_eq!(heading(&progress), "a\u{fffd}[2Jb\u{fffd} -> ");
    }
}

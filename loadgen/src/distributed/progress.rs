//! The progress of several workers as one.

use crate::live::{LabelProgress, Phase, Progress};

/// Sums, and histograms merged; the phase is that of the worker that is furthest behind.
pub(super) fn merge<'a>(workers: impl Iterator<Item = (&'a str, &'a Progress)>) -> Progress {
    let mut merged = Progress { phase: Phase::Done, ..Progress::default() };
    let mut any = false;
    for (name, worker) in workers {
        if !any || worker.phase < merged.phase {
            merged.phase = worker.phase;
            merged.elapsed_ms = worker.elapsed_ms;
            merged.phase_ms = worker.phase_ms;
        }
        if !any {
            merged.plan.clone_from(&worker.plan);
            merged.target.clone_from(&worker.target);
        }
        any = true;
        merged.users += worker.users;
        merged.readers += worker.readers;
        merged.readers_wanted += worker.readers_wanted;
        merged.in_flight += worker.in_flight;
        merged.faults += worker.faults;
        worker.labels.iter().for_each(|label| add_label(&mut merged, label));
        for error in &worker.errors {
            let same = |other: &&mut crate::result::ErrorCount| {
                other.label == error.label && other.kind == error.kind
            };
            match merged.errors.iter_mut().find(same) {
                Some(known) => known.count += error.count,
                None => merged.errors.push(error.clone()),
            }
        }
        merged.cores.extend(worker.cores.iter().cloned().map(|mut core| {
            core.name = format!("{name}/{}", core.name);
            core
        }));
    }
    if !any {
        merged.phase = Phase::SettingUp;
    }
    merged.errors.sort_by_key(|error| std::cmp::Reverse(error.count));
    merged
}

fn add_label(merged: &mut Progress, label: &LabelProgress) {
    let same = |other: &&mut LabelProgress| {
        other.label == label.label && other.deliveries == label.deliveries
    };
    match merged.labels.iter_mut().find(same) {
        Some(known) => {
            known.total += label.total;
            known.failed += label.failed;
            known.per_second += label.per_second;
            known.last.merge(&label.last);
            known.all.merge(&label.all);
        }
        None => merged.labels.push(label.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::CoreProgress;
    use crate::result::{ErrorCount, Times};

    fn worker(phase: Phase, readers: u64) -> Progress {
        let mut all = Times::new();
        all.record_n(1_000_000, readers);
        let label = |label: &str| LabelProgress {
            label: label.to_owned(),
            total: readers,
            per_second: 2.5,
            all: all.clone(),
            ..LabelProgress::default()
        };
        let error = |kind: &str| ErrorCount {
            label: "tail".to_owned(),
            kind: kind.to_owned(),
            count: readers,
            example: String::new(),
        };
        Progress {
            plan: "p".to_owned(),
            phase,
            elapsed_ms: readers,
            readers,
            labels: vec![label("append"), label("tail")],
            cores: vec![CoreProgress { name: "0".to_owned(), ..CoreProgress::default() }],
            errors: vec![error("timeout")],
            ..Progress::default()
        }
    }

    #[test]
    fn two_workers_look_like_one() {
        let (a, b) = (worker(Phase::Running, 3), worker(Phase::WarmUp, 4));
        let merged = merge([("a:1", &a), ("b:1", &b)].into_iter());
        assert_eq!((merged.phase, merged.elapsed_ms, merged.readers), (Phase::WarmUp, 4, 7));
        assert_eq!((merged.plan.as_str(), merged.labels.len()), ("p", 2));
        assert_eq!((merged.labels[1].total, merged.labels[1].all.count()), (7, 7));
        assert_eq!(merged.labels[1].per_second, 5.0);
        let cores: Vec<&str> = merged.cores.iter().map(|core| core.name.as_str()).collect();
        assert_eq!(cores, ["a:1/0", "b:1/0"]);
        assert_eq!((merged.errors.len(), merged.errors[0].count), (1, 7));
        assert_eq!(merge(std::iter::empty()).phase, Phase::SettingUp);
    }
}

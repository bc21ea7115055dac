//! What the threads show of themselves, put on the board.

use super::program::Program;
use super::thread::{Glance, LabelGlance};
use crate::live::{Board, CoreProgress, LabelProgress};
use crate::result::ErrorCount;

/// The latest of each thread.
#[derive(Default)]
pub(crate) struct Latest(Vec<Glance>);

impl Latest {
    /// Takes what came, and shows it.
    pub(crate) fn show(
        &mut self,
        glances: impl Iterator<Item = Glance>,
        program: &Program,
        board: &Board,
    ) {
        let mut any = false;
        for glance in glances {
            any = true;
            match self.0.iter_mut().find(|known| known.name == glance.name) {
                Some(known) => *known = glance,
                None => self.0.push(glance),
            }
        }
        if any {
            let labels = self.labels(program);
            let (cores, errors) = (self.cores(), self.errors());
            let faults = self.0.iter().map(|glance| glance.faults).sum();
            board.write(|progress| {
                progress.labels = labels;
                progress.cores = cores;
                progress.errors = errors;
                progress.faults = faults;
            });
        }
    }

    fn labels(&self, program: &Program) -> Vec<LabelProgress> {
        let labels = program.labels.iter().enumerate().map(|(id, label)| {
            let mut sum = LabelProgress {
                label: label.name.clone(),
                deliveries: label.deliveries,
                ..LabelProgress::default()
            };
            for LabelGlance { total, failed, last_total, last, all } in
                self.0.iter().filter_map(|glance| glance.labels.get(id))
            {
                sum.total += total;
                sum.failed += failed;
                sum.per_second += *last_total as f64;
                sum.last.merge(last);
                sum.all.merge(all);
            }
            sum
        });
        labels.collect()
    }

    fn cores(&self) -> Vec<CoreProgress> {
        let cores = self.0.iter().map(|glance| CoreProgress {
            name: glance.name.clone(),
            per_second: glance.labels.iter().map(|label| label.last_total).sum::<u64>() as f64,
            lateness_p99: glance.lateness_p99,
        });
        cores.collect()
    }

    fn errors(&self) -> Vec<ErrorCount> {
        let mut errors: Vec<ErrorCount> = Vec::new();
        for error in self.0.iter().flat_map(|glance| &glance.errors) {
            let same =
                |known: &&mut ErrorCount| known.label == error.label && known.kind == error.kind;
            match errors.iter_mut().find(same) {
                Some(known) => known.count += error.count,
                None => errors.push(error.clone()),
            }
        }
        errors
    }
}

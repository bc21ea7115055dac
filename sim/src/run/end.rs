//! The end of a run: everything under way is answered, and all of it is there after a last cut.

use std::time::Duration;

use super::Run;
use crate::disk::Faults;

/// A request that has no answer by then never gets one.
const PATIENCE: Duration = Duration::from_secs(600);
/// Steps that this may take at most.
const STEPS: u64 = 400_000;

impl Run {
    pub(super) fn end(&mut self) {
        self.quiet = true;
        self.plan.faults = Faults { no_direct: self.plan.faults.no_direct, ..Faults::default() };
        self.plan.kills_recovery = false;
        self.disk.lock().faults = self.plan.faults.clone();
        self.actions.retain(|_, action| matches!(action, super::Action::Work(_)));
        self.come_up();
        self.settle();
        if self.is_sound() {
            self.lose_process(!self.plan.keeps_power);
            self.come_up();
            self.settle();
        }
        self.process = None;
    }

    /// Goes on until the audit is done and nothing is under way.
    fn settle(&mut self) {
        let deadline = self.time.now() + PATIENCE;
        let last = self.step + STEPS;
        while self.is_sound() && (self.audit.is_some() || !self.calls.is_empty() || self.draining) {
            if self.time.now() > deadline || self.step > last {
                let call = self.calls.iter().next();
                let what = format!("{call:?} gets no answer");
                self.model.broken("liveness", what);
            }
            self.step();
        }
    }
}

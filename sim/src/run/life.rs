//! Lives of the server: how they end, and how the next one begins.

use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use thalweg::config::Durability;

use super::{Action, Run};
use crate::disk::Faults;
use crate::process::{Ground, NoStart, Process};

/// Starts that are tried while the disk gives errors.
const STARTS_WITH_FAULTS: u32 = 4;

impl Run {
    /// A crash of a kind that the seed chooses.
    pub(super) fn crash(&mut self) {
        self.next_crash =
            self.step + self.trouble.between(self.plan.crash_every / 4, self.plan.crash_every);
        if self.draining {
            return;
        }
        match self.trouble.below(8) {
            0 => self.terminate(),
            1..3 => self.lose_process(false),
            _ => self.lose_process(!self.plan.keeps_power),
        }
    }

    /// SIGTERM: nothing more is sent, what is under way is answered, then it stops.
    fn terminate(&mut self) {
        let Some(process) = &self.process else { return };
        self.trace.line(format_args!("{:?}: SIGTERM", self.time.now()));
        self.totals.terms += 1;
        self.draining = true;
        process.terminate();
    }

    /// The server has stopped as it was told to: everything accepted must be durable.
    pub(super) fn stopped(&mut self) {
        self.trace.line(format_args!("{:?}: stopped", self.time.now()));
        self.forget_process();
        self.disk.kill();
        if self.trouble.chance(1, 2) {
            self.disk.lose_power();
        }
        self.come_up();
    }

    /// The process is gone, and maybe the power.
    pub(super) fn lose_process(&mut self, power: bool) {
        if self.process.is_none() {
            return;
        }
        let kind = if power { "power is lost" } else { "the process is killed" };
        self.trace.line(format_args!("{:?}: {kind}", self.time.now()));
        self.forget_process();
        if power {
            self.totals.power_cuts += 1;
            self.disk.lose_power();
        } else {
            self.totals.kills += 1;
            self.disk.kill();
        }
        let failed = std::mem::take(&mut self.disk.lock().log_failed);
        if self.plan.durability == Durability::Async && (power || failed) {
            self.trace.line(format_args!("asynchronous: everything starts over"));
            self.model.start_over();
            self.clients.start_over();
        }
        self.trace.mix(&[self.disk.digest()]);
    }

    /// Drops the process; nobody gets an answer any more.
    fn forget_process(&mut self) {
        for core in self.process.iter().flat_map(|process| &process.cores) {
            for id in core.unlogged_reads() {
                self.model.access_lost(id.0);
            }
            let counters = &core.compaction.counters;
            self.totals.sealed +=
                counters.segments_sealed.get() + counters.segments_compacted.get();
        }
        self.process = None;
        self.draining = false;
        self.poisoned = None;
        self.answers.borrow_mut().clear();
        self.followed.borrow_mut().clear();
        self.followers.clear();
        self.actions.retain(|_, action| !matches!(action, Action::Work(_)));
        self.audit = None;
        let calls = std::mem::take(&mut self.calls);
        let tolerance = self.tolerance;
        for call in calls.into_values() {
            self.model.judge(&call, None, tolerance);
            self.clients.answered(&self.model, &call, None);
        }
    }

    /// Starts the server until it is up, and begins an audit. With damage it may refuse.
    pub(super) fn come_up(&mut self) {
        if self.process.is_some() || !self.is_sound() {
            return;
        }
        self.starts = 0;
        while self.process.is_none() && self.is_sound() {
            self.starts += 1;
            if self.starts > STARTS_WITH_FAULTS {
                self.disk.lock().faults = Faults::default();
            } else {
                self.restore_faults();
            }
            self.start();
        }
        self.restore_faults();
        self.model.life += 1;
        self.audit = Some((0..self.model.paths.len()).collect());
    }

    fn restore_faults(&mut self) {
        let full = self.disk.lock().faults.full;
        let blocking_misdirect = if self.quiet { 0 } else { self.plan.misdirects_sealing };
        let faults = Faults { full, blocking_misdirect, ..self.plan.faults.clone() };
        self.disk.lock().faults = faults;
    }

    fn start(&mut self) {
        let relayout = self.plan.changes_cores && self.trouble.chance(1, 3);
        if relayout {
            self.cores = 1 + self.trouble.index(3);
            self.totals.relayouts += 1;
        }
        let kill = self.plan.kills_recovery && self.trouble.chance(1, 3);
        let limit = kill.then(|| self.trouble.below(120));
        let before = self.disk.counts();
        let ground = Ground {
            disk: self.disk.clone(),
            time: Rc::clone(&self.time),
            config: self.plan.config(self.cores),
            control: self.control.clone(),
            any_order: self.plan.any_order,
            slow: self.plan.slow,
            delays: Rc::clone(&self.delays),
            limit,
        };
        self.time.advance_to(self.time.now() + Duration::from_millis(5));
        if !self.quiet && self.starts <= STARTS_WITH_FAULTS {
            self.disk.lock().faults.blocking_misdirect = self.plan.misdirects_recovery;
        }
        self.disk.lock().log_failed = false;
        self.errors_before = before.errors;
        match Process::start(&ground, &mut self.schedule) {
            Ok(process) => {
                let now = self.time.now();
                let (cores, summary) = (self.cores, process.summary);
                self.trace.line(format_args!(
                    "{now:?}: up on {cores} cores: {} streams, {} records",
                    summary.streams, summary.records
                ));
                self.process = Some(process);
                self.doubt(before);
            }
            Err(NoStart::Killed) => {
                self.totals.recovery_kills += 1;
                let misled = self.disk.counts().misdirected > before.misdirected;
                self.misled |= misled;
                self.tail_hit |= misled;
                let power = !self.plan.keeps_power && self.trouble.chance(1, 2);
                self.trace.line(format_args!("recovery is killed, power lost: {power}"));
                if power {
                    self.disk.lose_power();
                } else {
                    self.disk.kill();
                }
                self.start_over_if_asynchronous(power);
            }
            Err(NoStart::Refused(error)) => {
                self.disk.kill();
                self.refuses(&error.to_string(), before);
            }
            Err(NoStart::Died(death)) => {
                self.trace.line(format_args!("the start dies: {death:?}"));
                self.model.broken("no panic", format!("the start died: {death:?}"));
            }
        }
    }

    /// A start that read something else than what was written may have taken it for the end of a
    /// log. Nobody can tell, so nothing that was promised before counts any more.
    fn doubt(&mut self, before: crate::disk::Counts) {
        let misled = self.disk.counts().misdirected > before.misdirected;
        self.misled |= misled;
        if std::mem::take(&mut self.tail_hit) || misled {
            self.trace.line(format_args!("doubtful: everything starts over"));
            self.model.start_over();
            self.clients.start_over();
        }
    }

    fn start_over_if_asynchronous(&mut self, power: bool) {
        if power && self.plan.durability == Durability::Async {
            self.model.start_over();
            self.clients.start_over();
        }
    }

    /// The server does not start, and says why.
    fn refuses(&mut self, error: &str, before: crate::disk::Counts) {
        self.trace.line(format_args!("the start is refused: {error}"));
        let counts = self.disk.counts();
        if counts.errors > before.errors || counts.full > before.full {
            // The disk gave an error meanwhile: the operator looks after it and starts again.
            self.disk.lock().faults.full = false;
            // What the sync that failed should have kept may be gone.
            self.start_over_if_asynchronous(counts.errors > before.errors);
        } else if counts.misdirected > before.misdirected {
            // The next start reads what is there.
        } else if self.explains(error) {
            self.totals.refusals += 1;
            self.refused = true;
        } else {
            self.model.broken("I1", format!("the server does not start: {error}"));
        }
    }

    /// Whether flipped bits are reason enough for a refusal: it names damage, and if it is about
    /// `FORMAT` that is the file that was hit.
    fn explains(&self, error: &str) -> bool {
        let format = Path::new("/data/FORMAT");
        if error.contains("/data/FORMAT") {
            return self.flipped.contains(format) && error.contains("is damaged");
        }
        (self.misled || !self.flipped.is_empty()) && error.contains("/data/")
    }
}

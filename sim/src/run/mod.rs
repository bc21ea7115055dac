//! One run: time, chance, crashes and clients, until the steps are used up or a promise is broken.

mod audit;
mod end;
mod life;
mod traffic;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use thalweg::subscriptions::Control;

use crate::clients::{Answer, Call, Clients, Followed};
use crate::disk::{Counts, SimDisk};
use crate::model::{Checked, Model, PathState, Tolerance, Violation};
use crate::plan::Plan;
use crate::process::{Death, Hand, Process};
use crate::random::Random;
use crate::time::Time;
use crate::trace::Trace;

/// What to run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Decides everything.
    pub seed: u64,
    /// Tasks polled, events handled and moves of the clock.
    pub steps: u64,
    /// Print every line of the trace as it comes.
    pub trace: bool,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Over everything that happened.
    pub hash: u64,
    /// The broken promise, if there is one.
    pub violation: Option<Violation>,
    /// What happened last.
    pub last: Vec<String>,
    /// What happened how often.
    pub totals: Totals,
}

/// What happened how often.
#[derive(Clone, Copy, Default, Debug)]
pub struct Totals {
    /// Steps taken.
    pub steps: u64,
    /// Power cuts.
    pub power_cuts: u64,
    /// Kills of the process.
    pub kills: u64,
    /// Kills in the middle of recovery.
    pub recovery_kills: u64,
    /// Times that the server stopped because of a disk error.
    pub stops: u64,
    /// Orderly ends.
    pub terms: u64,
    /// Starts with another number of cores.
    pub relayouts: u64,
    /// Starts refused because of damage.
    pub refusals: u64,
    /// Segments sealed, compacted and merged.
    pub sealed: u64,
    /// Requests sent.
    pub calls: u64,
    /// What the checker did.
    pub checked: Checked,
    /// What the disk did.
    pub disk: Counts,
}

impl Totals {
    /// Adds those of another run.
    pub fn add(&mut self, other: &Totals) {
        let Totals { checked, disk, .. } = self;
        for (sum, part) in [
            (&mut self.steps, other.steps),
            (&mut self.power_cuts, other.power_cuts),
            (&mut self.kills, other.kills),
            (&mut self.recovery_kills, other.recovery_kills),
            (&mut self.stops, other.stops),
            (&mut self.terms, other.terms),
            (&mut self.relayouts, other.relayouts),
            (&mut self.refusals, other.refusals),
            (&mut self.sealed, other.sealed),
            (&mut self.calls, other.calls),
            (&mut checked.acknowledged, other.checked.acknowledged),
            (&mut checked.repeated, other.checked.repeated),
            (&mut checked.bytes, other.checked.bytes),
            (&mut checked.audits, other.checked.audits),
            (&mut disk.operations, other.disk.operations),
            (&mut disk.errors, other.disk.errors),
            (&mut disk.full, other.disk.full),
            (&mut disk.misdirected, other.disk.misdirected),
            (&mut disk.flipped, other.disk.flipped),
            (&mut disk.lost_sectors, other.disk.lost_sectors),
            (&mut disk.lost_changes, other.disk.lost_changes),
        ] {
            *sum += part;
        }
    }
}

pub(crate) struct Run {
    plan: Plan,
    steps: u64,
    step: u64,
    trace: Trace,
    time: Rc<Time>,
    disk: SimDisk,
    control: Control,
    schedule: Random,
    trouble: Random,
    delays: Rc<RefCell<Random>>,
    model: Model,
    clients: Clients,
    process: Option<Process>,
    cores: usize,
    actions: BTreeMap<(Duration, u64), Action>,
    next_action: u64,
    calls: BTreeMap<u64, Call>,
    next_call: u64,
    answers: Answers,
    followers: BTreeMap<u64, Following>,
    followed: Rc<RefCell<Vec<(u64, Followed)>>>,
    /// Paths that are still to be audited; clients pause meanwhile.
    audit: Option<VecDeque<usize>>,
    /// Nothing is sent any more: the server drains, or the run ends.
    quiet: bool,
    draining: bool,
    next_crash: u64,
    /// Disk errors at the start of this life.
    errors_before: u64,
    /// The step at which the log failed.
    poisoned: Option<u64>,
    refused: bool,
    /// Files of which a bit was flipped.
    flipped: BTreeSet<PathBuf>,
    /// Starts that were tried for this life.
    starts: u32,
    /// A bit of the last group of a log was: a start may take it for torn.
    tail_hit: bool,
    /// A start has read other bytes than the disk has, and went on.
    misled: bool,
    tolerance: Tolerance,
    totals: Totals,
}

/// A live reader: of which path, since when, and where the stream of it began then.
#[derive(Clone, Copy, Debug)]
struct Following {
    path: usize,
    sent: u64,
    began: Option<(u64, u64)>,
}

/// Answers that have come, with the numbers of their calls.
type Answers = Rc<RefCell<Vec<(u64, Option<Answer>)>>>;

/// Something that is to happen at a time.
#[derive(Clone, Copy, Debug)]
enum Action {
    Turn(usize),
    Follow,
    Checkpoint,
    Work(Hand),
    Jump,
    Fill,
    Empty,
    Flip,
    Idle,
}

/// A poisoned log must have ended its process within so many steps.
const STEPS_TO_STOP: u64 = 5_000;

/// Runs one seed.
#[must_use]
pub fn run(options: Options) -> Outcome {
    let mut run = Run::new(options);
    run.go();
    let violation = run.model.violation.clone();
    run.totals.steps = run.step;
    run.totals.checked = run.model.checked;
    run.totals.disk = run.disk.counts();
    run.trace.mix(&[run.disk.digest(), run.trace.events()]);
    Outcome { hash: run.trace.hash(), violation, last: run.trace.last_lines(), totals: run.totals }
}

impl Run {
    fn new(options: Options) -> Run {
        let seed = options.seed;
        let plan = Plan::of(seed);
        let mut schedule = Random::of(seed, "schedule");
        let disk = SimDisk::new(Random::of(seed, "disk"));
        let paths = (0..plan.paths).map(|path| PathState::new(path, path % plan.clients));
        let control = match Control::detached() {
            Ok(control) => control,
            Err(error) => panic!("no keys: {error}"),
        };
        let next_crash = schedule.between(plan.crash_every / 4, plan.crash_every);
        let trace = Trace::new(options.trace);
        trace.line(format_args!("seed {seed}: {plan:?}"));
        Run {
            steps: options.steps,
            step: 0,
            trace,
            time: Rc::new(Time::new()),
            disk,
            control,
            schedule,
            trouble: Random::of(seed, "trouble"),
            delays: Rc::new(RefCell::new(Random::of(seed, "delays"))),
            model: Model { steady: !plan.jumps, ..Model::new(paths.collect()) },
            clients: Clients::new(Random::of(seed, "clients"), plan.clients, plan.largest_append),
            process: None,
            cores: plan.cores,
            actions: BTreeMap::new(),
            next_action: 0,
            calls: BTreeMap::new(),
            next_call: 0,
            answers: Rc::default(),
            followers: BTreeMap::new(),
            followed: Rc::default(),
            audit: None,
            quiet: false,
            draining: false,
            next_crash,
            errors_before: 0,
            poisoned: None,
            refused: false,
            flipped: BTreeSet::new(),
            starts: 0,
            tail_hit: false,
            misled: false,
            tolerance: plan.tolerance(),
            totals: Totals::default(),
            plan,
        }
    }

    fn go(&mut self) {
        self.come_up();
        self.schedule_trouble();
        while self.step < self.steps && self.is_sound() {
            if self.step >= self.next_crash {
                self.crash();
                self.come_up();
            }
            self.step();
        }
        self.end();
    }

    /// No promise is broken, and the data can be read.
    fn is_sound(&self) -> bool {
        self.model.violation.is_none() && !self.refused
    }

    fn step(&mut self) {
        self.step += 1;
        self.model.now = self.step;
        self.model.wall_ms = self.time.wall().0;
        let now = self.time.now();
        let due = self.actions.keys().next().is_some_and(|(at, _)| *at <= now);
        let ready = self.process.as_ref().is_some_and(|process| process.executor.has_ready());
        if due && (!ready || self.schedule.chance(1, 2)) {
            if let Some((_, action)) = self.actions.pop_first() {
                self.act(action);
            }
        } else if ready {
            self.poll();
        } else {
            self.advance();
        }
        self.after_step();
    }

    /// Nothing can be done now: moves the clock to the next thing that can.
    fn advance(&mut self) {
        let timer = self.process.as_ref().and_then(|process| process.executor.next_timer());
        let action = self.actions.keys().next().map(|(at, _)| *at);
        let Some(next) = [timer, action].into_iter().flatten().min() else { return };
        self.time.advance_to(next);
        if let Some(process) = &self.process {
            process.executor.fire_timers();
        }
    }

    fn poll(&mut self) {
        let Some(process) = &self.process else { return };
        match process.poll_one(&mut self.schedule) {
            Ok(None) => {}
            Ok(Some((task, core))) => {
                self.trace.mix(&[task, core as u64, self.time.now().as_nanos() as u64]);
            }
            Err(death) => self.died(death),
        }
    }

    /// What a step may have brought about.
    fn after_step(&mut self) {
        self.take_answers();
        self.take_followed();
        if let Some(process) = &mut self.process {
            match process.begin_work() {
                Ok(hands) => hands.into_iter().for_each(|hand| self.schedule_work(hand)),
                Err(death) => self.died(death),
            }
        }
        self.watch_the_log();
        if self.draining && self.process.as_ref().is_some_and(Process::has_stopped) {
            self.stopped();
        }
        self.go_on_with_audit();
    }

    /// After a failed write or sync of the log the process must stop.
    fn watch_the_log(&mut self) {
        let failed = self.disk.lock().log_failed;
        if !failed || self.process.is_none() {
            self.poisoned = None;
        } else if self.step > *self.poisoned.get_or_insert(self.step) + STEPS_TO_STOP {
            let what = "the log failed, and the server goes on".to_owned();
            self.model.broken("I9", what);
        }
    }

    fn died(&mut self, death: Death) {
        match death {
            Death::Panicked(words) => {
                self.trace.line(format_args!("panic: {words}"));
                self.model.broken("no panic", words);
            }
            Death::Fatal => {
                self.trace.line(format_args!("the server stops because of the disk"));
                self.totals.stops += 1;
                if self.disk.counts().errors == self.errors_before {
                    let what = "the server stopped, and the disk had no error".to_owned();
                    self.model.broken("I9", what);
                }
            }
        }
        self.lose_process(false);
        if self.is_sound() {
            self.come_up();
        }
    }

    fn after(&mut self, pause: Duration, action: Action) {
        let key = (self.time.now() + pause, self.next_action);
        self.next_action += 1;
        self.actions.insert(key, action);
    }
}

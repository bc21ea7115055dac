//! The groups of a plan on one thread: who runs what, and when. Live readers are in `readers`.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::clock::Alarm;
use super::core::Core;
use super::pipeline::{Pipeline, sleep_until};
use super::readers::tail_of;
use super::sample_log::Who;
use super::steps::{Compiler, Op, first_label};
use super::user::{Flow, User};
use crate::plan::{
    Arrivals, Assertion, Group, Load, OnError, Pattern, Payload, Piece, Plan, RateStage,
    SamplerKind, Step, Template,
};
use crate::schedule::{
    OpenSchedule, iteration_rng, lives, most_users, nanos, schedule_rng, user_rng,
};
use crate::user::{Names, Rows};

pub(super) fn compiler(core: &Rc<Core>, group: u32, users: u32, begin_ns: u64) -> Compiler<'_> {
    let (core, program) = (&**core, &*core.program);
    Compiler {
        program,
        group,
        users,
        core: core.part.index,
        cores: core.part.of,
        begin_ns,
        timers: 0,
    }
}

/// Starts this thread's part of a group that makes load.
pub(crate) fn start_load(core: &Rc<Core>, index: u32, start_ns: u64) {
    let program = Arc::clone(&core.program);
    let group = &program.plan.groups[index as usize];
    if tail_of(group).is_some() {
        return;
    }
    let begin_ns = start_ns + nanos(group.delay);
    let mut names = Names::of(&program.plan);
    match &group.load {
        Load::Open { stages, arrivals, max_in_flight } => {
            let mut ops = compiler(core, index, *max_in_flight, begin_ns).group(group, &mut names);
            let (stages, arrivals, max_in_flight) = (stages.clone(), *arrivals, *max_in_flight);
            match ops.pop() {
                Some(Op::Request(request)) if is_pipelined(&program.plan, group) => {
                    let pipeline = Pipeline {
                        core: Rc::clone(core),
                        group: index,
                        stages,
                        arrivals,
                        begin_ns,
                        request: *request,
                        names,
                        max_in_flight,
                    };
                    spawn(core, pipeline.run());
                }
                last => {
                    ops.extend(last);
                    let open = Open::new(core, index, group, ops, names, max_in_flight);
                    spawn(core, open.run(stages, arrivals, begin_ns));
                }
            }
        }
        Load::Closed { stages, iterations } => {
            let users = most_users(stages);
            let ops = compiler(core, index, users, begin_ns).group(group, &mut names);
            let closed = Rc::new(Closed {
                core: Rc::clone(core),
                group: index,
                ops,
                rows: rows(core, &mut names),
                names,
                iterations: *iterations,
                on_error: group.on_error,
            });
            core.count_users(index, core.part.share(u64::from(users)) as u32);
            for user in (0..users).filter(|user| core.part.has(u64::from(*user))) {
                for life in lives(stages, user) {
                    drop(monoio::spawn(Rc::clone(&closed).run(user, begin_ns, life)));
                }
            }
        }
    }
}

/// Starts a task that makes load; without it the run has failed.
fn spawn(core: &Rc<Core>, task: impl Future<Output = io::Result<()>> + 'static) {
    let core = Rc::clone(core);
    drop(monoio::spawn(async move {
        if let Err(error) = task.await {
            core.fail(error);
        }
    }));
}

/// Whether a group is one append that is nobody's in particular: it needs no users, and can be
/// pipelined.
fn is_pipelined(plan: &Plan, group: &Group) -> bool {
    let [Step::Sample(sampler)] = group.steps.as_slice() else { return false };
    let (SamplerKind::Append { payload, .. } | SamplerKind::AppendBatch { payload, .. }) =
        &sampler.kind
    else {
        return false;
    };
    let bearer = plan.bearer.iter();
    let mut fields =
        plan.fields.iter().chain(&sampler.fields).map(|(_, value)| value).chain(bearer);
    plan.data.is_empty()
        && group.on_error == OnError::Continue
        && fields.all(is_constant)
        && sampler.assertions.iter().all(is_constant_assertion)
        && match payload {
            Payload::Stamped(_) => true,
            Payload::Template(body) => {
                let users = |piece: &Piece| matches!(piece, Piece::Variable(_) | Piece::UserNumber);
                !body.0.iter().any(users)
            }
        }
}

fn is_constant(template: &Template) -> bool {
    template.0.iter().all(|piece| matches!(piece, Piece::Text(_)))
}

fn is_constant_assertion(assertion: &Assertion) -> bool {
    match assertion {
        Assertion::Header { text, .. } | Assertion::Body(text) => {
            text.any_of.iter().all(|pattern| match pattern {
                Pattern::Text(template) => is_constant(template),
                Pattern::Regex(_) => true,
            })
        }
        Assertion::JsonPath { equals, .. } => equals.as_ref().is_none_or(is_constant),
        Assertion::Status(_) | Assertion::Duration(_) | Assertion::Size(_) => true,
    }
}

pub(super) fn rows(core: &Core, names: &mut Names) -> RefCell<Vec<Rows>> {
    let data = &core.program.plan.data;
    RefCell::new(
        data.iter().map(|data| Rows::new(data, names, core.part.index, core.part.of)).collect(),
    )
}

/// Sets the variables of the next row of each data set. `false`: one has no more.
pub(super) fn next_rows(core: &Core, rows: &RefCell<Vec<Rows>>, user: &mut User) -> bool {
    let data = &core.program.plan.data;
    let mut rows = rows.borrow_mut();
    rows.iter_mut().zip(data).all(|(rows, data)| rows.next_row(data, &mut user.variables))
}

/// A closed group on this thread.
struct Closed {
    core: Rc<Core>,
    group: u32,
    ops: Vec<Op>,
    names: Names,
    rows: RefCell<Vec<Rows>>,
    iterations: Option<u64>,
    on_error: OnError,
}

impl Closed {
    /// One user's life.
    async fn run(self: Rc<Self>, number: u32, begin_ns: u64, life: Range<u64>) {
        let core = &self.core;
        let _task = core.task();
        let shared = &core.shared;
        let until_ns = begin_ns + life.end;
        while shared.clock.now_ns() < begin_ns + life.start && !shared.is_stopping() {
            let at_ns = begin_ns + life.start;
            shared.clock.sleep_until(at_ns.min(shared.clock.now_ns() + NAP_NS)).await;
        }
        shared.users.fetch_add(1, Relaxed);
        let rng = user_rng(core.program.plan.seed, self.group, number);
        let mut user = User::new(core, self.group, &self.names, self.on_error, rng, number + 1);
        while !shared.is_stopping()
            && shared.clock.now_ns() < until_ns
            && self.iterations.is_none_or(|most| user.iteration < most)
        {
            if !next_rows(core, &self.rows, &mut user) {
                break;
            }
            let before_ns = shared.clock.now_ns();
            core.count(self.group, before_ns);
            match user.run(&self.ops).await {
                Flow::Go | Flow::NextIteration => {}
                Flow::StopUser | Flow::End => break,
                Flow::StopRun => {
                    core.stop_run(self.group);
                    break;
                }
            }
            user.iteration += 1;
            if shared.clock.now_ns() - before_ns < FAST_NS {
                // Steps that did nothing must let others run.
                core.turn.take().await;
            }
        }
        shared.users.fetch_sub(1, Relaxed);
    }
}

pub(super) const NAP_NS: u64 = 50_000_000;
const FAST_NS: u64 = 2_000;

/// An open group on this thread whose iterations are more than one append.
struct Open {
    core: Rc<Core>,
    group: u32,
    ops: Vec<Op>,
    names: Names,
    rows: RefCell<Vec<Rows>>,
    on_error: OnError,
    most: u32,
    idle: RefCell<Vec<User>>,
    users: Cell<u32>,
    /// Iterations that are due and have no user.
    queue: RefCell<VecDeque<(u64, u64)>>,
    /// A data set has no more rows.
    ran_out: Cell<bool>,
}

impl Open {
    fn new(
        core: &Rc<Core>,
        index: u32,
        group: &Group,
        ops: Vec<Op>,
        mut names: Names,
        most: u32,
    ) -> Rc<Open> {
        Rc::new(Open {
            core: Rc::clone(core),
            group: index,
            ops,
            rows: rows(core, &mut names),
            names,
            on_error: group.on_error,
            most: core.part.share(u64::from(most)).max(1) as u32,
            idle: RefCell::default(),
            users: Cell::new(0),
            queue: RefCell::default(),
            ran_out: Cell::new(false),
        })
    }

    async fn run(
        self: Rc<Self>,
        stages: Vec<RateStage>,
        arrivals: Arrivals,
        begin_ns: u64,
    ) -> io::Result<()> {
        let core = Rc::clone(&self.core);
        let _task = core.task();
        let alarm = Alarm::new(core.shared.clock)?;
        let seed = core.program.plan.seed;
        let times = OpenSchedule::new(&stages, arrivals, schedule_rng(seed, self.group));
        let mine = |at: &(usize, u64)| core.part.has(at.0 as u64);
        let mut burst = 0;
        for (iteration, at) in times.enumerate().filter(mine) {
            let intended_ns = begin_ns + at;
            if core.shared.clock.now_ns() < intended_ns {
                burst = 0;
                sleep_until(&alarm, &core, intended_ns).await?;
            } else {
                burst += 1;
                if burst % 32 == 0 {
                    core.turn.take().await;
                }
            }
            if self.ran_out.get() || core.shared.is_too_late(intended_ns) {
                break;
            }
            let now_ns = core.shared.clock.now_ns();
            core.recorder.borrow_mut().late(intended_ns, now_ns);
            self.start(iteration as u64, intended_ns);
        }
        Ok(())
    }

    /// Starts an iteration, or queues it if all users are busy.
    fn start(self: &Rc<Self>, iteration: u64, intended_ns: u64) {
        let idle = self.idle.borrow_mut().pop();
        let user = match idle {
            Some(user) => user,
            None if self.users.get() < self.most => self.user(),
            None => {
                self.core.count_waiting(self.group, intended_ns);
                return self.queue.borrow_mut().push_back((iteration, intended_ns));
            }
        };
        drop(monoio::spawn(Rc::clone(self).iterate(user, iteration, intended_ns)));
    }

    fn user(&self) -> User {
        let number = self.users.get() + 1;
        self.users.set(number);
        self.core.count_users(self.group, number);
        let rng = user_rng(self.core.program.plan.seed, self.group, number);
        let mut user = User::new(&self.core, self.group, &self.names, self.on_error, rng, number);
        user.finishes = true;
        user
    }

    async fn iterate(self: Rc<Self>, mut user: User, iteration: u64, intended_ns: u64) {
        let core = Rc::clone(&self.core);
        let _task = core.task();
        let mut next = Some((iteration, intended_ns));
        while let Some((iteration, intended_ns)) = next {
            user.rng = iteration_rng(core.program.plan.seed, self.group, iteration);
            user.iteration = iteration;
            user.intended_ns = Some(intended_ns);
            if !next_rows(&core, &self.rows, &mut user) {
                self.run_out();
                return;
            }
            core.count(self.group, intended_ns);
            core.shared.users.fetch_add(1, Relaxed);
            if user.run(&self.ops).await == Flow::StopRun {
                core.stop_run(self.group);
            }
            core.shared.users.fetch_sub(1, Relaxed);
            next = match core.shared.is_stopping() {
                false => self.queue.borrow_mut().pop_front(),
                true => None,
            };
        }
        if core.shared.is_stopping() {
            self.give_up(user.who()).await;
        }
        self.idle.borrow_mut().push(user);
    }

    /// The group ends, and what is queued with it.
    fn run_out(&self) {
        self.ran_out.set(true);
        self.queue.borrow_mut().clear();
        self.core.groups.borrow_mut()[self.group as usize].ran_out = true;
    }

    /// Counts what is still queued at the end of the load.
    async fn give_up(&self, who: Who) {
        let label = first_label(&self.ops);
        let queue = self.queue.take();
        for (at, (_, intended_ns)) in queue.into_iter().enumerate() {
            self.core.not_sent(who, label, intended_ns);
            if at % 1024 == 1023 {
                self.core.turn.take().await;
            }
        }
    }
}

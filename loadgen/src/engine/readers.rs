//! The live readers of one thread: who follows what, from when to when, and what each does before.
//!
//! Invariant: a reader whose steps before the tail fail is counted as a failed one, never left out.
//!
//! Deliberately absent: how a stream is followed (`tail`).

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::core::Core;
use super::groups::{NAP_NS, compiler, next_rows, rows};
use super::steps::{Op, Request};
use super::tail::Reader;
use super::user::{Flow, User};
use crate::LoadError;
use crate::plan::{From, Group, Load, OnError, Piece, Sampler, SamplerKind, Step, Tail, Template};
use crate::schedule::{Chooser, lives, most_users, nanos, user_rng, users_duration_ns};
use crate::user::{Compiled, Names, Rows, compile, render};

/// The live reader of a group, if that is what its users are.
pub(crate) fn tail_of(group: &Group) -> Option<(&Tail, &Sampler)> {
    group.steps.iter().find_map(|step| match step {
        Step::Sample(sampler) => match &sampler.kind {
            SamplerKind::Tail(tail) => Some((tail, &**sampler)),
            _ => None,
        },
        _ => None,
    })
}

/// Refuses what the engine cannot run.
pub(crate) fn check(group: &Group) -> Result<(), LoadError> {
    let is_tail = |step: &Step| matches!(step, Step::Sample(sampler) if matches!(sampler.kind, SamplerKind::Tail(_)));
    match tail_of(group) {
        Some(_) if !group.steps.last().is_some_and(is_tail) => {
            Err(LoadError::Plan("a tail step must be the last of its group"))
        }
        Some(_) if matches!(group.load, Load::Open { .. }) => {
            Err(LoadError::Plan("a group with a tail step must have users, not a rate"))
        }
        _ => Ok(()),
    }
}

/// Sets up the readers of this thread. Returns how many tasks will tell `ready`.
pub(crate) fn start_readers(core: &Rc<Core>, index: u32, ready: &Rc<Cell<u32>>) -> u32 {
    let program = Arc::clone(&core.program);
    let group = &program.plan.groups[index as usize];
    let (Some((tail, sampler)), Load::Closed { stages, .. }) = (tail_of(group), &group.load) else {
        return 0;
    };
    let entrance = Rc::new(Entrance::new(core, index, group, tail, sampler));
    let mut chooser = {
        let set = &program.plan.streams[tail.streams];
        Chooser::new(&set.choice, set.count)
    };
    let end_ns = users_duration_ns(stages);
    let (mut started, mut users) = (0, 0);
    for number in 0..most_users(stages) {
        let mut rng = user_rng(program.plan.seed, index, number);
        let stream = chooser.choose(&mut rng, u64::from(number));
        if !core.part.has(u64::from(number)) {
            continue;
        }
        users += 1;
        for life in lives(stages, number) {
            let entrance = Rc::clone(&entrance);
            let to_end = life.end >= end_ns;
            if life.start == 0 && group.delay.is_zero() && to_end {
                started += 1;
                let ready = Rc::clone(ready);
                let tell = move |_| ready.set(ready.get() + 1);
                drop(monoio::spawn(entrance.admit(number, stream, u64::MAX, tell)));
            } else {
                let delay_ns = nanos(group.delay);
                drop(monoio::spawn(async move {
                    let core = Rc::clone(&entrance.core);
                    let _task = core.task();
                    let begin_ns = started_at(&core).await + delay_ns;
                    let (clock, at_ns) = (core.shared.clock, begin_ns + life.start);
                    while clock.now_ns() < at_ns && !core.shared.is_stopping() {
                        clock.sleep_until(at_ns.min(clock.now_ns() + NAP_NS)).await;
                    }
                    if core.shared.is_stopping() {
                        return;
                    }
                    let until_ns = if to_end { u64::MAX } else { begin_ns + life.end };
                    entrance.admit(number, stream, until_ns, |_| {}).await;
                }));
            }
        }
    }
    core.count_readers(index, users);
    started
}

/// When load begins, or now if the run is over before.
async fn started_at(core: &Core) -> u64 {
    loop {
        match core.shared.start_ns() {
            Some(start_ns) => return start_ns,
            None if core.shared.is_over() => return core.shared.clock.now_ns(),
            None => monoio::time::sleep(Duration::from_millis(1)).await,
        }
    }
}

/// Through which the readers of a group come in.
struct Entrance {
    core: Rc<Core>,
    group: u32,
    tail: Tail,
    label: usize,
    on_error: OnError,
    /// Steps before the tail.
    ops: Vec<Op>,
    names: Names,
    rows: RefCell<Vec<Rows>>,
    request: Request,
    /// Where it starts, if that depends on variables.
    from: Option<Compiled>,
    /// Whole lines of the request's head, if they are the same for all and nothing comes before.
    fields: Option<String>,
}

impl Entrance {
    fn new(core: &Rc<Core>, index: u32, group: &Group, tail: &Tail, sampler: &Sampler) -> Entrance {
        let mut names = Names::of(&core.program.plan);
        let users = match &group.load {
            Load::Closed { stages, .. } => most_users(stages),
            Load::Open { .. } => 1,
        };
        let mut compiler = compiler(core, index, users, 0);
        let mut ops = compiler.group(group, &mut names);
        ops.truncate(group.steps.len() - 1);
        let request = compiler.request(sampler, &mut names);
        let from = match &tail.from {
            From::Offset(template) => Some(compile(template, &mut names)),
            From::Beginning | From::Now => None,
        };
        let from = from.filter(|from| from.constant().is_none());
        let rows = rows(core, &mut names);
        let is_same = ops.is_empty() && from.is_none() && request.is_static();
        let fields = is_same.then(|| {
            let fields = request.fields.iter();
            fields.fold(String::new(), |lines, (name, value)| {
                let value = String::from_utf8_lossy(value.constant().unwrap_or_default());
                lines + &format!("{name}: {value}\r\n")
            })
        });
        let (core, tail) = (Rc::clone(core), tail.clone());
        let (label, on_error) = (core.program.label(&sampler.label, true), group.on_error);
        Entrance {
            core,
            group: index,
            tail,
            label,
            on_error,
            ops,
            names,
            rows,
            request,
            from,
            fields,
        }
    }

    /// Takes a reader through the steps before its tail, and lets it follow its stream. `ready` is
    /// told when it does, or that it never will.
    async fn admit(
        self: Rc<Self>,
        number: u32,
        stream: u32,
        until_ns: u64,
        ready: impl FnOnce(bool),
    ) {
        let core = Rc::clone(&self.core);
        let _task = core.task();
        let rng = user_rng(core.program.plan.seed, self.group, number);
        let (tail, fields) = match &self.fields {
            Some(fields) => (self.tail.clone(), fields.clone()),
            None => match self.before(number).await {
                Some(begun) => begun,
                None => {
                    if !core.shared.is_stopping() {
                        core.recorder.borrow_mut().labels[self.label].failed_readers += 1;
                    }
                    return ready(false);
                }
            },
        };
        let path = core.program.live_path(tail.streams, stream);
        let stream = core.program.stream(tail.streams, stream);
        let (group, label) = (self.group, self.label);
        drop(self);
        let reader =
            Reader::new(core, group, tail, label, stream, path, fields, number, rng, until_ns);
        reader.run(ready).await;
    }

    /// The steps before the tail; then where it starts and the lines of its head.
    async fn before(&self, number: u32) -> Option<(Tail, String)> {
        let core = &self.core;
        let rng = user_rng(core.program.plan.seed, self.group, number);
        let mut user = User::new(core, self.group, &self.names, self.on_error, rng, number + 1);
        if !next_rows(core, &self.rows, &mut user) || user.run(&self.ops).await != Flow::Go {
            return None;
        }
        let mut counter = core.counter.borrow_mut();
        let mut context = user.context(&mut counter);
        let mut lines = Vec::new();
        self.request.push_fields(&mut context, &mut lines);
        let mut tail = self.tail.clone();
        if let Some(from) = &self.from {
            let mut offset = Vec::new();
            render(from, &mut context, &mut offset);
            let offset = String::from_utf8_lossy(&offset).into_owned();
            tail.from = From::Offset(Template(vec![Piece::Text(offset)]));
        }
        Some((tail, String::from_utf8_lossy(&lines).into_owned()))
    }
}

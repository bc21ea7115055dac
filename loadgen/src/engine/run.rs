//! The run as a whole: its phases, decided on the caller's thread.

use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use super::assemble::{assemble, group_notes};
use super::clock::Clock;
use super::core::Part;
use super::machine::{cpu_ms, machine, peak_rss_bytes};
use super::options::{Cores, RunOptions};
use super::prepare;
use super::program::Program;
use super::readers::{check, tail_of};
use super::shared::Shared;
use super::show::Latest;
use super::thread::{self, Counts, Glance, Role, Spec};
use crate::live::Phase;
use crate::plan::limits::MAX_DURATION;
use crate::plan::{Group, Load, Plan};
use crate::result::{Gauge, Meta, Note, RunResult, notes, thresholds};
use crate::schedule;
use crate::{LoadError, net};

/// Time between the last reader's confirmation and the first operation.
const CALM_NS: u64 = 100_000_000;
const LOOK: Duration = Duration::from_millis(5);

/// Runs a plan to its end, or until it is stopped; a run that is stopped has a result too.
pub fn run(plan: &Plan, options: &RunOptions) -> Result<RunResult, LoadError> {
    plan.groups.iter().try_for_each(check)?;
    options.share.check().map_err(LoadError::Refused)?;
    let program = Arc::new(Program::new(plan)?);
    let worker = Part::of_share(options.share);
    let most_connections = most_connections(plan, worker);
    net::reserve_descriptors(most_connections)?;
    let clock = Clock::start();
    let cpu_before = cpu_ms();
    options.board.write(|progress| {
        progress.plan = plan.name.clone();
        progress.target = plan.target.clone();
        progress.readers_wanted = worker.share(readers(plan));
        progress.phase = Phase::SettingUp;
    });
    prepare::create(&program, clock, &options.stop)?;

    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let shared = Arc::new(Shared::new(
        clock,
        run_id(since_1970, worker),
        options.stop.clone(),
        (threads(plan, options, true), threads(plan, options, false)),
        plan.connect_rate,
        plan.groups.len() as u32,
    ));
    let (sender, glances) = channel();
    let specs = specs(&program, &shared, options, most_connections, &sender);
    let mut run = Run {
        options,
        shared: Arc::clone(&shared),
        program: Arc::clone(&program),
        glances,
        latest: Latest::default(),
        gauges: Vec::new(),
        next_gauge_ms: 0,
        measured_ns: None,
        stopped_ns: None,
        threads: specs.into_iter().map(thread::spawn).collect::<Result<_, _>>()?,
    };
    drop(sender);
    let setup_begin_ns = clock.now_ns();
    run.set_up()?;
    let setup_ms = (clock.now_ns() - setup_begin_ns) / 1_000_000;
    if let Some(barrier) = &options.barrier {
        barrier.wait();
    }
    let measured = run.load(plan);
    let interrupted = options.stop.is_stopped() | !run.drain(plan.drain);
    let gauges = std::mem::take(&mut run.gauges);
    let counts = run.finish()?;
    // Of several workers none knows when the others are done.
    let deleted = match worker.of {
        1 => prepare::delete(&program, clock, &options.stop),
        _ => Ok(true),
    };
    let meta = Meta {
        plan: plan.name.clone(),
        seed: plan.seed,
        target: plan.target.clone(),
        protocol: plan.transport.protocol(&plan.target),
        connections: counts.iter().map(|count| count.connections).sum(),
        server: counts
            .iter()
            .find_map(|count| count.server.clone().filter(|name| !name.is_empty())),
        started_unix_ms: clock.unix_ms(measured.0),
        duration_ms: measured.1.saturating_sub(measured.0) / 1_000_000,
        setup_ms,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        machine: machine(),
        peak_rss_bytes: peak_rss_bytes(),
        cpu_ms: cpu_ms() - cpu_before,
        interrupted,
        ceiling: options.ceiling,
        ..Meta::default()
    };
    options.board.write(|progress| progress.phase = Phase::Done);
    let group_notes = group_notes(plan, &counts);
    let mut result = assemble(&program, worker, counts, gauges, meta);
    result.verdicts = thresholds::evaluate(&thresholds::of(plan), &result);
    result.notes = notes::notes(&result);
    result.notes.extend(group_notes);
    match deleted {
        Ok(true) => {}
        Ok(false) => result.notes.push(streams_kept(
            false,
            "streams that the plan deletes may still be there: the run was stopped".to_owned(),
        )),
        Err(error) => result.notes.push(streams_kept(
            true,
            format!("streams that the plan deletes may still be there: {error}"),
        )),
    }
    if worker.of > 1 && plan.streams.iter().any(|set| set.delete) {
        let text = "streams that the plan deletes are still there: a worker of a distributed run \
                    does not know when the others are done";
        result.notes.push(streams_kept(false, text.to_owned()));
    }
    Ok(result)
}

fn streams_kept(warning: bool, text: String) -> Note {
    Note { warning, code: "streams-kept".to_owned(), text }
}

struct Run<'a> {
    options: &'a RunOptions,
    shared: Arc<Shared>,
    program: Arc<Program>,
    glances: Receiver<Glance>,
    latest: Latest,
    gauges: Vec<Gauge>,
    next_gauge_ms: u64,
    measured_ns: Option<u64>,
    /// When it was first seen that the run is stopped.
    stopped_ns: Option<u64>,
    threads: Vec<JoinHandle<Result<Counts, LoadError>>>,
}

impl Run<'_> {
    /// Waits until all readers are confirmed.
    fn set_up(&mut self) -> Result<(), LoadError> {
        let begin_ns = self.shared.clock.now_ns();
        while (self.shared.ready.load(Acquire) as usize) < self.threads.len() {
            if self.options.stop.is_stopped() || self.threads.iter().any(JoinHandle::is_finished) {
                self.shared.end();
                let threads = std::mem::take(&mut self.threads);
                return collect(threads).and(Err(LoadError::Plan("stopped during the set-up")));
            }
            self.look(Phase::SettingUp, begin_ns, None);
        }
        Ok(())
    }

    /// From the first operation to the last. Begin and end of the measured part.
    fn load(&mut self, plan: &Plan) -> (u64, u64) {
        let shared = Arc::clone(&self.shared);
        let start_ns = shared.clock.now_ns() + CALM_NS;
        let measured_ns = start_ns + schedule::nanos(plan.warm_up);
        let end_ns = start_ns.saturating_add(length_ns(plan));
        self.measured_ns = Some(measured_ns);
        shared.begin(start_ns);
        let idle = |now_ns: u64| now_ns > start_ns + CALM_NS && shared.busy.load(Relaxed) == 0;
        // Nobody wants to know when a group that lasts until its users are done ends at the latest.
        let forever_ns = start_ns + schedule::nanos(MAX_DURATION);
        let may_end_ns = start_ns.saturating_add(least_length_ns(plan));
        loop {
            let now_ns = shared.clock.now_ns();
            let over = now_ns >= end_ns || (now_ns >= may_end_ns && idle(now_ns));
            if shared.is_stopping() || over {
                break;
            }
            match now_ns < measured_ns {
                true => self.look(Phase::WarmUp, start_ns, Some(measured_ns - start_ns)),
                false => {
                    let length = (end_ns < forever_ns).then(|| end_ns - measured_ns);
                    self.look(Phase::Running, measured_ns, length);
                }
            }
        }
        let ended_ns = shared.clock.now_ns();
        shared.end_load();
        (measured_ns.min(ended_ns), ended_ns)
    }

    /// Answers and deliveries may still arrive. Whether all that was to be waited for was: a run
    /// that is stopped waits no longer than [`prepare::GIVE_UP`].
    fn drain(&mut self, drain: Duration) -> bool {
        let begin_ns = self.shared.clock.now_ns();
        let length_ns = schedule::nanos(drain);
        let shared = Arc::clone(&self.shared);
        while (shared.handed_in.load(Acquire) as usize) < self.threads.len() && !self.gives_up() {
            self.look(Phase::Draining, begin_ns, Some(length_ns));
        }
        shared.settle();
        let late = || shared.clock.now_ns() >= begin_ns.saturating_add(length_ns);
        while shared.waiting.load(Relaxed) > 0 && !late() && !self.gives_up() {
            self.look(Phase::Draining, begin_ns, Some(length_ns));
        }
        let whole = !self.gives_up() || shared.waiting.load(Relaxed) == 0;
        self.shared.end();
        whole
    }

    /// Whether it was stopped so long ago that nothing is waited for any more.
    fn gives_up(&mut self) -> bool {
        let now_ns = self.shared.clock.now_ns();
        let is_stopped = self.options.stop.is_stopped();
        is_stopped
            && now_ns >= *self.stopped_ns.get_or_insert(now_ns) + schedule::nanos(prepare::GIVE_UP)
    }

    fn finish(self) -> Result<Vec<Counts>, LoadError> {
        collect(self.threads)
    }

    /// Waits a little, and shows what there is to see.
    fn look(&mut self, phase: Phase, begin_ns: u64, length_ns: Option<u64>) {
        std::thread::sleep(LOOK);
        let shared = &self.shared;
        let now_ns = shared.clock.now_ns();
        let gauge = Gauge {
            at_ms: now_ns.saturating_sub(self.measured_ns.unwrap_or(now_ns)) / 1_000_000,
            users: shared.users.load(Relaxed),
            readers: shared.readers.load(Relaxed),
            in_flight: shared.in_flight.load(Relaxed),
        };
        if phase == Phase::Running && gauge.at_ms >= self.next_gauge_ms {
            self.next_gauge_ms = gauge.at_ms + 1000;
            self.gauges.push(gauge);
        }
        self.options.board.write(|progress| {
            progress.phase = phase;
            progress.elapsed_ms = now_ns.saturating_sub(begin_ns) / 1_000_000;
            progress.phase_ms = length_ns.map(|length| length / 1_000_000);
            (progress.users, progress.readers) = (gauge.users, gauge.readers);
            progress.in_flight = gauge.in_flight;
            progress.delivered = shared.delivered.load(Relaxed);
        });
        self.latest.show(self.glances.try_iter(), &self.program, &self.options.board);
    }
}

/// On which processor each core's threads run, if that is fixed.
fn cpus(options: &RunOptions) -> Vec<Option<usize>> {
    match &options.cores {
        Cores::Count(count) => vec![None; (*count).max(1)],
        Cores::Pinned(cpus) => cpus.iter().copied().map(Some).collect(),
    }
}

/// Threads that have live readers, or those that have not.
fn threads(plan: &Plan, options: &RunOptions, readers: bool) -> u32 {
    match plan.groups.iter().any(|group| tail_of(group).is_some() == readers) {
        true => cpus(options).len() as u32,
        false => 0,
    }
}

/// One thread per core, or two where there are live readers: deliveries and sends do not wait for
/// each other.
fn specs(
    program: &Arc<Program>,
    shared: &Arc<Shared>,
    options: &RunOptions,
    most_connections: usize,
    glance: &Sender<Glance>,
) -> Vec<Spec> {
    let cpus = cpus(options);
    let groups = &program.plan.groups;
    let mut roles = Vec::new();
    if groups.iter().any(|group| tail_of(group).is_some()) {
        roles.push(Role::Readers);
    }
    if groups.iter().any(|group| tail_of(group).is_none()) {
        roles.push(Role::Requests);
    }
    let worker = Part::of_share(options.share);
    let mut specs = Vec::new();
    for role in roles {
        let name = match role {
            Role::Readers => "readers",
            Role::Requests => "requests",
        };
        specs.extend(cpus.iter().enumerate().map(|(index, cpu)| Spec {
            name: format!("{index} {name}"),
            role,
            part: Part { index: index as u32, of: cpus.len() as u32 },
            worker,
            jtl: options.jtl.clone().map(|sink| (sink, options.jtl_deliveries)),
            cpu: *cpu,
            most_connections,
            program: Arc::clone(program),
            shared: Arc::clone(shared),
            glance: glance.clone(),
        }));
    }
    specs
}

/// Tells the messages of this run, and of this worker, from all others.
fn run_id(since_1970: Duration, worker: Part) -> u64 {
    let nanos = since_1970.as_nanos() as u64;
    let workers = u64::from(worker.of.next_power_of_two());
    nanos - nanos % workers + u64::from(worker.index)
}

/// Connections that a worker's part of a plan may have at the same time.
fn most_connections(plan: &Plan, worker: Part) -> usize {
    let of_group = |group: &Group| match &group.load {
        Load::Open { max_in_flight, .. } => u64::from((*max_in_flight).min(OPEN_CONNECTIONS)),
        Load::Closed { stages, .. } => {
            let users = u64::from(schedule::most_users(stages));
            if tail_of(group).is_some() { plan.transport.connections(users) } else { users }
        }
    };
    let connections = plan.groups.iter().map(|group| worker.share(of_group(group)));
    connections.sum::<u64>() as usize
}

/// What an open group is expected to need; more are made if it does.
const OPEN_CONNECTIONS: u32 = 256;

fn readers(plan: &Plan) -> u64 {
    let tails = plan.groups.iter().filter(|group| tail_of(group).is_some());
    let users = tails.map(|group| match &group.load {
        Load::Closed { stages, .. } => u64::from(schedule::most_users(stages)),
        Load::Open { .. } => 0,
    });
    users.sum()
}

/// From the begin of the load to the end of the last group.
fn length_ns(plan: &Plan) -> u64 {
    plan.groups.iter().map(end_ns).max().unwrap_or(0)
}

/// The same, but no longer than it has to be: a rate lasts until the end of its last stage, users
/// may be done before.
fn least_length_ns(plan: &Plan) -> u64 {
    let only_readers = plan.groups.iter().all(|group| tail_of(group).is_some());
    let open = |group: &Group| matches!(group.load, Load::Open { .. });
    if !only_readers && !plan.groups.iter().any(open) {
        return 0;
    }
    // Groups that last until their users are done have an end that is never reached.
    let timed = |group: &&Group| match &group.load {
        Load::Closed { stages, iterations: Some(_) } => {
            schedule::users_duration_ns(stages) < schedule::nanos(MAX_DURATION)
        }
        _ => true,
    };
    plan.groups.iter().filter(timed).map(end_ns).max().unwrap_or(0)
}

/// When a group ends, from the begin of the load.
fn end_ns(group: &Group) -> u64 {
    let length = match &group.load {
        Load::Open { stages, .. } => schedule::duration_ns(stages),
        Load::Closed { stages, iterations } => match schedule::users_duration_ns(stages) {
            0 if iterations.is_some() => u64::MAX,
            length => length,
        },
    };
    length.saturating_add(schedule::nanos(group.delay))
}

/// What all threads counted, or the first error of one. A panic is such an error where a build
/// unwinds; a release build has ended before.
fn collect(threads: Vec<JoinHandle<Result<Counts, LoadError>>>) -> Result<Vec<Counts>, LoadError> {
    let ended: Vec<_> = threads.into_iter().map(JoinHandle::join).collect();
    let panicked = || LoadError::Plan("a thread of the generator failed");
    ended.into_iter().map(|ended| ended.unwrap_or_else(|_| Err(panicked()))).collect()
}

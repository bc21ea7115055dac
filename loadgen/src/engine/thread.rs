//! One thread of the generator, from its first connection to its last count.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, Release};
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::thread::{CpuSet, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

use super::clock::Turn;
use super::core::{Book, Core, GroupCount, Part, ReaderEnd};
use super::ending::Ending;
use super::groups::start_load;
use super::http2::Trunks;
use super::options::JtlDeliveries;
use super::program::Program;
use super::readers::start_readers;
use super::recorder::Recorder;
use super::sample_log::SampleLog;
use super::shared::Shared;
use crate::output::jtl::JtlSink;
use crate::result::Times;
use crate::user::Counter;
use crate::{LoadError, net};

/// What a thread does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Role {
    /// Live readers.
    Readers,
    /// Everything else.
    Requests,
}

/// How to start a thread.
#[derive(Clone)]
pub(crate) struct Spec {
    pub(crate) name: String,
    pub(crate) role: Role,
    /// Which thread of its role.
    pub(crate) part: Part,
    pub(crate) worker: Part,
    pub(crate) cpu: Option<usize>,
    pub(crate) most_connections: usize,
    pub(crate) program: Arc<Program>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) glance: Sender<Glance>,
    pub(crate) jtl: Option<(JtlSink, JtlDeliveries)>,
}

/// What a thread shows four times a second.
pub(crate) struct Glance {
    pub(crate) name: String,
    pub(crate) labels: Vec<LabelGlance>,
    pub(crate) lateness_p99: u64,
    pub(crate) faults: u64,
    pub(crate) errors: Vec<crate::result::ErrorCount>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct LabelGlance {
    pub(crate) total: u64,
    pub(crate) failed: u64,
    pub(crate) last_total: u64,
    pub(crate) last: Times,
    pub(crate) all: Times,
}

/// What a thread counted.
pub(crate) struct Counts {
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) recorder: Recorder,
    pub(crate) published: Book,
    pub(crate) readers: Vec<ReaderEnd>,
    pub(crate) setup: HashMap<usize, Times>,
    pub(crate) groups: Vec<GroupCount>,
    /// That it made for the load.
    pub(crate) connections: u64,
    pub(crate) server: Option<String>,
    pub(crate) cpu_ms: u64,
    pub(crate) wall_ms: u64,
}

/// Time between two looks at what others decide.
const LOOK: Duration = Duration::from_millis(2);
const GLANCE_EVERY_NS: u64 = 250_000_000;
/// How long tasks may take to notice the end.
const LEAVE_NS: u64 = 10_000_000_000;
/// The same when the run is stopped during the set-up.
const LEAVE_EARLY_NS: u64 = 200_000_000;

/// Starts a thread that runs to the end of the run. It has a name, for `top -H` and the like.
pub(crate) fn spawn(spec: Spec) -> Result<JoinHandle<Result<Counts, LoadError>>, LoadError> {
    let thread = std::thread::Builder::new().name(format!("load {}", spec.name));
    thread.spawn(move || run(spec)).map_err(LoadError::Runtime)
}

/// Runs a thread to the end of the run.
fn run(spec: Spec) -> Result<Counts, LoadError> {
    spec.cpu.map_or(Ok(()), pin)?;
    net::block_on(run_here(spec))?
}

/// Keeps this thread on a processor.
fn pin(cpu: usize) -> Result<(), LoadError> {
    let refused = |reason: &str| LoadError::Refused(format!("processor {cpu}: {reason}"));
    if cpu >= CpuSet::MAX_CPU {
        return Err(refused("there is none with this number"));
    }
    let mut set = CpuSet::new();
    set.set(cpu);
    sched_setaffinity(None, &set)
        .map_err(|_| refused("this process may not use it, or there is none with this number"))
}

async fn run_here(spec: Spec) -> Result<Counts, LoadError> {
    let shared = Arc::clone(&spec.shared);
    let core = Rc::new(core(&spec));
    let groups = 0..spec.program.plan.groups.len() as u32;
    if spec.role != Role::Requests {
        let ready = Rc::new(Cell::new(0));
        let started: u32 = groups.clone().map(|group| start_readers(&core, group, &ready)).sum();
        while ready.get() < started && !shared.is_over() {
            monoio::time::sleep(LOOK).await;
        }
    }
    shared.ready.fetch_add(1, Release);
    let start_ns = loop {
        match shared.start_ns() {
            Some(start_ns) => break start_ns,
            None if shared.is_over() => break shared.clock.now_ns(),
            None => monoio::time::sleep(LOOK).await,
        }
    };
    let measured_ns = start_ns + spec.program.plan.warm_up.as_nanos() as u64;
    core.recorder.borrow_mut().begin(measured_ns);
    if spec.role != Role::Readers && !shared.is_over() {
        groups.for_each(|group| start_load(&core, group, start_ns));
    }
    let cpu = follow(&core, &spec, measured_ns).await;
    leave(&core).await;
    ended(&core, spec, cpu)
}

/// What was counted, or why there was nothing to count.
fn ended(core: &Core, spec: Spec, cpu: (u64, u64)) -> Result<Counts, LoadError> {
    match core.failed.take() {
        Some(error) => Err(LoadError::Runtime(error)),
        None => Ok(counts(core, spec, cpu)),
    }
}

fn core(spec: &Spec) -> Core {
    let labels = spec.program.labels.iter();
    let labels = labels.map(|label| (label.name.clone(), label.deliveries)).collect();
    let part = spec.part.within(spec.worker);
    let log = spec.jtl.clone().map(|(sink, deliveries)| SampleLog::new(sink, deliveries));
    Core {
        thread: spec.part,
        part,
        worker: spec.worker,
        program: Arc::clone(&spec.program),
        shared: Arc::clone(&spec.shared),
        turn: Turn::default(),
        recorder: RefCell::new(Recorder::new(labels)),
        log: log.map(RefCell::new),
        published: RefCell::default(),
        numbers: RefCell::default(),
        following: RefCell::default(),
        next_reader: Cell::new(0),
        readers: RefCell::default(),
        setup: RefCell::default(),
        ending: Ending::default(),
        scratch: RefCell::default(),
        trunks: Trunks::default(),
        counter: RefCell::new(Counter::new(u64::from(part.index) + 1, u64::from(part.of))),
        groups: RefCell::new(vec![GroupCount::default(); spec.program.plan.groups.len()]),
        tasks: Cell::new(0),
        connections: Cell::new(0),
        most_connections: spec.most_connections,
        server: RefCell::new(None),
        failed: RefCell::new(None),
    }
}

/// Looks after the counts until the run is over. The CPU and wall time of the measured part.
async fn follow(core: &Rc<Core>, spec: &Spec, measured_ns: u64) -> (u64, u64) {
    let shared = &core.shared;
    let (mut begin, mut busy) = (None, spec.role != Role::Readers);
    let mut end = None;
    let mut handed_in = false;
    let mut waits = spec.role != Role::Requests;
    let mut next_glance_ns = 0;
    while !shared.is_over() {
        monoio::time::sleep(LOOK).await;
        let now_ns = shared.clock.now_ns();
        if begin.is_none() && now_ns >= measured_ns {
            begin = Some((cpu_ms(), now_ns));
        }
        if busy && core.tasks.get() == 0 {
            busy = false;
            shared.busy.fetch_sub(1, Relaxed);
        }
        if !handed_in && !busy && shared.is_stopping() {
            handed_in = true;
            shared.hand_in(core.published.borrow().clone());
        }
        if waits
            && let Some(ledger) = shared.ledger.get()
            && core.are_readers_whole(ledger)
        {
            waits = false;
            shared.waiting.fetch_sub(1, Relaxed);
        }
        if end.is_none() && shared.is_stopping() {
            end = Some((cpu_ms(), now_ns));
        }
        if now_ns >= next_glance_ns {
            next_glance_ns = now_ns + GLANCE_EVERY_NS;
            core.recorder.borrow_mut().roll(now_ns);
            core.flush_log();
            // Nobody looks at it any more when the run is being put together.
            let _ = spec.glance.send(glance(core, &spec.name));
        }
    }
    if busy {
        shared.busy.fetch_sub(1, Relaxed);
    }
    let end = end.unwrap_or_else(|| (cpu_ms(), shared.clock.now_ns()));
    let begin = begin.unwrap_or(end);
    (end.0.saturating_sub(begin.0), end.1.saturating_sub(begin.1) / 1_000_000)
}

fn glance(core: &Core, name: &str) -> Glance {
    let recorder = core.recorder.borrow();
    let labels = recorder.labels.iter().map(|label| LabelGlance {
        total: label.succeeded + label.failed,
        failed: label.failed,
        last_total: label.last.succeeded + label.last.failed,
        last: label.last.times.clone(),
        all: label.times.clone(),
    });
    let faults =
        recorder.labels.iter().map(|label| label.duplicated + label.reordered + label.damaged);
    Glance {
        name: name.to_owned(),
        labels: labels.collect(),
        lateness_p99: recorder.recent_lateness.percentile(99.0),
        faults: faults.sum(),
        errors: recorder.errors.values().cloned().collect(),
    }
}

/// Ends what still runs.
async fn leave(core: &Rc<Core>) {
    core.ending.end();
    core.trunks.end();
    // Before the load there is nothing to count.
    let patience_ns = if core.shared.start_ns().is_none() { LEAVE_EARLY_NS } else { LEAVE_NS };
    let deadline_ns = core.shared.clock.now_ns() + patience_ns;
    while core.tasks.get() > 0 && core.shared.clock.now_ns() < deadline_ns {
        monoio::time::sleep(LOOK).await;
        core.trunks.end();
    }
}

fn counts(core: &Core, spec: Spec, (cpu_ms, wall_ms): (u64, u64)) -> Counts {
    let mut recorder = core.recorder.replace(Recorder::new(Vec::new()));
    recorder.close_second();
    core.flush_log();
    let (readers, setup) = (core.readers.take(), core.setup.take());
    for (label, confirmed) in &setup {
        // What a reader that did not end in time got is not known: the run must not pass.
        let ended = readers.iter().filter(|end| end.label == *label).count() as u64;
        recorder.labels[*label].failed_readers += confirmed.count().saturating_sub(ended);
    }
    Counts {
        name: spec.name,
        role: spec.role,
        recorder,
        published: core.published.take(),
        readers,
        setup,
        groups: core.groups.take(),
        connections: core.connections.get() as u64,
        server: core.server.take(),
        cpu_ms,
        wall_ms,
    }
}

fn cpu_ms() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1000 + time.tv_nsec as u64 / 1_000_000
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::mpsc::channel;

    use super::*;
    use crate::engine::clock::Clock;
    use crate::engine::options::Stop;
    use crate::plan::{PlanFormat, PlanSource};

    #[test]
    fn a_thread_that_makes_no_load_fails_the_run() {
        let text = "target = \"http://127.0.0.1:1/s\"\n[[streams]]\nname = \"x\"\n[[groups]]\n\
                    rate = 1\nduration = \"1s\"\nsteps = [{ append = {} }]";
        let source = PlanSource {
            file: "plan.toml".into(),
            format: PlanFormat::Toml,
            text: text.to_owned(),
            properties: Default::default(),
            data: Default::default(),
            skip_unknown: false,
        };
        let program = Program::new(&source.resolve().unwrap().plan).unwrap();
        let stop = Stop::default();
        let shared = Arc::new(Shared::new(Clock::start(), 1, stop.clone(), (0, 1), 1.0, 0));
        let part = Part { index: 0, of: 1 };
        let spec = Spec {
            name: "0 requests".to_owned(),
            role: Role::Requests,
            part,
            worker: part,
            cpu: None,
            most_connections: 1,
            program: Arc::new(program),
            shared: Arc::clone(&shared),
            glance: channel().0,
            jtl: None,
        };
        let core = core(&spec);
        core.fail(io::Error::other("no more descriptors"));
        assert!(shared.is_stopping() && !stop.is_stopped());
        let error = ended(&core, spec, (0, 0)).err().unwrap();
        assert!(error.to_string().contains("no more descriptors"), "{error}");
    }

    #[test]
    fn processors_that_are_not_there_are_refused() {
        for cpu in [CpuSet::MAX_CPU - 1, CpuSet::MAX_CPU, 99_999, usize::MAX] {
            let error = pin(cpu).expect_err("no such processor").to_string();
            assert!(error.starts_with(&format!("processor {cpu}: ")), "{error}");
        }
    }
}

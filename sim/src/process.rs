//! One life of the server: the real cores over the simulated disk, from recovery to a crash.
//!
//! Invariant: whatever way it ends, nothing of it runs or reaches the disk afterwards.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use thalweg::compactor::{Compactor, Desk as SealDesk};
use thalweg::config::Config;
use thalweg::core::Core;
use thalweg::helper::{Desk, Helper};
use thalweg::mailbox::message::{Message, Note};
use thalweg::mailbox::{Post, mailboxes};
use thalweg::rt::simulated::{Inside, Waiting, World, WorldFile, enter};
use thalweg::rt::{Driver, Opening};
use thalweg::serve::StartError;
use thalweg::serve::open::{Summary, open};
use thalweg::serve::start::{Running, Start, drain};
use thalweg::shared::Shared;
use thalweg::subscriptions::Control;
use thalweg_proto::time::Timestamp;
use thalweg_storage::Disk;

use crate::disk::{Handle, Life, RingAccess, SimDisk};
use crate::executor::{Executor, Sleep};
use crate::lockstep::words_of;
use crate::random::Random;
use crate::time::Time;
use crate::worker::Worker;

/// How a process ended by itself.
#[derive(Debug)]
pub(crate) enum Death {
    /// It stopped because of what the disk said.
    Fatal,
    /// It panicked.
    Panicked(String),
}

/// Why a process did not come up.
#[derive(Debug)]
pub(crate) enum NoStart {
    /// It was killed in the middle of recovery.
    Killed,
    /// It refused, and said why.
    Refused(Box<StartError>),
    /// It died.
    Died(Death),
}

/// What a process starts from.
pub(crate) struct Ground {
    pub(crate) disk: SimDisk,
    pub(crate) time: Rc<Time>,
    pub(crate) config: Arc<Config>,
    pub(crate) control: Control,
    pub(crate) any_order: bool,
    pub(crate) slow: bool,
    /// Decides how long the disk takes.
    pub(crate) delays: Rc<RefCell<Random>>,
    /// Operations on the disk after which recovery is killed.
    pub(crate) limit: Option<u64>,
}

/// Who does blocking work for a process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Hand {
    /// Segments and checkpoints.
    Helper,
    /// Sealing.
    Compactor,
}

struct Hands {
    helper: Worker<Desk>,
    compactor: Worker<SealDesk>,
}

/// See the module.
pub(crate) struct Process {
    pub(crate) executor: Rc<Executor>,
    pub(crate) cores: Vec<Rc<Core>>,
    pub(crate) summary: Summary,
    drained: Rc<Cell<usize>>,
    life: Arc<Life>,
    post: Post,
    hands: Option<Hands>,
    _inside: Inside,
}

/// What unwinds a task whose process must not go on.
struct Fatal;

struct ProcessWorld {
    time: Rc<Time>,
    executor: Rc<Executor>,
    ring: RingAccess,
}

impl World for ProcessWorld {
    fn instant(&self) -> Instant {
        self.time.instant()
    }

    fn wall(&self) -> Timestamp {
        self.time.wall()
    }

    fn spawn(&self, task: Waiting<()>) {
        self.executor.spawn(task);
    }

    fn sleep(&self, duration: std::time::Duration) -> Waiting<()> {
        Box::pin(Sleep::new(&self.executor, duration))
    }

    fn open(&self, path: &Path, opening: Opening) -> std::io::Result<Box<dyn WorldFile>> {
        self.ring.open(path, opening)
    }

    fn fatal(&self) -> ! {
        resume_unwind(Box::new(Fatal))
    }
}

/// Runs code of the server that may end its process.
fn guarded<T>(run: impl FnOnce() -> T) -> Result<T, Death> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| match panic.is::<Fatal>() {
        true => Death::Fatal,
        false => Death::Panicked(words_of(&*panic)),
    })
}

impl Process {
    /// Recovers and starts all cores.
    pub(crate) fn start(ground: &Ground, random: &mut Random) -> Result<Process, NoStart> {
        let executor = Rc::new(Executor::new(Rc::clone(&ground.time), ground.any_order));
        let life = Life::new();
        if let Some(limit) = ground.limit {
            life.limit(limit);
        }
        let ring = RingAccess {
            disk: ground.disk.clone(),
            life: Arc::clone(&life),
            executor: Rc::clone(&executor),
            random: Rc::clone(&ground.delays),
            slow: ground.slow,
        };
        let (time, on) = (Rc::clone(&ground.time), Rc::clone(&executor));
        let inside = enter(Rc::new(ProcessWorld { time, executor: on, ring }));
        let started = guarded(|| Process::assemble(ground, &executor, &life, inside, random));
        let result = match started {
            Ok(Ok(process)) => {
                life.limit(u64::MAX);
                return Ok(process);
            }
            _ if life.is_over() => Err(NoStart::Killed),
            Ok(Err(error)) => Err(NoStart::Refused(Box::new(error))),
            Err(death) => Err(NoStart::Died(death)),
        };
        life.end();
        executor.clear();
        result
    }

    fn assemble(
        ground: &Ground,
        executor: &Rc<Executor>,
        life: &Arc<Life>,
        inside: Inside,
        random: &mut Random,
    ) -> Result<Process, StartError> {
        let config = &ground.config;
        let disk: Arc<dyn Disk> = Arc::new(Handle::new(ground.disk.clone(), Arc::clone(life)));
        let opened = open(config, &disk)?;
        let cores = config.cores.len();
        let (post, inboxes) = mailboxes(cores).map_err(StartError::Mailbox)?;
        let (helper, inbox) = Helper::new(&config.data_dir);
        let (compactor, tasks) = Compactor::new();
        let sealing = SealDesk::new(Arc::clone(&disk), &config.data_dir, cores);
        let desk = Desk::new(disk, &config.data_dir, opened.layout);
        let shared = Shared::new(config.durability, cores);
        let running = Rc::new(Running::new(cores));
        let drained = Rc::new(Cell::new(0));
        let mut subscriptions = Some(opened.subscriptions);
        let mut started = Vec::with_capacity(cores);
        for (inbox, shard) in inboxes.into_iter().zip(opened.shards) {
            let id = started.len();
            executor.set_core(id);
            let core = Start {
                core: id,
                config: Arc::clone(config),
                driver: Driver::Simulated,
                post: post.clone(),
                inbox,
                shard,
                subscriptions: subscriptions.take(),
                control: ground.control.clone(),
                helper: helper.clone(),
                compactor: compactor.clone(),
                shared: shared.clone(),
                seed: random.next(),
            };
            let core = core.start()?;
            let (draining, running, drained) =
                (Rc::clone(&core), Rc::clone(&running), Rc::clone(&drained));
            executor.spawn(Box::pin(async move {
                drain(&draining, &running).await;
                drained.set(drained.get() + 1);
            }));
            started.push(core);
        }
        let hands = Hands {
            helper: Worker::new("simulated-helper", desk, inbox, post.clone())
                .map_err(StartError::Thread)?,
            compactor: Worker::new("simulated-compactor", sealing, tasks, post.clone())
                .map_err(StartError::Thread)?,
        };
        Ok(Process {
            executor: Rc::clone(executor),
            cores: started,
            summary: opened.summary,
            drained,
            life: Arc::clone(life),
            post,
            hands: Some(hands),
            _inside: inside,
        })
    }

    /// Polls one task. Returns which, and its core.
    pub(crate) fn poll_one(&self, random: &mut Random) -> Result<Option<(u64, usize)>, Death> {
        guarded(|| self.executor.poll_one(random))
    }

    /// Runs code on a core, outside of its tasks, as its connections would.
    pub(crate) fn on_core<T>(
        &self,
        core: usize,
        run: impl FnOnce(&Rc<Core>) -> T,
    ) -> Result<T, Death> {
        self.executor.set_core(core);
        guarded(|| run(&self.cores[core]))
    }

    /// Gives those who have none their next work. Returns who stands at a gate now.
    pub(crate) fn begin_work(&mut self) -> Result<Vec<Hand>, Death> {
        let mut at_gate = Vec::new();
        if let Some(Hands { helper, compactor }) = &mut self.hands {
            at_gate.extend(helper.begin()?.then_some(Hand::Helper));
            at_gate.extend(compactor.begin()?.then_some(Hand::Compactor));
        }
        Ok(at_gate)
    }

    /// Lets one of them do the operation that it waits for. True if it stands at a gate again.
    pub(crate) fn go_on_working(&mut self, hand: Hand) -> Result<bool, Death> {
        match (hand, &mut self.hands) {
            (_, None) => Ok(false),
            (Hand::Helper, Some(hands)) => hands.helper.go_on(),
            (Hand::Compactor, Some(hands)) => hands.compactor.go_on(),
        }
    }

    /// SIGTERM.
    pub(crate) fn terminate(&self) {
        for core in 0..self.cores.len() {
            self.post.send_from_outside(core, Message::Tell(Note::Drain));
        }
    }

    /// Whether it has stopped as it was told to.
    pub(crate) fn has_stopped(&self) -> bool {
        self.drained.get() == self.cores.len()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.life.end();
        self.hands = None;
        // What goes away may panic or want to stop the process: it is gone already.
        let _ = guarded(|| {
            self.executor.clear();
            self.cores.clear();
        });
        self.executor.clear();
    }
}

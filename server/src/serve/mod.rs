//! `thalweg serve`: from a configuration to running cores, and back down.

mod banner;
mod core_thread;
mod error;
mod notify;
mod open;
mod reload;
mod signals;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;

pub use error::StartError;

use crate::access_log::{self, AccessLog};
use crate::admin::{self, Subject};
use crate::config::{Config, IoDriver, ServeArgs};
use crate::health::{Health, Phase};
use crate::helper::Helper;
use crate::logging;
use crate::mailbox::message::{Message, Note};
use crate::mailbox::{Post, mailboxes};
use crate::rt::{self, Driver};
use core_thread::CoreThread;
use notify::Manager;
use open::Summary;
use reload::Reload;
use signals::{Event, Signals};

/// Runs a server until it is told to stop by SIGTERM or SIGINT. The configuration came out of
/// `args`, and is read from there again at SIGHUP.
pub fn run(config: Config, args: ServeArgs) -> Result<(), StartError> {
    open::raise_descriptor_limit();
    let mut reload = Reload::new(args, config.clone());
    let signals = Signals::catch();
    let driver = choose_driver(config.io)?;
    let config = Arc::new(open::resolve_addresses(config)?);
    let cores = config.cores.len();
    let health = Arc::new(Health::new(config.durability, cores));
    health.runs_on(driver);
    let access_log = AccessLog::default();
    let subject = Subject::new(Arc::clone(&health), access_log.clone(), cores);
    let admin = admin::start(&config, &subject)?;
    let opened = open::open(&config)?;
    let (post, inboxes) = mailboxes(cores).map_err(StartError::Mailbox)?;
    let helper = Helper::start(&config.data_dir, opened.layout.clone(), post.clone())
        .map_err(StartError::Thread)?;
    let access = access_log::Writer::start(&access_log, &config.log.access)
        .map_err(|source| StartError::AccessLog { target: config.log.access.clone(), source })?;
    let (ready, readiness) = mpsc::channel();
    let running = Arc::new(core_thread::Running::new(cores));
    let control = crate::subscriptions::Control::start(&config, &post)?;
    let mut threads = Vec::with_capacity(cores);
    let mut subscriptions = Some(opened.subscriptions);
    let mut seeds = opened.seeds.into_iter();
    for (inbox, shard) in inboxes.into_iter().zip(opened.shards) {
        let core = threads.len();
        let thread = CoreThread {
            core,
            config: Arc::clone(&config),
            driver,
            post: post.clone(),
            inbox,
            shard,
            subscriptions: subscriptions.take(),
            control: control.clone(),
            helper: helper.clone(),
            running: Arc::clone(&running),
            health: Arc::clone(&health),
            access_log: access_log.clone(),
            seed: seeds.next().unwrap_or_default(),
        };
        threads.push(thread.spawn(ready.clone())?);
    }
    drop(ready);
    for _ in 0..cores {
        readiness.recv().map_err(|_| StartError::CoreEnded)??;
    }
    let Summary { streams, records, took, .. } = opened.summary;
    subject.runs(admin::Running { post: post.clone(), streams, records, recovery: took });
    health.enter(Phase::Serving);
    banner::print(&config, driver, &opened.summary, admin);
    let manager = Manager::find();
    manager.ready("serving");
    manager.start_watchdog(&post);
    let access = Rc::new(RefCell::new(access));
    register(&mut reload, &post, &access);
    while signals.next() == Event::Reload {
        manager.reloading();
        reload.run();
        manager.ready("serving");
    }
    health.enter(Phase::Draining);
    manager.stopping();
    stop(&post, threads);
    access.borrow_mut().stop();
    drop(opened.lock);
    Ok(())
}

/// What can change while the server runs.
fn register(reload: &mut Reload, post: &Post, access: &Rc<RefCell<access_log::Writer>>) {
    reload.hook("the log level", Box::new(|config| logging::set_level(&config.log)));
    let access = Rc::clone(access);
    let reopen = move |config: &Arc<Config>| {
        access.borrow_mut().change(&config.log.access).map_err(|error| error.to_string())
    };
    // Before the cores are told: whoever is to write has somebody to write to.
    reload.hook("the access log", Box::new(reopen));
    let post = post.clone();
    let tell = move |config: &Arc<Config>| {
        for core in 0..post.cores() {
            post.send_from_outside(core, Message::Tell(Note::Settings(Arc::clone(config))));
        }
        Ok(())
    };
    reload.hook("limits and live reads", Box::new(tell));
}

/// Finishes what is under way, then ends.
fn stop(post: &Post, threads: Vec<JoinHandle<()>>) {
    tracing::info!("stopping: finishing what is under way");
    for core in 0..post.cores() {
        post.send_from_outside(core, Message::Tell(Note::Drain));
    }
    for thread in threads {
        if thread.join().is_err() {
            tracing::error!("a core ended by a panic");
        }
    }
    tracing::info!("stopped");
}

fn choose_driver(wanted: IoDriver) -> Result<Driver, StartError> {
    match wanted {
        IoDriver::Epoll => Ok(Driver::Epoll),
        IoDriver::IoUring => {
            rt::probe_io_uring().map(|()| Driver::IoUring).map_err(StartError::IoUring)
        }
        IoDriver::Auto => Ok(match rt::probe_io_uring() {
            Ok(()) => Driver::IoUring,
            Err(error) => {
                let advice = StartError::IoUring(error);
                tracing::warn!("falling back to epoll: {advice}");
                Driver::Epoll
            }
        }),
    }
}

//! `thalweg serve`: from a configuration to running cores, and back down.

pub(crate) mod backups;
mod banner;
mod core_thread;
mod error;
mod notify;
pub mod open;
mod operator;
mod reload;
mod signals;
pub mod start;

use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;

pub use error::StartError;

use rand::Rng;
use thalweg_storage::{Disk, RealDisk};

use crate::auth;
use crate::compactor::{Compactor, Desk as SealDesk};
use crate::config::{Config, IoDriver, ServeArgs, TelemetryConfig};
use crate::helper::{Desk, Helper};
use crate::mailbox::message::{Message, Note};
use crate::mailbox::{Post, mailboxes};
use crate::rt::{self, Driver};
use crate::shared::Shared;
use crate::subscriptions::Control;
use crate::telemetry::Spans;
use crate::tls::Keeper;
use core_thread::CoreThread;
use operator::Operator;
use start::{Running, Start};

/// Runs a server until it is told to stop by SIGTERM or SIGINT. The configuration came out of
/// `args`, and is read from there again at SIGHUP.
pub fn run(config: Config, args: ServeArgs) -> Result<(), StartError> {
    open::raise_descriptor_limit();
    let driver = choose_driver(config.io)?;
    let tls = config.tls.as_ref().map(Keeper::start).transpose()?;
    let mut shared = Shared::new(config.durability, config.cores.len());
    let (keeper, authority) = auth::Keeper::start(&config.auth).map_err(StartError::Auth)?;
    shared.authority = authority;
    shared.tls.clone_from(&tls);
    let spans = config.telemetry.as_ref().and_then(TelemetryConfig::spans);
    shared.telemetry.spans = spans.map(|_| Spans::default());
    let mut operator = Operator::start(&config, args, driver, &shared)?;
    if let Some(certificates) = tls.clone() {
        let reload = move |_: &Arc<Config>| {
            certificates.reload();
            Ok(())
        };
        operator.reload.hook("certificates", Box::new(reload));
    }
    let config = Arc::new(open::resolve_addresses(config)?);
    let cores = config.cores.len();
    let lock = open::lock(&config)?;
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let mut opened = open::open(&config, &disk)?;
    // Before anybody is served: what there is counts.
    let limiting = shared.limiting.update(&config);
    for shard in &mut opened.shards {
        shard.count_quotas(Arc::clone(&limiting.quotas));
    }
    let (post, inboxes) = mailboxes(cores).map_err(StartError::Mailbox)?;
    let compactor = match &opened.layout {
        Some(layout) => {
            let desk = SealDesk::new(Arc::clone(&disk), &config.data_dir, cores);
            let desk = desk.with_hold(layout.file_hold());
            let rate = config.storage.compaction_bytes_per_second;
            Compactor::start(desk, rate, post.clone()).map_err(StartError::Thread)?
        }
        None => Compactor::new().0,
    };
    let desk = Desk::new(disk, &config.data_dir, opened.layout.clone());
    let helper = Helper::start(&config.data_dir, desk, post.clone()).map_err(StartError::Thread)?;
    let (ready, readiness) = mpsc::channel();
    let running = Arc::new(Running::new(cores));
    let control = Control::start(&config, &post)?;
    let mut threads = Vec::with_capacity(cores);
    let mut subscriptions = Some(opened.subscriptions);
    let mut random = rand::rng();
    for (inbox, shard) in inboxes.into_iter().zip(opened.shards) {
        let start = Start {
            core: threads.len(),
            config: Arc::clone(&config),
            driver,
            post: post.clone(),
            inbox,
            shard,
            subscriptions: subscriptions.take(),
            control: control.clone(),
            helper: helper.clone(),
            compactor: compactor.clone(),
            shared: shared.clone(),
            seed: random.random(),
        };
        let thread = CoreThread { start, running: Arc::clone(&running), tls: tls.clone() };
        threads.push(thread.spawn(ready.clone())?);
    }
    drop(ready);
    for _ in 0..cores {
        readiness.recv().map_err(|_| StartError::CoreEnded)??;
    }
    operator.serving(&post, &opened.summary);
    operator.keep_authority(keeper, &post)?;
    operator.export(&config)?;
    let backups = backups::start(&config.data_dir, opened.layout, &post);
    banner::print(&config, driver, &opened.summary, operator.admin);
    operator.wait();
    stop(&post, threads);
    drop(backups);
    operator.end();
    drop(lock);
    Ok(())
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

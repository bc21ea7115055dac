//! Everything about a server that its operator sees and does, apart from its streams: signals, the
//! admin listener, the access log, the service manager, the configuration read again.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use super::StartError;
use super::notify::Manager;
use super::open::Summary;
use super::reload::{Commit, Reload};
use super::signals::{Event, Signals};
use crate::access_log::Writer;
use crate::admin::{self, Subject};
use crate::auth::Keeper;
use crate::config::{Config, ServeArgs};
use crate::health::Phase;
use crate::logging;
use crate::mailbox::Post;
use crate::mailbox::message::{Message, Note};
use crate::rt::Driver;
use crate::shared::Shared;
use crate::telemetry::Exporter;

/// See the module.
pub(super) struct Operator {
    signals: Signals,
    shared: Shared,
    subject: Subject,
    manager: Manager,
    access: Rc<RefCell<Writer>>,
    exporter: Option<Exporter>,
    /// What is to be done when the configuration is read again.
    pub(super) reload: Reload,
    /// Where the admin listener is.
    pub(super) admin: Option<SocketAddr>,
}

impl Operator {
    /// Before anything else starts: signals are caught, the admin listener answers. The
    /// configuration came out of `args`.
    pub(super) fn start(
        config: &Config,
        args: ServeArgs,
        driver: Driver,
        shared: &Shared,
    ) -> Result<Operator, StartError> {
        let signals = Signals::catch();
        shared.health.runs_on(driver);
        let subject = Subject::new(shared.clone(), config.cores.len());
        let access = Writer::start(&shared.access_log, &config.log.access);
        let target = &config.log.access;
        let access =
            access.map_err(|source| StartError::AccessLog { target: target.clone(), source })?;
        Ok(Operator {
            signals,
            shared: shared.clone(),
            admin: admin::start(config, &subject)?,
            subject,
            manager: Manager::find(),
            access: Rc::new(RefCell::new(access)),
            exporter: None,
            reload: Reload::new(args, config.clone()),
        })
    }

    /// Every core accepts.
    pub(super) fn serving(&mut self, post: &Post, found: &Summary) {
        let running = admin::Running {
            post: post.clone(),
            streams: found.streams,
            records: found.records,
            recovery: found.took,
        };
        self.subject.runs(running);
        self.shared.health.enter(Phase::Serving);
        self.register(post);
        self.manager.ready("serving");
        self.manager.start_watchdog(post);
    }

    /// Tokens and keys are read again with the configuration, and fetched where they are published.
    pub(super) fn keep_authority(&mut self, keeper: Keeper, post: &Post) -> Result<(), StartError> {
        keeper.watch(post).map_err(StartError::Thread)?;
        let post = post.clone();
        let guard = move |config: &Arc<Config>| {
            let next = keeper.prepare(&config.auth)?;
            let (keeper, post) = (keeper.clone(), post.clone());
            let commit = move || keeper.adopt(next, &post).map_err(|error| error.to_string());
            Ok(Box::new(commit) as Commit)
        };
        self.reload.guard("access control", Box::new(guard));
        Ok(())
    }

    /// Metrics and spans go to a collector, if there is one.
    pub(super) fn export(&mut self, config: &Config) -> Result<(), StartError> {
        let Some(telemetry) = &config.telemetry else { return Ok(()) };
        let instance = config.listen.first().map(ToString::to_string).unwrap_or_default();
        let started = Exporter::start(telemetry, &self.shared.telemetry, &self.subject, &instance);
        self.exporter = Some(started.map_err(StartError::Telemetry)?);
        Ok(())
    }

    /// Returns when the server is to stop.
    pub(super) fn wait(&mut self) {
        while self.signals.next() == Event::Reload {
            self.manager.reloading();
            self.subject.reloaded(self.reload.run());
            self.manager.ready("serving");
        }
        self.shared.health.enter(Phase::Draining);
        self.manager.stopping();
    }

    /// The cores have ended: what they noted is written.
    pub(super) fn end(self) {
        self.access.borrow_mut().stop();
        if let Some(exporter) = self.exporter {
            exporter.stop();
        }
    }

    /// What can change while the server runs. The access log goes before the cores: whoever is to
    /// write has somebody to write to.
    fn register(&mut self, post: &Post) {
        let reload = &mut self.reload;
        reload.hook("the log level", Box::new(|config| logging::set_level(&config.log)));
        let access = Rc::clone(&self.access);
        let reopen = move |config: &Arc<Config>| {
            access.borrow_mut().change(&config.log.access).map_err(|error| error.to_string())
        };
        reload.hook("the access log", Box::new(reopen));
        let others = post.clone();
        let tell = move |config: &Arc<Config>| {
            for core in 0..others.cores() {
                others.send_from_outside(core, Message::Tell(Note::Settings(Arc::clone(config))));
            }
            Ok(())
        };
        reload.hook("limits, live reads and retention", Box::new(tell));
        let (post, newest) = (post.clone(), self.shared.limiting.clone());
        let tell = move |config: &Arc<Config>| {
            let limiting = newest.update(config);
            for core in 0..post.cores() {
                post.send_from_outside(core, Message::Tell(Note::Limiting(limiting.clone())));
            }
            Ok(())
        };
        reload.hook("rates and quotas", Box::new(tell));
    }
}

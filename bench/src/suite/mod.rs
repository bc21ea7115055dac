//! What is measured: suites, each of parts, each a table.
//!
//! Invariant: all contestants of a part are measured by the same function with the same numbers.

mod append;
mod cross_core;
mod cross_core_client;
mod drive;
mod fanout;
mod fanout_h2;
mod idle_memory;
mod io_driver;
mod name;
mod overload;
mod plans;
mod read;
mod runtimes;
mod streams;

use std::path::PathBuf;
use std::rc::Rc;

use crate::Failure;
use crate::contest::{Contestant, Running, Thalweg, Where};
use crate::figures::Metric;

pub(crate) use name::SuiteName;

/// What suites are made with.
pub(crate) struct Setting {
    /// Small numbers, so that it is over soon. They compare with nothing.
    pub(crate) quick: bool,
    /// Our server's binary.
    pub(crate) server: PathBuf,
    /// Other servers, absent ones too.
    pub(crate) peers: Vec<Rc<dyn Contestant>>,
}

impl Setting {
    /// The number of a full run, or that of a quick one.
    fn pick<T>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }

    fn thalweg(&self) -> Thalweg {
        Thalweg::new(&self.server)
    }

    fn peers(&self, suite: SuiteName) -> impl Iterator<Item = Rc<dyn Contestant>> {
        let takes_part = move |peer: &&Rc<dyn Contestant>| peer.suites().contains(&suite);
        self.peers.iter().filter(takes_part).cloned()
    }
}

/// One table.
pub(crate) struct Part {
    /// What is measured, with its numbers.
    pub(crate) title: String,
    /// What a reader of the table must know.
    pub(crate) notes: Vec<String>,
    /// The first one decides whether two floors are alike.
    pub(crate) metrics: Vec<Metric>,
    /// What each contestant runs between. None where there is nothing to compare with.
    pub(crate) floor: Option<Rc<dyn Contestant>>,
    pub(crate) contestants: Vec<Rc<dyn Contestant>>,
    /// CPUs of each.
    pub(crate) cores: usize,
    /// Bytes of a read's answer.
    pub(crate) page_bytes: usize,
    /// Descriptors that the load needs at the same time, about.
    pub(crate) descriptors: u64,
    /// Starts a contestant and measures it: a figure per metric, NaN where there is none.
    pub(crate) measure: Measure,
}

/// Measures a contestant.
pub(crate) type Measure = Box<dyn Fn(&Turn<'_>) -> Result<Vec<f64>, Failure>>;

/// A contestant whose turn it is.
pub(crate) struct Turn<'a> {
    pub(crate) contestant: &'a dyn Contestant,
    pub(crate) place: &'a Where,
}

impl Turn<'_> {
    /// Starts it.
    fn start(&self) -> Result<Running, Failure> {
        Running::start(self.contestant, self.place)
    }
}

impl Part {
    /// With one core, and nothing else yet.
    fn new(title: impl Into<String>, metrics: Vec<Metric>, measure: Measure) -> Part {
        let (title, notes, contestants) = (title.into(), Vec::new(), Vec::new());
        let (floor, cores, page_bytes, descriptors) = (None, 1, 0, 0);
        Part { title, notes, metrics, floor, contestants, cores, page_bytes, descriptors, measure }
    }

    fn floor(mut self, floor: impl Contestant + 'static) -> Part {
        self.floor = Some(Rc::new(floor));
        self
    }

    fn with(mut self, contestant: impl Contestant + 'static) -> Part {
        self.contestants.push(Rc::new(contestant));
        self
    }

    fn with_all(mut self, contestants: impl Iterator<Item = Rc<dyn Contestant>>) -> Part {
        self.contestants.extend(contestants);
        self
    }

    fn note(mut self, note: impl Into<String>) -> Part {
        self.notes.push(note.into());
        self
    }
}

/// What a suite is about, in one line.
pub(crate) fn about(name: SuiteName) -> &'static str {
    match name {
        SuiteName::Fanout => "one message to 10,000 live readers, by SSE and by long-poll",
        SuiteName::FanoutOverload => "more messages to 10,000 SSE readers than can be sent singly",
        SuiteName::FanoutH2 => "one message to 10,000 SSE readers over 100 HTTP/2 connections",
        SuiteName::Append => "appends of 100 bytes over 64 and 256 connections",
        SuiteName::AppendLatency => "appends over one connection, one after the other",
        SuiteName::AppendBatch => "appends of JSON arrays of 100 messages",
        SuiteName::ReadSmall => "catch-up reads of 1 KiB",
        SuiteName::ReadLarge => "catch-up reads of 4 MiB",
        SuiteName::IdleMemory => "memory of 10,000 idle SSE readers",
        SuiteName::Streams => "100,000 streams: create, append to each, restart",
        SuiteName::CrossCore => "two cores: appends on the owner's connection and on the other's",
        SuiteName::Runtimes => "the fan-out program on several runtimes",
        SuiteName::IoDriver => "our server on io_uring and on epoll",
    }
}

/// The parts of a suite.
pub(crate) fn parts(name: SuiteName, setting: &Setting) -> Vec<Part> {
    match name {
        SuiteName::Fanout => fanout::parts(setting),
        SuiteName::FanoutOverload => overload::parts(setting),
        SuiteName::FanoutH2 => fanout_h2::parts(setting),
        SuiteName::Append => append::closed(setting),
        SuiteName::AppendLatency => append::latency(setting),
        SuiteName::AppendBatch => append::batch(setting),
        SuiteName::ReadSmall => read::small(setting),
        SuiteName::ReadLarge => read::large(setting),
        SuiteName::IdleMemory => idle_memory::parts(setting),
        SuiteName::Streams => streams::parts(setting),
        SuiteName::CrossCore => cross_core::parts(setting),
        SuiteName::Runtimes => runtimes::parts(setting),
        SuiteName::IoDriver => io_driver::parts(setting),
    }
}

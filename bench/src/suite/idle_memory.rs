//! `idle-memory`: what a server holds for readers that wait. Resident memory of all of its
//! processes, before and after; the kernel's socket buffers are not in it.

use thalweg_loadgen::plan::TailMode;

use super::drive::drive;
use super::plans::Fanout;
use super::{Part, Setting, SuiteName, Turn};
use crate::Failure;
use crate::contest::Program;
use crate::figures::Metric;

pub(super) fn parts(setting: &Setting) -> Vec<Part> {
    let readers = setting.pick(10_000, 500);
    let fanout = Fanout { readers, rate: 1.0, seconds: 2, mode: TailMode::Sse };
    let metrics = vec![
        Metric::alone("KiB/reader"),
        Metric::alone("MiB before"),
        Metric::alone("MiB idle"),
        Metric::alone("KiB/reader after messages"),
    ];
    let title = format!("{} idle SSE readers, HTTP/1.1", crate::figures::written(readers.into()));
    let mut part = Part::new(title, metrics, Box::new(move |turn| measure(turn, fanout)))
        .with(Program::floor("fanout-uring"))
        .with(setting.thalweg())
        .with_all(setting.peers(SuiteName::IdleMemory));
    part.descriptors = fanout.descriptors();
    vec![part]
}

fn measure(turn: &Turn<'_>, fanout: Fanout) -> Result<Vec<f64>, Failure> {
    let running = turn.start()?;
    let before = running.meter().rss_bytes() as f64;
    let driven = drive(turn, &running, fanout.plan(running.url("bench")))?;
    driven.delivery()?;
    let (idle, after) = (driven.ready_rss_bytes as f64, driven.end_rss_bytes as f64);
    let kib = |rss: f64| (rss - before) / 1024.0 / f64::from(fanout.readers);
    Ok(vec![kib(idle), before / MIB, idle / MIB, kib(after)])
}

const MIB: f64 = 1024.0 * 1024.0;

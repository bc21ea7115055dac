//! `runtimes`: the same fan-out program on several runtimes, so that the choice of runtime can be
//! checked. glommio is only there if the benchmark is built with its feature.

use thalweg_loadgen::plan::TailMode;

use super::plans::Fanout;
use super::{Part, Setting, fanout};
use crate::contest::Program;

pub(super) fn parts(setting: &Setting) -> Vec<Part> {
    let (readers, seconds) = (setting.pick(10_000, 500), setting.pick(10, 2));
    let load = Fanout { readers, rate: 5.0, seconds, mode: TailMode::Sse };
    let mut part = fanout::part(load, "fanout-uring");
    for program in ["fanout-epoll", "fanout-monoio", "fanout-glommio", "fanout-tokio"] {
        part = part.with(Program::floor(program));
    }
    vec![part.note("fanout-uring and fanout-epoll have no runtime: they are bare loops")]
}

//! `io-driver`: the same binary with `--io io_uring` and `--io epoll`.

use std::rc::Rc;

use thalweg_loadgen::plan::TailMode;

use super::plans::{Appends, Fanout};
use super::{Part, Setting, append, fanout};
use crate::contest::Contestant;

pub(super) fn parts(setting: &Setting) -> Vec<Part> {
    let (readers, seconds) = (setting.pick(10_000, 500), setting.pick(10, 2));
    let load = Fanout { readers, rate: 5.0, seconds, mode: TailMode::Sse };
    let both = || {
        let of = |driver| Rc::new(setting.thalweg().io(driver)) as Rc<dyn Contestant>;
        ["io_uring", "epoll"].into_iter().map(of)
    };
    let streams = setting.pick(1000, 50);
    let appends = Appends { connections: 64, streams, seconds: setting.pick(5, 1), batch: 1 };
    vec![
        fanout::part(load, "fanout-uring").with_all(both()),
        append::part(appends).with_all(both()),
    ]
}

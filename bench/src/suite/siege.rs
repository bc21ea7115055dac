//! `siege`: what clients get while others do harm, beside what they get without: readers that read
//! nothing, connections that never finish a request, more appends than there is time for.
//!
//! Only our own server takes part: what a server refuses, and how, is its own.

mod cgroup;
mod open_loop;
mod overload;
mod slow_heads;
mod stalled;

use super::{Part, Setting};

pub(super) fn parts(setting: &Setting) -> Vec<Part> {
    vec![
        stalled::part(setting, super::plans::MESSAGE_BYTES),
        stalled::part(setting, 64 * 1024),
        slow_heads::part(setting),
        overload::part(setting),
    ]
}

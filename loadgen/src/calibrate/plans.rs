//! What the calibration runs: ordinary plans, as a file could say them.

use std::time::Duration;

use crate::plan::{self, AppendOptions, FanoutOptions, Group, Load, Plan};

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Requests,
    Pipelined,
    Deliveries,
}

/// A plan that asks for more than `cores` generator cores can do, against `url`.
pub(super) fn plan(kind: Kind, url: &str, cores: u32, duration: Duration) -> Plan {
    let mut plan = match kind {
        Kind::Requests => plan::append(&AppendOptions {
            url: format!("{url}/requests"),
            connections: CONNECTIONS * cores,
            streams: CONNECTIONS * cores,
            payload_bytes: PAYLOAD_BYTES,
            duration,
        }),
        Kind::Pipelined => {
            let mut plan = fanout(url, cores, 1, duration);
            plan.groups.retain(|group| matches!(group.load, Load::Open { .. }));
            plan.streams.iter_mut().for_each(|set| set.count = LANES * cores);
            plan.groups.iter_mut().for_each(|group| in_flight(group, PIPELINE_DEPTH));
            plan
        }
        Kind::Deliveries => {
            let mut plan = fanout(url, cores, READERS * cores, duration);
            plan.groups.iter_mut().for_each(|group| in_flight(group, MESSAGES_AHEAD));
            plan
        }
    };
    plan.name = "calibrate".into();
    plan.thresholds.clear();
    plan
}

fn fanout(url: &str, cores: u32, readers: u32, duration: Duration) -> Plan {
    plan::fanout(&FanoutOptions {
        url: format!("{url}/stream"),
        readers,
        rate: TOO_MANY_PER_SECOND * f64::from(cores),
        duration,
        drain: Duration::from_secs(10),
        payload_bytes: PAYLOAD_BYTES,
        ..FanoutOptions::default()
    })
}

fn in_flight(group: &mut Group, most: u32) {
    if let Load::Open { max_in_flight, .. } = &mut group.load {
        *max_in_flight = most;
    }
}

const PAYLOAD_BYTES: u32 = 100;
/// Per core: connections that wait for each answer.
const CONNECTIONS: u32 = 256;
/// Per core: connections with several requests under way.
const LANES: u32 = 16;
const PIPELINE_DEPTH: u32 = 64;
/// Per core.
const READERS: u32 = 2_000;
/// Messages that the slowest reader may be behind the publisher: few, because a reader of a real
/// server gets one at a time.
const MESSAGES_AHEAD: u32 = 4;
/// More than any core can send.
const TOO_MANY_PER_SECOND: f64 = 2e6;

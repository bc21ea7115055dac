//! `cross-core`: what it costs that a request lands on another core than its stream's.
//!
//! The server runs on two cores. The kernel chooses which core gets a connection (`SO_REUSEPORT`),
//! and the router's hash which core owns a stream. So the suite opens connections, finds out by
//! experiment where each landed, and then compares two arrangements with as many connections and
//! as many streams on either core: every connection appends to streams of its own core, or every
//! connection to streams of the other one. Nothing else differs.
//!
//! Where a connection landed: it asks for a stream of core 0 some times. If that costs core 1
//! nothing, the connection is core 0's.
//!
//! The load is made by threads of this process, as the generator cannot choose connections. On a
//! machine of two CPUs it shares one with the server, in both arrangements alike.

use thalweg::router;
use thalweg_proto::path::StreamPath;

use super::cross_core_client::{Client, Load, load};
use super::{Part, Setting, Turn};
use crate::Failure;
use crate::contest::{Durability, Meter, Running};
use crate::figures::{Metric, median};

pub(super) fn parts(setting: &Setting) -> Vec<Part> {
    let metrics = vec![
        Metric::alone("own appends/s"),
        Metric::alone("hop appends/s"),
        Metric::alone("hop by own"),
        Metric::alone("own CPU us/append"),
        Metric::alone("hop CPU us/append"),
        Metric::alone("own p50 us, 1 connection"),
        Metric::alone("hop p50 us, 1 connection"),
    ];
    let seconds = setting.pick(3, 1);
    let title = format!("two cores, {} connections on each, 100-byte messages", PER_CORE);
    let measure = move |turn: &Turn<'_>| measure(turn, seconds);
    let mut part = Part::new(title, metrics, Box::new(measure))
        .note("own: each connection appends to streams of the core that it landed on; hop: to streams of the other core")
        .with(setting.thalweg())
        .with(setting.thalweg().durability(Durability::Memory));
    part.cores = CORES;
    vec![part]
}

fn measure(turn: &Turn<'_>, seconds: u64) -> Result<Vec<f64>, Failure> {
    if turn.place.cpus.count() < CORES {
        return Err("it needs two CPUs".into());
    }
    let running = turn.start()?;
    let streams = streams_of_cores();
    let mut first = Client::connect(&running)?;
    for stream in streams.iter().flatten() {
        first.create(stream)?;
    }
    let connections = landed(&running, &streams[0][0])?;
    let several = |hop| appends(&running, &connections, &streams, hop, PER_CORE, seconds);
    let single = |hop| appends(&running, &connections, &streams, hop, 1, seconds);
    let (own, hop) = (several(false)?, several(true)?);
    let (own_single, hop_single) = (single(false)?, single(true)?);
    Ok(vec![
        own.rate,
        hop.rate,
        hop.rate / own.rate,
        own.cpu_us,
        hop.cpu_us,
        own_single.p50_us,
        hop_single.p50_us,
    ])
}

struct Appended {
    rate: f64,
    cpu_us: f64,
    p50_us: f64,
}

/// One arrangement. With one connection only that of core 0 appends, so that nothing else is under
/// way.
fn appends(
    running: &Running,
    connections: &[Vec<Client>; CORES],
    streams: &[Vec<String>; CORES],
    hop: bool,
    per_core: usize,
    seconds: u64,
) -> Result<Appended, Failure> {
    let mut loads = Vec::new();
    for (core, connections) in connections.iter().enumerate() {
        let owner = if hop { (core + 1) % CORES } else { core };
        if per_core == 1 && core > 0 {
            break;
        }
        for (at, client) in connections.iter().take(per_core).enumerate() {
            let own = streams[owner].iter().skip(at).step_by(per_core).cloned().collect();
            loads.push(Load { client: client.again()?, streams: own });
        }
    }
    let cpu_before = running.meter().cpu_seconds()?;
    let times_us = load(loads, std::time::Duration::from_secs(seconds))?;
    let cpu = running.meter().cpu_seconds()? - cpu_before;
    let count = times_us.len() as f64;
    Ok(Appended {
        rate: count / seconds as f64,
        cpu_us: cpu * 1e6 / count,
        p50_us: median(times_us),
    })
}

/// Names of streams by the core that owns them.
fn streams_of_cores() -> [Vec<String>; CORES] {
    let mut streams = [const { Vec::new() }; CORES];
    for name in (0..).map(|index| format!("bench/{index}")) {
        let Ok(path) = StreamPath::new(&name) else { continue };
        let of_core: &mut Vec<String> = &mut streams[router::owner(&path, CORES)];
        if of_core.len() < STREAMS_PER_CORE {
            of_core.push(name);
        }
        if streams.iter().all(|of_core| of_core.len() == STREAMS_PER_CORE) {
            break;
        }
    }
    streams
}

/// Connections by the core that they landed on, [`PER_CORE`] of each.
fn landed(running: &Running, of_core_0: &str) -> Result<[Vec<Client>; CORES], Failure> {
    let mut found = [const { Vec::new() }; CORES];
    for _ in 0..MOST_CONNECTIONS {
        let mut client = Client::connect(running)?;
        let before = cores_ns(running.meter())?;
        for _ in 0..ASKED {
            client.ask(of_core_0)?;
        }
        let after = cores_ns(running.meter())?;
        let used = [after[0] - before[0], after[1] - before[1]];
        found[usize::from(used[1] > used[0] / 4)].push(client);
        if found.iter().all(|of_core| of_core.len() >= PER_CORE) {
            return Ok(found);
        }
    }
    let counts = found.map(|of_core| of_core.len());
    Err(format!("of {MOST_CONNECTIONS} connections {counts:?} landed on the cores").into())
}

/// CPU time of the server's core threads, in nanoseconds.
fn cores_ns(meter: Meter) -> Result<[u64; CORES], Failure> {
    let threads = meter.threads();
    let of = |core: usize| {
        let name = format!("core-{core}");
        let found = threads.iter().find(|(thread, _)| *thread == name);
        found.map(|(_, ns)| *ns).ok_or_else(|| format!("the server has no thread {name:?}"))
    };
    Ok([of(0)?, of(1)?])
}

const CORES: usize = 2;
/// Connections on each core.
const PER_CORE: usize = 16;
const STREAMS_PER_CORE: usize = 100;
/// Requests that show where a connection landed.
const ASKED: usize = 50;
/// As each core gets about half of them.
const MOST_CONNECTIONS: usize = 16 * PER_CORE;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_belong_to_their_cores() {
        let streams = streams_of_cores();
        for (core, names) in streams.iter().enumerate() {
            assert_eq!(names.len(), STREAMS_PER_CORE);
            for name in names {
                let path = StreamPath::new(name).unwrap();
                assert_eq!(router::owner(&path, CORES), core, "{name}");
            }
        }
    }
}

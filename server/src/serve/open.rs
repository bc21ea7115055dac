//! Opening what a server stands on: limits, addresses, the data directory.
//!
//! What is read from the data directory goes through [`Disk`] alone, so that a simulation opens
//! its own.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};
use thalweg_proto::path::StreamPath;
use thalweg_proto::stream::record::StreamId;
use thalweg_proto::time::Timestamp;
use thalweg_storage::planted::{self, Bug};
use thalweg_storage::recovery::StoredSubscriptions;
use thalweg_storage::writer::LogConfig;
use thalweg_storage::{
    CoreRecovery, DataDirLock, Disk, LayoutFile, LogWriter, Lsn, data_dir, parallel, recover_on,
};

use super::StartError;
use crate::clock::Clock;
use crate::config::limits::{MAX_PENDING_BYTES, SEGMENT_ALIGNMENT};
use crate::config::{Config, Durability};
use crate::router;
use crate::rt::simulated::is_simulated;
use crate::shard::{Log, Shard, ShardConfig, Slot};

/// How long a predecessor that was killed may still hold the port.
const PORT_RELEASE_TIMEOUT: Duration = Duration::from_secs(1);
/// How often it is tried meanwhile.
const PORT_RELEASE_PAUSE: Duration = Duration::from_millis(5);

/// What the cores start from.
pub struct Opened {
    /// Absent without a log.
    pub layout: Option<Arc<LayoutFile>>,
    /// One for each core.
    pub shards: Vec<Shard>,
    /// For core 0.
    pub subscriptions: StoredSubscriptions,
    /// For the banner.
    pub summary: Summary,
}

/// What was found.
#[derive(Clone, Copy, Default, Debug)]
pub struct Summary {
    /// Streams recovered.
    pub streams: u64,
    /// Records replayed.
    pub records: u64,
    /// How long it took.
    pub took: Duration,
    /// Whether streams were moved to other cores.
    pub relayout: bool,
}

/// Takes the data directory for this process, for as long as the lock lives.
pub(super) fn lock(config: &Config) -> Result<Option<DataDirLock>, StartError> {
    if config.durability == Durability::Memory {
        return Ok(None);
    }
    check_writable(&config.data_dir)?;
    Ok(Some(DataDirLock::acquire(&config.data_dir)?))
}

/// Reads what is in the data directory.
pub fn open(config: &Config, disk: &Arc<dyn Disk>) -> Result<Opened, StartError> {
    let clock = Clock::new();
    if config.durability == Durability::Memory {
        let shard = |core| {
            let log = Log::Memory { last: Lsn::default() };
            Shard::new(shard_config(config, core), log, Vec::new(), StreamId(0), clock.now())
        };
        return Ok(Opened {
            layout: None,
            shards: (0..config.cores.len()).map(shard).collect(),
            subscriptions: StoredSubscriptions::default(),
            summary: Summary::default(),
        });
    }
    let started = clock.instant();
    data_dir::check_format(
        &**disk,
        &config.data_dir,
        concat!("thalweg ", env!("CARGO_PKG_VERSION")),
    )?;
    let cores = config.cores.len();
    let place = |path: &StreamPath| router::owner(path, cores);
    // A simulation has its order of events.
    let threads = if is_simulated() { 1 } else { cores };
    let recovery = recover_on(threads, disk, &config.data_dir, cores, &place)?;
    let surveys = parallel::each(threads, recovery.cores.iter().collect(), Survey::of);
    refuse_duplicate_ids(&surveys, &recovery.cores)?;
    let forks = count_forks(&surveys);
    let summary = Summary {
        streams: recovery.stats.streams,
        records: recovery.stats.records,
        took: clock.instant() - started,
        relayout: recovery.stats.relayout,
    };
    let max_id = recovery.max_stream_id;
    let now = clock.now();
    let stored = recovery.cores.into_iter().enumerate().collect();
    let shards = parallel::each(threads, stored, |(core, stored)| {
        shard(config, core, stored, &forks, max_id, now)
    });
    Ok(Opened {
        layout: Some(recovery.layout),
        shards,
        subscriptions: recovery.subscriptions,
        summary,
    })
}

fn shard(
    config: &Config,
    core: usize,
    stored: CoreRecovery,
    forks: &HashMap<StreamId, u32>,
    max_id: StreamId,
    now: Timestamp,
) -> Shard {
    let log_config = LogConfig {
        segment_bytes: config.storage.segment_bytes,
        durability: match config.durability {
            Durability::Async => thalweg_storage::Durability::Async,
            _ => thalweg_storage::Durability::Sync,
        },
        ..LogConfig::default()
    };
    // A group and the header fit into every segment.
    let room = log_config.segment_bytes - SEGMENT_ALIGNMENT;
    let max_group_bytes =
        log_config.max_group_bytes.min(usize::try_from(room).unwrap_or(usize::MAX));
    let log_config = LogConfig { max_group_bytes, ..log_config };
    let slots = stored.streams.into_iter().map(|stream| {
        let references = forks.get(&stream.state.id).copied().unwrap_or(0);
        Slot::recovered(stream.state, stream.extents, stream.last_lsn, references)
    });
    let writer = LogWriter::new(stored.resume, log_config);
    let log = Log::durable_log(writer, stored.segments);
    Shard::new(shard_config(config, core), log, slots, max_id, now)
}

fn shard_config(config: &Config, core: usize) -> ShardConfig {
    let cores = config.cores.len();
    let of_each = |bytes: u64| usize::try_from(bytes / cores as u64).unwrap_or(usize::MAX);
    ShardConfig {
        core,
        cores,
        hot_tail_bytes: of_each(config.storage.hot_tail_bytes),
        read_cache_bytes: of_each(config.storage.read_cache_bytes),
        max_pending_bytes: MAX_PENDING_BYTES,
        retention: config.storage.retention,
    }
}

/// What concerns the streams of other cores too.
struct Survey {
    /// Ascending.
    ids: Vec<StreamId>,
    /// The source of each fork.
    sources: Vec<StreamId>,
}

impl Survey {
    fn of(core: &CoreRecovery) -> Survey {
        let mut survey = Survey { ids: Vec::with_capacity(core.streams.len()), sources: vec![] };
        for stream in &core.streams {
            survey.ids.push(stream.state.id);
            survey.sources.extend(stream.state.config.fork.as_ref().map(|fork| fork.source_id));
        }
        survey
    }
}

/// An id names one stream: two with the same would show each other's data.
fn refuse_duplicate_ids(surveys: &[Survey], cores: &[CoreRecovery]) -> Result<(), StartError> {
    let mut ids: Vec<StreamId> = surveys.iter().flat_map(|survey| &survey.ids).copied().collect();
    // A stable sort merges what is ascending already.
    ids.sort();
    let twice = ids.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0]);
    let mut streams = cores.iter().flat_map(|core| &core.streams);
    match twice.and_then(|id| streams.find(|stream| stream.state.id == id)) {
        None => Ok(()),
        Some(stream) => {
            let (id, path) = (stream.state.id.0, stream.state.path.clone());
            Err(StartError::DuplicateId { id, path })
        }
    }
}

/// References are not stored: each fork names its source.
fn count_forks(surveys: &[Survey]) -> HashMap<StreamId, u32> {
    let mut counts = HashMap::new();
    let forgotten = usize::from(planted::is(Bug::ForgetFork));
    for source in surveys.iter().flat_map(|survey| &survey.sources).skip(forgotten) {
        *counts.entry(*source).or_default() += 1;
    }
    counts
}

fn check_writable(dir: &Path) -> Result<(), StartError> {
    let unwritable = |source| StartError::DataDirUnwritable { path: dir.to_owned(), source };
    std::fs::create_dir_all(dir).map_err(unwritable)?;
    let probe = dir.join(".writable");
    std::fs::write(&probe, b"").map_err(unwritable)?;
    std::fs::remove_file(&probe).map_err(unwritable)
}

/// Finds out whether the addresses are free, and which port stands for port 0. The cores bind
/// with `SO_REUSEPORT`, which would share a port with another server without a word.
pub(super) fn resolve_addresses(mut config: Config) -> Result<Config, StartError> {
    for address in &mut config.listen {
        *address = bind_alone(*address)?;
    }
    Ok(config)
}

fn bind_alone(address: SocketAddr) -> Result<SocketAddr, StartError> {
    let bind = || -> std::io::Result<SocketAddr> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(1)?;
        TcpListener::from(socket).local_addr()
    };
    // The kernel lets go of a killed process's ring, and of the listener in it, a moment after the
    // process is gone: whoever restarts a server at once must not find its port taken.
    let deadline = Instant::now() + PORT_RELEASE_TIMEOUT;
    loop {
        match bind() {
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
                if Instant::now() >= deadline {
                    return Err(StartError::PortTaken { address });
                }
                std::thread::sleep(PORT_RELEASE_PAUSE);
            }
            Err(source) => return Err(StartError::Listen { address, source }),
            Ok(bound) => return Ok(bound),
        }
    }
}

/// Every connection is a descriptor: take what the hard limit allows.
pub(super) fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the descriptor limit could not be raised");
    }
}

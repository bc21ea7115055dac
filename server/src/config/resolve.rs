//! Turns a [`RawConfig`] into a [`Config`]: each field parsed and bounded, then the relations
//! between fields. Pure: what depends on the machine is in [`Machine`].

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use thalweg_proto as proto;
use thalweg_proto::stream::retention::Retention;
use tracing_subscriber::EnvFilter;

use super::error::ConfigError;
use super::network;
use super::raw::{RawConfig, RawValue};
use super::system::Machine;
use super::tls;
use super::value::{self, Durability, Expected, IoDriver, LogFormat, Share};
use super::{BasePath, Config, LimitsConfig, LiveConfig, LogConfig, StorageConfig, limits};
use crate::access_log::Target;

pub(super) fn resolve(raw: &RawConfig, machine: &Machine) -> Result<Config, ConfigError> {
    let cores = field("cores", &raw.cores, |raw| cores(raw, &machine.cpus))?
        .unwrap_or_else(|| machine.cpus.iter().copied().take(limits::MAX_CORES).collect());
    let config = Config {
        listen: field("listen", &raw.listen, network::listen)?
            .unwrap_or_else(|| vec![DEFAULT_LISTEN.into()]),
        data_dir: field("data_dir", &raw.data_dir, |raw| value::text(raw).map(PathBuf::from))?
            .unwrap_or_else(|| DEFAULT_DATA_DIR.into()),
        durability: field("durability", &raw.durability, value::word)?.unwrap_or(Durability::Sync),
        async_sync_interval: duration(
            "async_sync_interval",
            &raw.async_sync_interval,
            &limits::ASYNC_SYNC_INTERVAL,
            limits::DEFAULT_ASYNC_SYNC_INTERVAL,
        )?,
        io: field("io", &raw.io, value::word)?.unwrap_or(IoDriver::Auto),
        base_path: base_path(raw)?,
        public_url: field("public_url", &raw.public_url, network::url)?,
        admin: field("admin", &raw.admin, network::admin)?.unwrap_or(Some(network::DEFAULT_ADMIN)),
        tls: tls::resolve(raw)?,
        live: live(raw)?,
        auth: super::auth::auth(raw)?,
        storage: storage(raw)?,
        limits: limits_table(raw, machine, cores.len())?,
        rates: super::rates::resolve(raw)?,
        quotas: super::quotas::resolve(raw)?,
        cores,
        telemetry: super::telemetry::resolve(raw)?,
        log: LogConfig {
            level: field("log.level", &raw.log_level, log_level)?
                .unwrap_or_else(|| DEFAULT_LOG_LEVEL.to_owned()),
            format: field("log.format", &raw.log_format, value::word)?.unwrap_or(LogFormat::Text),
            access: field("log.access", &raw.log_access, access_log)?.unwrap_or_default(),
            access_sample: field("log.access_sample", &raw.log_access_sample, value::share)?
                .unwrap_or(Share::ALL),
        },
    };
    check_relations(&config)?;
    super::auth::check(&config)?;
    Ok(config)
}

fn base_path(raw: &RawConfig) -> Result<BasePath, ConfigError> {
    let default = RawValue::from(DEFAULT_BASE_PATH);
    let written = Some(raw.base_path.clone().unwrap_or(default));
    // The default goes through the parser too: there is no other way to make a base path.
    field("base_path", &written, network::base_path).and_then(|parsed| {
        parsed.ok_or_else(|| refuse("base_path", &DEFAULT_BASE_PATH, "a path".to_owned()))
    })
}

fn live(raw: &RawConfig) -> Result<LiveConfig, ConfigError> {
    Ok(LiveConfig {
        long_poll_timeout: duration(
            "live.long_poll_timeout",
            &raw.long_poll_timeout,
            &limits::LONG_POLL_TIMEOUT,
            limits::DEFAULT_LONG_POLL_TIMEOUT,
        )?,
        sse_lifetime: duration(
            "live.sse_lifetime",
            &raw.sse_lifetime,
            &limits::SSE_LIFETIME,
            limits::DEFAULT_SSE_LIFETIME,
        )?,
    })
}

fn storage(raw: &RawConfig) -> Result<StorageConfig, ConfigError> {
    Ok(StorageConfig {
        hot_tail_bytes: bytes(
            "storage.hot_tail_bytes",
            &raw.hot_tail_bytes,
            &limits::HOT_TAIL_BYTES,
            limits::DEFAULT_HOT_TAIL_BYTES,
        )?,
        read_cache_bytes: bytes(
            "storage.read_cache_bytes",
            &raw.read_cache_bytes,
            &limits::READ_CACHE_BYTES,
            limits::DEFAULT_READ_CACHE_BYTES,
        )?,
        segment_bytes: bytes(
            "storage.segment_bytes",
            &raw.segment_bytes,
            &limits::SEGMENT_BYTES,
            limits::DEFAULT_SEGMENT_BYTES,
        )?,
        compaction: field("storage.compaction", &raw.compaction, value::boolean)?.unwrap_or(true),
        compaction_bytes_per_second: bytes(
            "storage.compaction_bytes_per_second",
            &raw.compaction_bytes_per_second,
            &limits::COMPACTION_BYTES_PER_SECOND,
            limits::DEFAULT_COMPACTION_BYTES_PER_SECOND,
        )?,
        retention: retention(raw)?,
    })
}

/// 0 is no limit, as it is by default.
fn retention(raw: &RawConfig) -> Result<Retention, ConfigError> {
    let size = bytes("storage.retention_bytes", &raw.retention_bytes, &limits::RETENTION_BYTES, 0)?;
    let age = duration("storage.retention", &raw.retention, &limits::RETENTION, Duration::ZERO)?;
    if age.subsec_millis() != 0 {
        return Err(refuse(
            "storage.retention",
            &value::show_duration(age),
            "whole seconds".to_owned(),
        ));
    }
    Ok(Retention {
        bytes: (size > 0).then_some(size),
        seconds: (!age.is_zero()).then_some(age.as_secs()),
    })
}

fn limits_table(
    raw: &RawConfig,
    machine: &Machine,
    cores: usize,
) -> Result<LimitsConfig, ConfigError> {
    let timeout = |name, raw: &Option<RawValue>, default| {
        duration(name, raw, &limits::CONNECTION_TIMEOUT, default)
    };
    let max_body_bytes = bytes(
        "limits.max_body_bytes",
        &raw.max_body_bytes,
        &limits::MAX_BODY_BYTES,
        proto::limits::DEFAULT_MAX_BODY_BYTES as u64,
    )?;
    Ok(LimitsConfig {
        max_body_bytes: as_usize(max_body_bytes),
        max_connections: max_connections(&raw.max_connections, machine, cores)?,
        request_head_timeout: timeout(
            "limits.request_head_timeout",
            &raw.request_head_timeout,
            limits::DEFAULT_REQUEST_HEAD_TIMEOUT,
        )?,
        body_stall_timeout: timeout(
            "limits.body_stall_timeout",
            &raw.body_stall_timeout,
            limits::DEFAULT_BODY_STALL_TIMEOUT,
        )?,
        body_timeout: timeout(
            "limits.body_timeout",
            &raw.body_timeout,
            limits::DEFAULT_BODY_TIMEOUT,
        )?,
        keep_alive_timeout: timeout(
            "limits.keep_alive_timeout",
            &raw.keep_alive_timeout,
            limits::DEFAULT_KEEP_ALIVE_TIMEOUT,
        )?,
        write_stall_timeout: timeout(
            "limits.write_stall_timeout",
            &raw.write_stall_timeout,
            limits::DEFAULT_WRITE_STALL_TIMEOUT,
        )?,
        drain_timeout: duration(
            "limits.drain_timeout",
            &raw.drain_timeout,
            &limits::DRAIN_TIMEOUT,
            limits::DEFAULT_DRAIN_TIMEOUT,
        )?,
        tls_handshake_timeout: timeout(
            "limits.tls_handshake_timeout",
            &raw.tls_handshake_timeout,
            limits::DEFAULT_TLS_HANDSHAKE_TIMEOUT,
        )?,
        http2_streams: http2_streams(&raw.http2_streams)?,
    })
}

fn check_relations(config: &Config) -> Result<(), ConfigError> {
    let segment = config.storage.segment_bytes;
    if !segment.is_multiple_of(limits::SEGMENT_ALIGNMENT) {
        return Err(refuse(
            "storage.segment_bytes",
            &value::show_bytes(segment),
            format!("a multiple of {}", value::show_bytes(limits::SEGMENT_ALIGNMENT)),
        ));
    }
    let record = config.limits.max_body_bytes as u64 + limits::RECORD_OVERHEAD_BYTES;
    if segment < record {
        let least = record.next_multiple_of(limits::SEGMENT_ALIGNMENT);
        return Err(refuse(
            "storage.segment_bytes",
            &value::show_bytes(segment),
            format!(
                "at least {}, so that a body of limits.max_body_bytes = {} fits into one segment",
                value::show_bytes(least),
                value::show_bytes(config.limits.max_body_bytes as u64),
            ),
        ));
    }
    if config.limits.body_timeout < config.limits.body_stall_timeout {
        return Err(refuse(
            "limits.body_timeout",
            &value::show_duration(config.limits.body_timeout),
            format!(
                "at least limits.body_stall_timeout = {}",
                value::show_duration(config.limits.body_stall_timeout)
            ),
        ));
    }
    Ok(())
}

/// A count (`2`) takes the first CPUs allowed; a list (`"0,2"` or `[0, 2]`) takes those.
fn cores(raw: &RawValue, allowed: &[usize]) -> Result<Vec<usize>, Expected> {
    if let Some(count) = value::integer(raw) {
        let count = as_usize(count);
        return match allowed.get(..count) {
            Some(cpus) if count > 0 => Ok(cpus.to_vec()),
            _ => Err(format!(
                "1 to {}: this process may use CPUs {allowed:?} (a list names them: \"0,1\")",
                allowed.len()
            )),
        };
    }
    let listed: Option<Vec<u64>> = match raw {
        RawValue::List(items) => items.iter().map(value::integer).collect(),
        RawValue::Text(text) => {
            // A trailing comma makes a list of one: `0,` is CPU 0, `1` is a count.
            let parts = text.strip_suffix(',').unwrap_or(text).split(',');
            parts.map(|part| value::integer(&RawValue::from(part.trim()))).collect()
        }
        _ => None,
    };
    let listed = listed.filter(|cpus| !cpus.is_empty()).ok_or_else(|| {
        "a count such as 2, or a list of CPUs such as \"0,2\" or [0, 2]".to_owned()
    })?;
    let cpus: Vec<usize> = listed.into_iter().map(as_usize).collect();
    let mut distinct = cpus.clone();
    distinct.sort_unstable();
    distinct.dedup();
    if cpus.len() > limits::MAX_CORES {
        return Err(format!("at most {} CPUs", limits::MAX_CORES));
    }
    if distinct.len() < cpus.len() || cpus.iter().any(|cpu| !allowed.contains(cpu)) {
        return Err(format!("each CPU once, out of those this process may use: {allowed:?}"));
    }
    Ok(cpus)
}

fn max_connections(
    raw: &Option<RawValue>,
    machine: &Machine,
    cores: usize,
) -> Result<usize, ConfigError> {
    let reserve =
        limits::RESERVED_DESCRIPTORS + limits::RESERVED_DESCRIPTORS_PER_CORE * cores as u64;
    let spare = machine.descriptors.saturating_sub(reserve);
    let most = spare.clamp(1, *limits::MAX_CONNECTIONS.end());
    let parsed = field("limits.max_connections", raw, |raw| {
        value::integer(raw).filter(|count| (1..=most).contains(count)).ok_or_else(|| {
            format!(
                "1 to {most}: the descriptor limit is {} and {reserve} are kept in reserve \
                 (raise it with `ulimit -n` or LimitNOFILE=)",
                machine.descriptors,
            )
        })
    })?;
    Ok(as_usize(parsed.unwrap_or(most)))
}

fn http2_streams(raw: &Option<RawValue>) -> Result<u32, ConfigError> {
    let bounds = limits::HTTP2_STREAMS;
    let parsed = field("limits.http2_streams", raw, |raw| {
        let count = value::integer(raw).and_then(|count| u32::try_from(count).ok());
        count
            .filter(|count| bounds.contains(count))
            .ok_or_else(|| format!("{} to {}", bounds.start(), bounds.end()))
    })?;
    Ok(parsed.unwrap_or(limits::DEFAULT_HTTP2_STREAMS))
}

fn log_level(raw: &RawValue) -> Result<String, Expected> {
    const LEVELS: &[&str] = &["off", "error", "warn", "info", "debug", "trace"];
    let expected = || {
        "a level (off, error, warn, info, debug, trace) or directives such as \
         \"info,thalweg::shard=debug\""
            .to_owned()
    };
    let directives = value::text(raw).map_err(|_| expected())?;
    // EnvFilter would take a misspelt level for the name of a module.
    let bare_levels = directives
        .split(',')
        .filter(|directive| !directive.contains(['=', '[']))
        .all(|directive| LEVELS.contains(&directive.trim().to_ascii_lowercase().as_str()));
    if !bare_levels || EnvFilter::try_new(directives).is_err() {
        return Err(expected());
    }
    Ok(directives.to_owned())
}

fn access_log(raw: &RawValue) -> Result<Target, Expected> {
    match value::text(raw) {
        Ok("off") => Ok(Target::Off),
        Ok("stdout") => Ok(Target::Stdout),
        Ok(path) => Ok(Target::File(path.into())),
        Err(_) => Err("a file, \"stdout\" or \"off\"".to_owned()),
    }
}

pub(super) fn duration(
    name: &'static str,
    raw: &Option<RawValue>,
    bounds: &RangeInclusive<Duration>,
    default: Duration,
) -> Result<Duration, ConfigError> {
    let parsed = field(name, raw, |raw| {
        value::duration(raw).filter(|value| bounds.contains(value)).ok_or_else(|| {
            let (least, most) = (*bounds.start(), *bounds.end());
            format!(
                "a duration from \"{}\" to \"{}\", in ms, s, m, h or d",
                value::show_duration(least),
                value::show_duration(most)
            )
        })
    })?;
    Ok(parsed.unwrap_or(default))
}

fn bytes(
    name: &'static str,
    raw: &Option<RawValue>,
    bounds: &RangeInclusive<u64>,
    default: u64,
) -> Result<u64, ConfigError> {
    let parsed = field(name, raw, |raw| {
        value::bytes(raw).filter(|value| bounds.contains(value)).ok_or_else(|| {
            let (least, most) = (*bounds.start(), *bounds.end());
            format!(
                "a size from \"{}\" to \"{}\", in bytes, KiB, MiB or GiB",
                value::show_bytes(least),
                value::show_bytes(most)
            )
        })
    })?;
    Ok(parsed.unwrap_or(default))
}

/// Parses one field if it is there.
pub(super) fn field<T>(
    name: &'static str,
    raw: &Option<RawValue>,
    parse: impl Fn(&RawValue) -> Result<T, Expected>,
) -> Result<Option<T>, ConfigError> {
    let Some(raw) = raw else { return Ok(None) };
    parse(raw).map(Some).map_err(|expected| refuse(name, raw, expected))
}

pub(super) fn refuse(field: &'static str, value: &dyn ToString, expected: String) -> ConfigError {
    ConfigError::Value { field, value: value.to_string(), expected }
}

/// Bounds keep every value far below: this saturates on 32-bit machines only.
fn as_usize(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

const DEFAULT_LISTEN: ([u8; 4], u16) = ([127, 0, 0, 1], 4437);
const DEFAULT_DATA_DIR: &str = "./data";
const DEFAULT_BASE_PATH: &str = "/v1/stream";
const DEFAULT_LOG_LEVEL: &str = "info";

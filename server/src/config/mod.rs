//! The configuration: [`raw::RawConfig`] as written in a file and in flags becomes a [`Config`]
//! that cannot be wrong, once, before anything starts.
//!
//! Flags win over the file, the file wins over the defaults. Deliberately absent: environment
//! variables (what runs is what the command line and one file say) and any I/O but reading that
//! file and asking the machine for its CPUs and descriptors.

pub mod args;
mod auth;
pub mod error;
pub mod limits;
mod limits_now;
mod network;
pub mod origin;
mod print;
mod quotas;
mod rates;
pub mod raw;
mod resolve;
pub mod system;
mod telemetry;
mod tls;
pub mod value;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

pub use args::ServeArgs;
pub use auth::AuthConfig;
pub use error::ConfigError;
pub use limits_now::Limits;
pub use network::{BasePath, DEFAULT_ADMIN};
pub use quotas::QuotaConfig;
pub use rates::{RateArgs, RatesConfig};
pub use system::Machine;
pub use telemetry::TelemetryConfig;
use thalweg_proto::stream::retention::Retention;
pub use tls::{CertFiles, ClientAuthorities, TlsConfig};
use url::Url;
pub use value::{ClientAuth, Durability, IoDriver, LogFormat, Share};

use crate::access_log::Target;

/// What a server runs with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// Addresses to listen on; at least one, no two the same. Port 0 asks for a free one.
    pub listen: Vec<SocketAddr>,
    /// Where the streams are kept.
    pub data_dir: PathBuf,
    /// CPUs to run one core on each; at least one, no two the same, all allowed to this process.
    pub cores: Vec<usize>,
    /// When an append is acknowledged.
    pub durability: Durability,
    /// How often [`Durability::Async`] syncs.
    pub async_sync_interval: Duration,
    /// Which kernel interface carries I/O.
    pub io: IoDriver,
    /// Where streams live in the URL space.
    pub base_path: BasePath,
    /// Where metrics and health are told to whoever operates the server; `None`: nowhere.
    pub admin: Option<SocketAddr>,
    /// How clients reach this server, without a trailing slash; `None`: as the `Host` field says.
    pub public_url: Option<Url>,
    /// Certificates; `None`: plain HTTP.
    pub tls: Option<TlsConfig>,
    /// Live reads.
    pub live: LiveConfig,
    /// The log and its cache.
    pub storage: StorageConfig,
    /// What one client may take.
    pub limits: LimitsConfig,
    /// How much of what in how much time.
    pub rates: RatesConfig,
    /// What the streams of a pattern may hold.
    pub quotas: Vec<QuotaConfig>,
    /// Who may do what.
    pub auth: AuthConfig,
    /// Where metrics and spans are sent to; `None`: nowhere.
    pub telemetry: Option<TelemetryConfig>,
    /// Logging.
    pub log: LogConfig,
}

/// `[live]`
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LiveConfig {
    /// How long a long-poll waits for data.
    pub long_poll_timeout: Duration,
    /// How long one SSE response lives, before jitter.
    pub sse_lifetime: Duration,
}

/// `[storage]`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StorageConfig {
    /// Recent bytes kept in memory, over all streams and cores.
    pub hot_tail_bytes: u64,
    /// History kept in memory once it was read, over all streams and cores; 0: none.
    pub read_cache_bytes: u64,
    /// Bytes of one segment: whole blocks, and enough for the largest record.
    pub segment_bytes: u64,
    /// Whether full segments are sealed, and sealed ones compacted.
    pub compaction: bool,
    /// Bytes that this may read and write in a second; 0: no bound.
    pub compaction_bytes_per_second: u64,
    /// What is kept of streams that have no limits of their own; `None`: everything.
    pub retention: Retention,
}

/// `[limits]`
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LimitsConfig {
    /// Largest body of a create or append.
    pub max_body_bytes: usize,
    /// Connections at once.
    pub max_connections: usize,
    /// From the first byte of a request to the end of its head.
    pub request_head_timeout: Duration,
    /// Between two reads of a request body.
    pub body_stall_timeout: Duration,
    /// For a whole request body; at least `body_stall_timeout`.
    pub body_timeout: Duration,
    /// Between two requests on one connection.
    pub keep_alive_timeout: Duration,
    /// For a write that makes no progress.
    pub write_stall_timeout: Duration,
    /// How long a stopping server waits for requests under way.
    pub drain_timeout: Duration,
    /// For a TLS handshake.
    pub tls_handshake_timeout: Duration,
    /// Requests at once on one HTTP/2 connection, live reads included.
    pub http2_streams: u32,
}

/// `[log]`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogConfig {
    /// Directives of `tracing_subscriber::EnvFilter`, already parsed once.
    pub level: String,
    /// How lines look.
    pub format: LogFormat,
    /// Where the access log goes.
    pub access: Target,
    /// Which part of the requests it shows.
    pub access_sample: Share,
}

/// A duration as configurations write it: `"20s"`, `"500ms"`, `"5m"`, `"1h"`.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    value::duration(&text.into())
}

impl Config {
    /// Reads the file that `args` names, lays the flags over it and resolves both on `machine`.
    pub fn load(args: &ServeArgs, machine: &Machine) -> Result<Config, ConfigError> {
        let file = match &args.config {
            None => raw::RawConfig::default(),
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(|error| {
                    ConfigError::Unreadable { path: path.clone(), reason: error.to_string() }
                })?;
                raw::RawConfig::from_toml(&text)?
            }
        };
        resolve::resolve(&args.to_raw().over(file), machine)
    }

    /// Whether access control fits the addresses and certificates; a reload changes only the
    /// former.
    pub fn check_access(&self) -> Result<(), ConfigError> {
        auth::check(self)
    }

    /// The defaults on `machine`.
    pub fn defaults(machine: &Machine) -> Result<Config, ConfigError> {
        resolve::resolve(&raw::RawConfig::default(), machine)
    }

    /// Reads `text` as a configuration file.
    pub fn from_toml(text: &str, machine: &Machine) -> Result<Config, ConfigError> {
        resolve::resolve(&raw::RawConfig::from_toml(text)?, machine)
    }
}

#[cfg(test)]
mod tests;

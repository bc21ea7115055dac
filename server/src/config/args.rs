//! The flags of `thalweg serve`. They are kept as written and go through the same parsers as the
//! file's fields.

use std::path::PathBuf;

use clap::Args;

use super::RateArgs;
use super::raw::{RawConfig, RawValue};

/// Options of `thalweg serve`. Flags win over the file, the file wins over the defaults.
#[derive(Args, Clone, Debug, Default)]
pub struct ServeArgs {
    /// TOML file to read; see configs/thalweg.toml for every key with its default
    #[arg(long, short, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Print the effective configuration as TOML and exit
    #[arg(long)]
    pub print_config: bool,

    /// Address and port to listen on; may be repeated [default: 127.0.0.1:4437]
    #[arg(long, short, value_name = "ADDRESS", value_delimiter = ',')]
    pub listen: Vec<String>,

    /// Directory that holds the streams [default: ./data]
    #[arg(long, short, value_name = "DIR")]
    pub data_dir: Option<String>,

    /// How many CPUs to use, or which: `2` or `0,2` [default: all this process may use]
    #[arg(long, value_name = "COUNT|LIST")]
    pub cores: Option<String>,

    /// When an append is acknowledged: sync, async or memory [default: sync]
    ///
    /// sync: after fdatasync. async: after the write, synced by a timer. memory: nothing is
    /// written to disk, for development.
    #[arg(long, value_name = "LEVEL")]
    pub durability: Option<String>,

    /// How often `--durability async` syncs [default: 100ms]
    #[arg(long, value_name = "DURATION")]
    pub async_sync_interval: Option<String>,

    /// Kernel interface: auto, io_uring or epoll [default: auto]
    #[arg(long, value_name = "DRIVER")]
    pub io: Option<String>,

    /// URL path under which streams live [default: /v1/stream]
    #[arg(long, value_name = "PATH")]
    pub base_path: Option<String>,

    /// URL that clients reach this server at, when a proxy stands in front
    #[arg(long, value_name = "URL")]
    pub public_url: Option<String>,

    /// Where metrics and health are told: an address and a port, or off [default: 127.0.0.1:9437]
    #[arg(long, value_name = "ADDRESS|off")]
    pub admin: Option<String>,

    /// PEM file with the server's certificate and its chain: everything speaks HTTPS; may be
    /// repeated, with a --tls-key for each, for several names
    #[arg(long, value_name = "FILE", value_delimiter = ',')]
    pub tls_cert: Vec<String>,

    /// PEM file with the private key of the certificate
    #[arg(long, value_name = "FILE", value_delimiter = ',')]
    pub tls_key: Vec<String>,

    /// PEM file with the authorities whose client certificates are accepted
    #[arg(long, value_name = "FILE")]
    pub tls_client_ca: Option<String>,

    /// Whether clients need a certificate: required or optional [default: required]
    #[arg(long, value_name = "WORD")]
    pub tls_client_auth: Option<String>,

    /// How long a long-poll waits for data [default: 20s]
    #[arg(long, value_name = "DURATION")]
    pub long_poll_timeout: Option<String>,

    /// How long one SSE response lives before the client reconnects [default: 60s]
    #[arg(long, value_name = "DURATION")]
    pub sse_lifetime: Option<String>,

    /// Recent bytes kept in memory [default: 256MiB]
    #[arg(long, value_name = "SIZE")]
    pub hot_tail_bytes: Option<String>,

    /// History kept in memory once it was read; 0: none [default: 128MiB]
    #[arg(long, value_name = "SIZE")]
    pub read_cache_bytes: Option<String>,

    /// Size of one segment file of the log [default: 64MiB]
    #[arg(long, value_name = "SIZE")]
    pub segment_bytes: Option<String>,

    /// Bytes kept of a stream that does not say how many; 0: all [default: 0]
    #[arg(long, value_name = "SIZE")]
    pub retention_bytes: Option<String>,

    /// How long data of a stream is kept that does not say how long; 0s: for ever [default: 0s]
    #[arg(long, value_name = "DURATION")]
    pub retention: Option<String>,

    /// Largest body of a create or append [default: 8MiB]
    #[arg(long, value_name = "SIZE")]
    pub max_body_bytes: Option<String>,

    /// Connections at once [default: the descriptor limit less 64 and 32 per core]
    #[arg(long, value_name = "COUNT")]
    pub max_connections: Option<String>,

    #[command(flatten)]
    #[allow(missing_docs, reason = "its fields say it; a comment would be its help")]
    pub rates: RateArgs,

    /// File of static bearer tokens, made by `thalweg auth token new`
    #[arg(long, value_name = "FILE")]
    pub auth_tokens: Option<String>,

    /// File of keys for signed URLs, one a line
    #[arg(long, value_name = "FILE")]
    pub auth_signing_keys: Option<String>,

    /// File of rules for client certificates, checked by --tls-client-ca
    #[arg(long, value_name = "FILE")]
    pub auth_certificates: Option<String>,

    /// Serve a public address without access control
    #[arg(long)]
    pub insecure: bool,

    /// How long a stopping server waits for requests under way [default: 30s]
    #[arg(long, value_name = "DURATION")]
    pub drain_timeout: Option<String>,

    /// OpenTelemetry collector that metrics are sent to over OTLP/HTTP, such as
    /// http://127.0.0.1:4318 [default: none]
    #[arg(long, value_name = "URL")]
    pub otlp_endpoint: Option<String>,

    /// Log level, or directives such as `info,thalweg::shard=debug` [default: info]
    #[arg(long, value_name = "DIRECTIVES")]
    pub log_level: Option<String>,

    /// Log format: text or json [default: text]
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<String>,

    /// Access log, one JSON object a line: a file, stdout or off [default: off]
    #[arg(long, value_name = "FILE|stdout|off")]
    pub access_log: Option<String>,

    /// Share of the requests that the access log shows, 0 to 1 [default: 1]
    #[arg(long, value_name = "SHARE")]
    pub access_log_sample: Option<String>,
}

impl ServeArgs {
    /// The flags as a configuration.
    #[must_use]
    pub fn to_raw(&self) -> RawConfig {
        let text = |flag: &Option<String>| flag.clone().map(RawValue::Text);
        let list = |flags: &[String]| {
            let items: Vec<_> = flags.iter().cloned().map(RawValue::Text).collect();
            (!items.is_empty()).then_some(RawValue::List(items))
        };
        let mut raw = RawConfig {
            listen: list(&self.listen),
            data_dir: text(&self.data_dir),
            cores: text(&self.cores),
            durability: text(&self.durability),
            async_sync_interval: text(&self.async_sync_interval),
            io: text(&self.io),
            base_path: text(&self.base_path),
            public_url: text(&self.public_url),
            admin: text(&self.admin),
            tls_cert: list(&self.tls_cert),
            tls_key: list(&self.tls_key),
            tls_client_ca: text(&self.tls_client_ca),
            tls_client_auth: text(&self.tls_client_auth),
            long_poll_timeout: text(&self.long_poll_timeout),
            sse_lifetime: text(&self.sse_lifetime),
            hot_tail_bytes: text(&self.hot_tail_bytes),
            read_cache_bytes: text(&self.read_cache_bytes),
            segment_bytes: text(&self.segment_bytes),
            retention_bytes: text(&self.retention_bytes),
            retention: text(&self.retention),
            max_body_bytes: text(&self.max_body_bytes),
            max_connections: text(&self.max_connections),
            drain_timeout: text(&self.drain_timeout),
            auth_tokens: text(&self.auth_tokens),
            auth_signing_keys: text(&self.auth_signing_keys),
            auth_certificates: text(&self.auth_certificates),
            auth_insecure: self.insecure.then(|| "true".into()),
            otlp_endpoint: text(&self.otlp_endpoint),
            log_level: text(&self.log_level),
            log_format: text(&self.log_format),
            log_access: text(&self.access_log),
            log_access_sample: text(&self.access_log_sample),
            // Timeouts of single connections are for the file: nobody tunes them per start.
            ..RawConfig::default()
        };
        self.rates.put(&mut raw);
        raw
    }
}

//! Writes a [`Config`] back as TOML that reads to the same [`Config`].

use std::fmt;
use std::time::Duration;

use super::Config;
use super::value::{show_bytes, show_duration};

impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listen: Vec<String> = self.listen.iter().map(quoted).collect();
        writeln!(f, "listen = [{}]", listen.join(", "))?;
        writeln!(f, "data_dir = {}", quoted(self.data_dir.display()))?;
        writeln!(f, "cores = {:?}", self.cores)?;
        writeln!(f, "durability = {}", quoted(self.durability))?;
        writeln!(f, "async_sync_interval = {}", quoted(show_duration(self.async_sync_interval)))?;
        writeln!(f, "io = {}", quoted(self.io))?;
        writeln!(f, "base_path = {}", quoted(&self.base_path))?;
        if let Some(url) = &self.public_url {
            writeln!(f, "public_url = {}", quoted(url))?;
        }
        let admin = self.admin.map_or_else(|| "off".to_owned(), |address| address.to_string());
        writeln!(f, "admin = {}", quoted(admin))?;
        if let Some(tls) = &self.tls {
            writeln!(f, "\n{tls}")?;
        }
        writeln!(f, "\n[live]")?;
        let timeout = |f: &mut fmt::Formatter<'_>, name: &str, value| {
            writeln!(f, "{name} = {}", quoted(show_duration(value)))
        };
        timeout(f, "long_poll_timeout", self.live.long_poll_timeout)?;
        timeout(f, "sse_lifetime", self.live.sse_lifetime)?;

        writeln!(f, "\n[storage]")?;
        writeln!(f, "hot_tail_bytes = {}", quoted(show_bytes(self.storage.hot_tail_bytes)))?;
        writeln!(f, "read_cache_bytes = {}", quoted(show_bytes(self.storage.read_cache_bytes)))?;
        writeln!(f, "segment_bytes = {}", quoted(show_bytes(self.storage.segment_bytes)))?;
        writeln!(f, "compaction = {}", self.storage.compaction)?;
        let rate = show_bytes(self.storage.compaction_bytes_per_second);
        writeln!(f, "compaction_bytes_per_second = {}", quoted(rate))?;

        let retention = self.storage.retention;
        writeln!(f, "retention_bytes = {}", quoted(show_bytes(retention.bytes.unwrap_or(0))))?;
        timeout(f, "retention", Duration::from_secs(retention.seconds.unwrap_or(0)))?;

        writeln!(f, "\n[limits]")?;
        let limits = &self.limits;
        writeln!(f, "max_body_bytes = {}", quoted(show_bytes(limits.max_body_bytes as u64)))?;
        writeln!(f, "max_connections = {}", limits.max_connections)?;
        timeout(f, "request_head_timeout", limits.request_head_timeout)?;
        timeout(f, "body_stall_timeout", limits.body_stall_timeout)?;
        timeout(f, "body_timeout", limits.body_timeout)?;
        timeout(f, "keep_alive_timeout", limits.keep_alive_timeout)?;
        timeout(f, "write_stall_timeout", limits.write_stall_timeout)?;
        timeout(f, "drain_timeout", limits.drain_timeout)?;
        timeout(f, "tls_handshake_timeout", limits.tls_handshake_timeout)?;
        writeln!(f, "http2_streams = {}", limits.http2_streams)?;
        let quotas: Vec<String> = self.quotas.iter().map(ToString::to_string).collect();
        writeln!(f, "quotas = [{}]\n", quotas.join(", "))?;
        super::rates::print(&self.rates, f)?;

        writeln!(f, "\n[auth]")?;
        let auth = &self.auth;
        let some = |f: &mut fmt::Formatter<'_>, name: &str, value: Option<String>| match value {
            Some(value) => writeln!(f, "{name} = {}", quoted(value)),
            None => Ok(()),
        };
        let path = |path: &Option<std::path::PathBuf>| {
            path.as_ref().map(|path| path.display().to_string())
        };
        let list = |items: &[String]| items.iter().map(quoted).collect::<Vec<_>>().join(", ");
        some(f, "tokens", path(&auth.tokens))?;
        some(f, "signing_keys", path(&auth.signing_keys))?;
        some(f, "certificates", path(&auth.certificates))?;
        writeln!(f, "anonymous = [{}]", list(&auth.anonymous))?;
        some(f, "jwt_keys", auth.jwt_keys.clone())?;
        writeln!(f, "jwt_algorithms = [{}]", list(&auth.jwt_algorithms))?;
        some(f, "jwt_issuer", auth.jwt_issuer.clone())?;
        some(f, "jwt_audience", auth.jwt_audience.clone())?;
        writeln!(f, "insecure = {}", auth.insecure)?;

        if let Some(telemetry) = &self.telemetry {
            writeln!(f, "\n{telemetry}")?;
        }
        writeln!(f, "\n[log]")?;
        writeln!(f, "level = {}", quoted(&self.log.level))?;
        writeln!(f, "format = {}", quoted(self.log.format))?;
        writeln!(f, "access = {}", quoted(&self.log.access))?;
        writeln!(f, "access_sample = {}", self.log.access_sample)
    }
}

impl Config {
    /// Every key that has a value, dotted, with the value as it is written.
    #[must_use]
    pub fn settings(&self) -> Vec<(String, String)> {
        let mut table = String::new();
        let mut settings = Vec::new();
        for line in self.to_string().lines() {
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                table = format!("{name}.");
            } else if let Some((key, value)) = line.split_once(" = ") {
                settings.push((format!("{table}{key}"), value.to_owned()));
            }
        }
        settings
    }
}

/// A TOML basic string.
pub(super) fn quoted(value: impl fmt::Display) -> String {
    toml::Value::String(value.to_string()).to_string()
}

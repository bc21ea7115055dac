//! A configuration as written, in a file or in flags: every field optional, nothing judged yet
//! but the names.
//!
//! Values stay untyped on purpose, so that a flag and a file field go through the same parser and
//! get the same error message.

use std::fmt;

use toml::{Table, Value};

use super::error::ConfigError;

/// A value as written.
#[derive(Clone, PartialEq, Debug)]
pub enum RawValue {
    /// A string of the file, or any flag.
    Text(String),
    /// An integer of the file.
    Integer(i64),
    /// An array of the file, or a repeated flag.
    List(Vec<RawValue>),
    /// A table within a list.
    Table(Vec<(String, RawValue)>),
    /// A TOML value that no field takes, as it would be printed.
    Other(String),
}

impl RawValue {
    fn from_toml(value: Value) -> RawValue {
        match value {
            Value::String(text) => RawValue::Text(text),
            Value::Integer(number) => RawValue::Integer(number),
            Value::Array(items) => {
                RawValue::List(items.into_iter().map(RawValue::from_toml).collect())
            }
            Value::Table(table) => RawValue::Table(
                table.into_iter().map(|(key, value)| (key, RawValue::from_toml(value))).collect(),
            ),
            other => RawValue::Other(other.to_string()),
        }
    }
}

impl From<&str> for RawValue {
    fn from(text: &str) -> RawValue {
        RawValue::Text(text.to_owned())
    }
}

impl From<String> for RawValue {
    fn from(text: String) -> RawValue {
        RawValue::Text(text)
    }
}

impl fmt::Display for RawValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RawValue::Text(text) => write!(f, "{text:?}"),
            RawValue::Integer(number) => write!(f, "{number}"),
            RawValue::Other(printed) => f.write_str(printed),
            RawValue::Table(entries) => {
                f.write_str("{")?;
                for (index, (key, value)) in entries.iter().enumerate() {
                    write!(f, "{} {key} = {value}", if index == 0 { "" } else { "," })?;
                }
                f.write_str(" }")
            }
            RawValue::List(items) => {
                f.write_str("[")?;
                for (index, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if index == 0 { "" } else { ", " })?;
                }
                f.write_str("]")
            }
        }
    }
}

/// Declares the known fields once: the struct, the list of names and the overlay follow from it.
macro_rules! raw_config {
    ($($table:literal $prefix:literal: $($key:literal $field:ident),+;)+) => {
        /// Every field of a configuration, as written or absent.
        #[derive(Clone, PartialEq, Debug, Default)]
        pub struct RawConfig {
            $($(
                #[doc = concat!("`", $prefix, $key, "`")]
                pub $field: Option<RawValue>,
            )+)+
        }

        /// Table and key of every field.
        pub const KNOWN_KEYS: &[(&str, &str)] = &[$($(($table, $key),)+)+];

        impl RawConfig {
            /// The fields of `self`, and those of `base` where `self` has none.
            #[must_use]
            pub fn over(self, base: RawConfig) -> RawConfig {
                RawConfig { $($($field: self.$field.or(base.$field),)+)+ }
            }

            fn slot(&mut self, table: &str, key: &str) -> Option<&mut Option<RawValue>> {
                match (table, key) {
                    $($(($table, $key) => Some(&mut self.$field),)+)+
                    _ => None,
                }
            }

            /// The field with this dotted name, if there is one.
            pub fn named(&mut self, name: &str) -> Option<&mut Option<RawValue>> {
                let (table, key) = name.rsplit_once('.').unwrap_or(("", name));
                self.slot(table, key)
            }
        }
    };
}

raw_config! {
    "" "": "listen" listen, "data_dir" data_dir, "cores" cores, "durability" durability,
        "async_sync_interval" async_sync_interval, "io" io, "base_path" base_path,
        "public_url" public_url, "admin" admin;
    "tls" "tls.": "cert" tls_cert, "key" tls_key, "client_ca" tls_client_ca,
        "client_auth" tls_client_auth;
    "live" "live.": "long_poll_timeout" long_poll_timeout, "sse_lifetime" sse_lifetime;
    "storage" "storage.": "hot_tail_bytes" hot_tail_bytes,
        "read_cache_bytes" read_cache_bytes, "segment_bytes" segment_bytes,
        "compaction" compaction, "compaction_bytes_per_second" compaction_bytes_per_second,
        "retention_bytes" retention_bytes, "retention" retention;
    "limits" "limits.": "max_body_bytes" max_body_bytes, "max_connections" max_connections,
        "request_head_timeout" request_head_timeout, "body_stall_timeout" body_stall_timeout,
        "body_timeout" body_timeout, "keep_alive_timeout" keep_alive_timeout,
        "write_stall_timeout" write_stall_timeout, "drain_timeout" drain_timeout,
        "tls_handshake_timeout" tls_handshake_timeout, "http2_streams" http2_streams,
        "quotas" quotas;
    "limits.rate" "limits.rate.": "address_requests" rate_address_requests,
        "address_bytes" rate_address_bytes, "address_connections" rate_address_connections,
        "token_requests" rate_token_requests, "token_bytes" rate_token_bytes,
        "stream_requests" rate_stream_requests, "stream_bytes" rate_stream_bytes;
    "auth" "auth.": "tokens" auth_tokens, "signing_keys" auth_signing_keys,
        "certificates" auth_certificates,
        "anonymous" auth_anonymous, "jwt_keys" auth_jwt_keys,
        "jwt_algorithms" auth_jwt_algorithms, "jwt_issuer" auth_jwt_issuer,
        "jwt_audience" auth_jwt_audience, "insecure" auth_insecure;
    "telemetry" "telemetry.": "otlp_endpoint" otlp_endpoint, "interval" telemetry_interval,
        "trace_sample" trace_sample, "service_name" service_name;
    "log" "log.": "level" log_level, "format" log_format, "access" log_access,
        "access_sample" log_access_sample;
}

impl RawConfig {
    /// Reads TOML, refusing every name that is not known.
    pub fn from_toml(text: &str) -> Result<RawConfig, ConfigError> {
        let (raw, errors) = RawConfig::read(text);
        errors.into_iter().next().map_or(Ok(raw), Err)
    }

    /// Reads TOML as far as it can be read, with all that is wrong with it.
    #[must_use]
    pub fn read(text: &str) -> (RawConfig, Vec<ConfigError>) {
        let mut raw = RawConfig::default();
        let document: Table = match text.parse() {
            Ok(document) => document,
            Err(error) => {
                let error: toml::de::Error = error;
                let reason = error.to_string().trim_end().to_owned();
                return (raw, vec![ConfigError::Syntax { reason }]);
            }
        };
        let mut errors = Vec::new();
        for (key, value) in document {
            match value {
                Value::Table(table) if is_table(&key) => raw.take_table(&key, table, &mut errors),
                value => errors.extend(raw.take("", key, value).err()),
            }
        }
        (raw, errors)
    }

    fn take_table(&mut self, name: &str, table: Table, errors: &mut Vec<ConfigError>) {
        for (key, value) in table {
            let dotted = dotted(name, &key);
            match value {
                Value::Table(inner) if is_table(&dotted) => {
                    self.take_table(&dotted, inner, errors);
                }
                value => errors.extend(self.take(name, key, value).err()),
            }
        }
    }

    fn take(&mut self, table: &str, key: String, value: Value) -> Result<(), ConfigError> {
        let Some(slot) = self.slot(table, &key) else {
            let nearest = nearest(table, &key);
            return Err(ConfigError::UnknownKey { table: table.to_owned(), key, nearest });
        };
        *slot = Some(RawValue::from_toml(value));
        Ok(())
    }
}

fn is_table(name: &str) -> bool {
    !name.is_empty() && KNOWN_KEYS.iter().any(|(table, _)| *table == name)
}

/// The known name closest to `key`: in its own table first, then anywhere.
fn nearest(table: &str, key: &str) -> Option<String> {
    let here = KNOWN_KEYS.iter().filter(|(known, _)| *known == table);
    let tables = KNOWN_KEYS.iter().map(|(known, _)| *known).filter(|known| !known.is_empty());
    let own = here.map(|(_, name)| *name).chain(tables.filter(|_| table.is_empty()));
    if let Some(name) = closest(key, own.map(|name| (name, name.to_owned()))) {
        return Some(name);
    }
    closest(key, KNOWN_KEYS.iter().map(|(table, name)| (*name, dotted(table, name))))
}

fn closest(key: &str, names: impl Iterator<Item = (&'static str, String)>) -> Option<String> {
    names
        .map(|(name, shown)| (strsim::jaro_winkler(key, name), shown))
        .filter(|(score, _)| *score >= NEAR_ENOUGH)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, shown)| shown)
}

fn dotted(table: &str, key: &str) -> String {
    if table.is_empty() { key.to_owned() } else { format!("{table}.{key}") }
}

/// Jaro-Winkler similarity below which a suggestion confuses more than it helps.
const NEAR_ENOUGH: f64 = 0.8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_name_the_nearest_known_one() {
        let check = |text: &str, want: &str| {
            let error = RawConfig::from_toml(text).expect_err(text);
            assert_eq!(error.to_string(), want);
        };
        check("lisen = 1", "unknown key `lisen` in the top level; did you mean `listen`?");
        check("[limit]\nx = 1", "unknown key `limit` in the top level; did you mean `limits`?");
        check(
            "[live]\nsse_life_time = 1",
            "unknown key `sse_life_time` in table [live]; did you mean `sse_lifetime`?",
        );
        check(
            "segment_bytes = 1",
            "unknown key `segment_bytes` in the top level; did you mean `storage.segment_bytes`?",
        );
        check("[log]\nzzz = 1", "unknown key `zzz` in table [log]");
        check("[[log]]\nlevel = 1", "unknown key `log` in the top level; did you mean `log`?");
    }

    #[test]
    fn flags_lie_over_the_file() {
        let file = RawConfig::from_toml("io = 'epoll'\ncores = 2").expect("valid");
        let flags = RawConfig { io: Some("auto".into()), ..RawConfig::default() };
        let both = flags.over(file);
        assert_eq!(both.io, Some("auto".into()));
        assert_eq!(both.cores, Some(RawValue::Integer(2)));
    }

    #[test]
    fn syntax_errors_say_where() {
        let error = RawConfig::from_toml("listen = ").expect_err("no value");
        assert!(error.to_string().contains("line 1"), "{error}");
    }
}

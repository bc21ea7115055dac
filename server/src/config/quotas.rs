//! `limits.quotas`: how many streams and bytes the paths of a pattern may have.

use std::fmt;

use thalweg_proto::glob::Glob;

use super::error::ConfigError;
use super::limits::{MAX_QUOTAS, QUOTA_BYTES, QUOTA_STREAMS};
use super::print::quoted;
use super::raw::{RawConfig, RawValue};
use super::resolve::field;
use super::value::{self, Expected, show_bytes};

/// One quota.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QuotaConfig {
    /// Which streams it is for; no two are for the same.
    pub pattern: Glob,
    /// How many there may be.
    pub streams: Option<u64>,
    /// How many bytes they may hold together.
    pub bytes: Option<u64>,
}

pub(super) fn resolve(raw: &RawConfig) -> Result<Vec<QuotaConfig>, ConfigError> {
    Ok(field("limits.quotas", &raw.quotas, quotas)?.unwrap_or_default())
}

fn quotas(raw: &RawValue) -> Result<Vec<QuotaConfig>, Expected> {
    let RawValue::List(items) = raw else { return Err(EXPECTED.to_owned()) };
    if items.len() > MAX_QUOTAS {
        return Err(format!("at most {MAX_QUOTAS} quotas"));
    }
    let quotas: Vec<QuotaConfig> = items.iter().map(quota).collect::<Result<_, _>>()?;
    for (index, quota) in quotas.iter().enumerate() {
        if quotas[..index].iter().any(|other| other.pattern == quota.pattern) {
            return Err(format!("each pattern once; {:?} is there twice", quota.pattern.as_str()));
        }
    }
    Ok(quotas)
}

fn quota(raw: &RawValue) -> Result<QuotaConfig, Expected> {
    let RawValue::Table(entries) = raw else { return Err(EXPECTED.to_owned()) };
    let (mut pattern, mut streams, mut bytes) = (None, None, None);
    for (name, value) in entries {
        let wrong = |expected: &str| format!("{name} = {value} to be {expected}");
        match name.as_str() {
            "pattern" => {
                let text = value::text(value).map_err(|expected| wrong(&expected))?;
                let parsed = Glob::parse(text)
                    .map_err(|_| wrong("a pattern of stream paths, such as \"tenants/a/**\""))?;
                pattern = Some(parsed);
            }
            "streams" => {
                let count = value::integer(value).filter(|count| QUOTA_STREAMS.contains(count));
                streams = Some(count.ok_or_else(|| {
                    wrong(&format!("{} to {}", QUOTA_STREAMS.start(), QUOTA_STREAMS.end()))
                })?);
            }
            "bytes" => {
                let size = value::bytes(value).filter(|size| QUOTA_BYTES.contains(size));
                bytes = Some(size.ok_or_else(|| {
                    wrong(&format!("a size up to {:?}", show_bytes(*QUOTA_BYTES.end())))
                })?);
            }
            _ => return Err(format!("no {name:?} in a quota, only pattern, streams and bytes")),
        }
    }
    match pattern {
        Some(pattern) if streams.or(bytes).is_some() => Ok(QuotaConfig { pattern, streams, bytes }),
        _ => Err(EXPECTED.to_owned()),
    }
}

impl fmt::Display for QuotaConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{ pattern = {}", quoted(self.pattern.as_str()))?;
        if let Some(streams) = self.streams {
            write!(f, ", streams = {streams}")?;
        }
        if let Some(bytes) = self.bytes {
            write!(f, ", bytes = {}", quoted(show_bytes(bytes)))?;
        }
        f.write_str(" }")
    }
}

const EXPECTED: &str = "a list of tables, each with a pattern and with streams, bytes or both, such as \
                        [{ pattern = \"tenants/a/**\", streams = 1000, bytes = \"1GiB\" }]";

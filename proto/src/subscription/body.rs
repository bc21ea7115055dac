//! JSON bodies of subscription requests. Unknown fields are tolerated (section 11.1: clients may
//! be newer), known ones are checked strictly, and every refusal names the field.

use serde_json::{Map, Value};

use super::config::{
    Config, DEFAULT_LEASE_TTL_MS, Delivery, MAX_DESCRIPTION_BYTES, MAX_WEBHOOK_URL_BYTES,
};
use super::refusal::Refusal;
use super::request::WakeReport;
use super::wire::Position;
use crate::glob::Glob;
use crate::limits::{MAX_ID_BYTES, MAX_SUBSCRIPTION_STREAMS};
use crate::offset::Offset;
use crate::path::StreamPath;

/// The fields of a JSON object. `null` is the same as absent.
pub(super) struct Fields(Map<String, Value>);

impl Fields {
    pub(super) fn parse(body: &[u8]) -> Result<Fields, Refusal> {
        match serde_json::from_slice(body) {
            Ok(Value::Object(fields)) => Ok(Fields(fields)),
            Ok(_) => Err(Refusal::NotJson("it is another JSON value".into())),
            Err(error) => Err(Refusal::NotJson(error.to_string().into())),
        }
    }

    fn get(&self, field: &str) -> Option<&Value> {
        self.0.get(field).filter(|value| !value.is_null())
    }

    fn string(&self, field: &'static str, max: usize) -> Result<Option<&str>, Refusal> {
        let Some(value) = self.get(field) else { return Ok(None) };
        match value.as_str() {
            Some(text) if text.len() <= max => Ok(Some(text)),
            _ => Err(Refusal::invalid(field, &format!("a string of at most {max} bytes"))),
        }
    }

    /// A string that names something: 1 to [`MAX_ID_BYTES`] bytes, no control characters.
    pub(super) fn required_id(&self, field: &'static str) -> Result<&str, Refusal> {
        match self.string(field, MAX_ID_BYTES)? {
            Some(id) if !id.is_empty() && !id.chars().any(char::is_control) => Ok(id),
            _ => Err(Refusal::invalid(field, "a string of 1 to 256 bytes, not control characters")),
        }
    }

    fn integer(&self, field: &'static str) -> Result<Option<u64>, Refusal> {
        let Some(value) = self.get(field) else { return Ok(None) };
        let integer = value.as_u64().or_else(|| whole(value.as_f64()?));
        integer.map(Some).ok_or_else(|| Refusal::invalid(field, "a non-negative integer"))
    }

    fn flag(&self, field: &'static str) -> Result<bool, Refusal> {
        match self.get(field) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(Refusal::invalid(field, "true or false")),
        }
    }

    fn array(&self, field: &'static str) -> Result<Option<&[Value]>, Refusal> {
        match self.get(field) {
            None => Ok(None),
            Some(Value::Array(items)) if items.len() <= MAX_SUBSCRIPTION_STREAMS => Ok(Some(items)),
            Some(_) => {
                let want = format!("an array of at most {MAX_SUBSCRIPTION_STREAMS} items");
                Err(Refusal::invalid(field, &want))
            }
        }
    }

    fn stream(&self, field: &'static str) -> Result<Option<StreamPath>, Refusal> {
        self.get(field).map(|value| stream_path(field, value)).transpose()
    }
}

/// The body of a PUT.
pub(super) fn config(fields: &Fields) -> Result<Config, Refusal> {
    let delivery = match fields.string("type", MAX_ID_BYTES)? {
        Some("webhook") => Delivery::Webhook { url: webhook_url(fields)?.into() },
        Some("pull-wake") => Delivery::PullWake {
            wake_stream: fields
                .stream("wake_stream")?
                .ok_or_else(|| Refusal::invalid("wake_stream", "a stream path for pull-wake"))?,
        },
        _ => return Err(Refusal::invalid("type", "`webhook` or `pull-wake`")),
    };
    let pattern = match fields.string("pattern", usize::MAX)? {
        None | Some("") => None,
        Some(text) => Some(Glob::parse(text.trim_matches('/')).map_err(|error| {
            Refusal::invalid("pattern", &format!("a glob over stream paths: {error}"))
        })?),
    };
    let streams = match fields.array("streams")? {
        Some(items) => stream_paths("streams", items)?,
        None => Vec::new(),
    };
    let lease_ttl_ms = fields.integer("lease_ttl_ms")?.unwrap_or(DEFAULT_LEASE_TTL_MS);
    let description = fields.string("description", MAX_DESCRIPTION_BYTES)?.map(Into::into);
    Config::new(pattern, streams, delivery, lease_ttl_ms, description)
}

/// The body of a POST to `streams`.
pub(super) fn streams(fields: &Fields) -> Result<Vec<StreamPath>, Refusal> {
    match fields.array("streams")? {
        Some(items) if !items.is_empty() => stream_paths("streams", items),
        _ => Err(Refusal::invalid("streams", "a non-empty array of stream paths")),
    }
}

/// The body of an ack, a callback or a release.
pub(super) fn wake_report(token: &str, fields: &Fields) -> Result<WakeReport, Refusal> {
    let generation = fields
        .integer("generation")?
        .ok_or_else(|| Refusal::invalid("generation", "the generation of the wake"))?;
    let acks = fields.array("acks")?.unwrap_or_default();
    Ok(WakeReport {
        token: token.into(),
        wake_id: fields.required_id("wake_id")?.into(),
        generation,
        acks: acks.iter().map(ack).collect::<Result<_, _>>()?,
        done: fields.flag("done")?,
    })
}

fn webhook_url(fields: &Fields) -> Result<&str, Refusal> {
    let url = fields.get("webhook").and_then(|webhook| webhook.get("url")?.as_str());
    match url {
        Some(url) if !url.is_empty() && url.len() <= MAX_WEBHOOK_URL_BYTES => Ok(url),
        _ => Err(Refusal::invalid("webhook.url", "a URL of at most 2048 bytes for webhook")),
    }
}

/// `{"stream": path, "offset": token}`; `path` is what some clients call the stream.
fn ack(item: &Value) -> Result<Position, Refusal> {
    let path = item
        .get("stream")
        .or_else(|| item.get("path"))
        .ok_or_else(|| Refusal::invalid("acks[].stream", "a stream path"))?;
    let path = stream_path("acks[].stream", path)?;
    let token = item
        .get("offset")
        .and_then(Value::as_str)
        .ok_or_else(|| Refusal::invalid("acks[].offset", "an offset token"))?;
    let offset = Offset::parse(token)
        .ok_or_else(|| Refusal::MalformedOffset(token.chars().take(64).collect()))?;
    Ok(Position { path, offset })
}

fn stream_paths(field: &'static str, items: &[Value]) -> Result<Vec<StreamPath>, Refusal> {
    items.iter().map(|item| stream_path(field, item)).collect()
}

/// Slashes at the ends are forgiven here: the paths are relative to the stream root.
fn stream_path(field: &'static str, value: &Value) -> Result<StreamPath, Refusal> {
    let text =
        value.as_str().ok_or_else(|| Refusal::invalid(field, "a stream path, as a string"))?;
    StreamPath::new(text.trim_matches('/'))
        .map_err(|error| Refusal::invalid(field, &format!("a stream path: {error}")))
}

/// JSON of other languages may write 1000 as `1000.0` or `1e3`.
fn whole(number: f64) -> Option<u64> {
    let exact = (0.0..=9_007_199_254_740_991.0).contains(&number) && number.fract() == 0.0;
    exact.then_some(number as u64)
}

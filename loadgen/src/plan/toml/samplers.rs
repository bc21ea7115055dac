//! Operations that are measured.
//!
//! Invariant: an operation on a stream refers to a set that the plan has.
//!
//! Deliberately absent: whether a message suits the stream it goes to (`plan::validate`).

use std::time::Duration;

use super::checks;
use super::kinds::{Bytes, Mode, Text};
use super::leaf::{Either, TemplateText};
use super::raw::RawSize;
use super::raw_steps::{RawAppend, RawAppendBatch, RawCreate, RawHttp, RawRead, RawStep, RawTail};
use super::read::Reader;
use super::sizes::size;
use crate::plan::element::Element;
use crate::plan::{
    Behaviour, DeliveryChecks, From, Payload, Piece, PlanError, Sampler, SamplerKind, Size, Tail,
    TailMode, Template, http_names, limits,
};

/// The operation called `name` of a step.
pub(super) fn sampler(
    r: &Reader<'_>,
    at: &Element<'_>,
    name: &str,
    raw: &RawStep,
) -> Result<Sampler, PlanError> {
    let label = r.name(at, "label", &raw.label)?;
    if raw.tail.is_some() && !(raw.assert.is_empty() && raw.extract.is_empty()) {
        let field = if raw.assert.is_empty() { "extract" } else { "assert" };
        return Err(at.key(field).contradiction(
            "a live reader has no answer to look at; its checks are `gap_free`, `order` and `once`",
        ));
    }
    Ok(Sampler {
        label: label.unwrap_or_else(|| name.replace('_', "-")),
        kind: kind(r, &at.key(name), raw)?,
        fields: checks::headers(r, at, &raw.headers)?,
        assertions: checks::assertions(r, at, &raw.assert)?,
        extractions: checks::extractions(r, at, &raw.extract)?,
    })
}

fn kind(r: &Reader<'_>, at: &Element<'_>, raw: &RawStep) -> Result<SamplerKind, PlanError> {
    if let Some(RawCreate { stream, size, body }) = &raw.create {
        let given = size.is_some() || body.is_some();
        let body = if given { Some(payload(r, at, size, body)?) } else { None };
        return Ok(SamplerKind::Create { streams: r.stream(at, stream)?, body });
    }
    if let Some(RawAppend { stream, size, body }) = &raw.append {
        let (streams, payload) = (r.stream(at, stream)?, payload(r, at, size, body)?);
        return Ok(SamplerKind::Append { streams, payload });
    }
    if let Some(RawAppend { stream, size, body }) = &raw.producer_append {
        let (streams, payload) = (r.stream(at, stream)?, payload(r, at, size, body)?);
        return Ok(SamplerKind::ProducerAppend { streams, payload });
    }
    if let Some(raw) = &raw.append_batch {
        return append_batch(r, at, raw);
    }
    if let Some(RawRead { stream, from: raw_from, max_pages }) = &raw.read {
        let streams = r.stream(at, stream)?;
        let from = from(r, at, raw_from, From::Beginning)?;
        let max_pages = r.count(at, "max_pages", max_pages, ("pages", u32::MAX))?;
        return Ok(SamplerKind::Read { streams, from, max_pages });
    }
    if let Some(raw) = &raw.tail {
        return Ok(SamplerKind::Tail(tail(r, at, raw)?));
    }
    if let Some(raw) = &raw.http {
        return http(r, at, raw);
    }
    let stream = |stream: &Option<Text>| r.stream(at, stream);
    match (&raw.close, &raw.head, &raw.delete, &raw.fork) {
        (Some(raw), ..) => Ok(SamplerKind::Close { streams: stream(&raw.stream)? }),
        (_, Some(raw), ..) => Ok(SamplerKind::Head { streams: stream(&raw.stream)? }),
        (_, _, Some(raw), _) => Ok(SamplerKind::Delete { streams: stream(&raw.stream)? }),
        (_, _, _, Some(raw)) => Ok(SamplerKind::Fork { streams: stream(&raw.stream)? }),
        (None, None, None, None) => Err(at.missing("an operation")),
    }
}

fn append_batch(
    r: &Reader<'_>,
    at: &Element<'_>,
    raw: &RawAppendBatch,
) -> Result<SamplerKind, PlanError> {
    let limit = ("messages", limits::MAX_BATCH_MESSAGES);
    let messages = r.count(at, "messages", &raw.messages, limit)?.unwrap_or(DEFAULT_BATCH);
    let payload = payload(r, at, &raw.size, &raw.body)?;
    let largest = match &payload {
        Payload::Stamped(size) => largest(size),
        Payload::Template(template) => fixed_bytes(template),
    };
    let bytes = u64::from(messages) * (largest + 1);
    at.key("messages").at_most("bytes in a batch", bytes, limits::MAX_BATCH_BYTES)?;
    Ok(SamplerKind::AppendBatch { streams: r.stream(at, &raw.stream)?, payload, messages })
}

/// Bytes of the largest message.
fn largest(size: &Size) -> u64 {
    u64::from(match size {
        Size::Constant(bytes) => *bytes,
        Size::Uniform(_, max) | Size::LogNormal { max, .. } => *max,
        Size::Weighted(sizes) => sizes.iter().map(|(bytes, _)| *bytes).max().unwrap_or(0),
    })
}

/// Bytes of the text that does not change.
fn fixed_bytes(template: &Template) -> u64 {
    let texts = template.0.iter().map(|piece| match piece {
        Piece::Text(text) => text.len() as u64,
        _ => 0,
    });
    texts.sum()
}

fn payload(
    r: &Reader<'_>,
    at: &Element<'_>,
    raw_size: &Option<Either<Bytes, RawSize>>,
    body: &Option<TemplateText>,
) -> Result<Payload, PlanError> {
    let Some(body) = body else {
        let size = match raw_size {
            Some(raw) => size(r, at, raw)?,
            None => Size::Constant(DEFAULT_PAYLOAD_BYTES),
        };
        return Ok(Payload::Stamped(size));
    };
    if raw_size.is_some() {
        return Err(at.contradiction("`body` and `size` are both here: expected one of them"));
    }
    let at = at.key("body");
    let template = r.template(&at, body)?;
    if template.0.is_empty() {
        return Err(at.value("\"\"", "a message that is not empty"));
    }
    at.at_most("bytes", fixed_bytes(&template), limits::MAX_PAYLOAD_BYTES)?;
    Ok(Payload::Template(template))
}

fn from(
    r: &Reader<'_>,
    at: &Element<'_>,
    raw: &Option<TemplateText>,
    default: From,
) -> Result<From, PlanError> {
    let Some(raw) = raw else { return Ok(default) };
    let at = at.key("from");
    let template = r.template(&at, raw)?;
    match template.0.as_slice() {
        [] => Err(at.value("\"\"", "\"beginning\", \"now\" or an offset")),
        [Piece::Text(text)] if matches!(text.as_str(), "beginning" | "-1") => Ok(From::Beginning),
        [Piece::Text(text)] if text == "now" => Ok(From::Now),
        _ => {
            http_names::field_value(&at, &template)?;
            Ok(From::Offset(template))
        }
    }
}

fn tail(r: &Reader<'_>, at: &Element<'_>, raw: &RawTail) -> Result<Tail, PlanError> {
    let mode = r.word(at, "mode", &raw.mode, Mode::Sse)?;
    let pause = r.some_time(at, "pause", &raw.pause)?;
    if pause.is_some() && mode != Mode::CatchUp {
        return Err(at.key("pause").contradiction("it belongs to `mode = \"catch-up\"`"));
    }
    if raw.from.is_some() && mode == Mode::Events {
        let reason = "with `mode = \"events\"` the server decides, or a query in `live_path`";
        return Err(at.key("from").contradiction(reason));
    }
    let stay = r.some_time(at, "stay", &raw.stay)?;
    let away = r.time(at, "away", &raw.away)?;
    if away.is_some() && stay.is_none() {
        return Err(at.key("away").contradiction(
            "a reader that always stays is never away; \
                                                 expected `stay` beside it",
        ));
    }
    let bytes_per_second = r.get(at, "bytes_per_second", &raw.bytes_per_second)?;
    if bytes_per_second == Some(0) {
        return Err(at.key("bytes_per_second").value(0, "1 or more"));
    }
    let flag = |name, field| Ok::<bool, PlanError>(r.get(at, name, field)?.unwrap_or(true));
    Ok(Tail {
        streams: r.stream(at, &raw.stream)?,
        mode: match mode {
            Mode::Sse => TailMode::Sse,
            Mode::Events => TailMode::Events,
            Mode::LongPoll => TailMode::LongPoll,
            Mode::CatchUp => TailMode::CatchUp { pause: pause.unwrap_or(DEFAULT_CATCH_UP_PAUSE) },
        },
        from: from(r, at, &raw.from, From::Now)?,
        behaviour: Behaviour {
            storm_every: r.some_time(at, "storm_every", &raw.storm_every)?,
            stay,
            away: away.unwrap_or_default(),
            bytes_per_second,
        },
        checks: DeliveryChecks {
            gap_free: flag("gap_free", &raw.gap_free)?,
            order: flag("order", &raw.order)?,
            once: flag("once", &raw.once)?,
        },
    })
}

fn http(r: &Reader<'_>, at: &Element<'_>, raw: &RawHttp) -> Result<SamplerKind, PlanError> {
    let method = r.get(at, "method", &raw.method)?.unwrap_or_else(|| "GET".to_owned());
    let method = http_names::method(&at.key("method"), &method)?;
    let here = at.key("path");
    let expected = "a URL, or a path such as /v1/stream/events?offset=now";
    let raw_path = raw.path.as_ref().ok_or_else(|| here.missing(expected))?;
    let path = r.template(&here, raw_path)?;
    http_names::request_path(&here, &path)?;
    let body = match &raw.body {
        Some(body) => r.template(&at.key("body"), body)?,
        None => Template::default(),
    };
    Ok(SamplerKind::Http { method, path, body })
}

const DEFAULT_PAYLOAD_BYTES: u32 = 100;
const DEFAULT_BATCH: u32 = 10;
const DEFAULT_CATCH_UP_PAUSE: Duration = Duration::from_millis(100);

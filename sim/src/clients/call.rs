//! A request as a client sends it, and the answer as it reads it.

use bytes::Bytes;
use thalweg_proto::http1::{HeadStatus, RequestHead, parse_head};
use thalweg_proto::offset::Offset;
use thalweg_proto::response::{FieldValue, Response};

/// What a request is for.
#[derive(Clone, Debug)]
pub(crate) enum Purpose {
    /// Create the stream of a path.
    Create,
    /// Append: the number of the append.
    Append {
        /// Which.
        number: usize,
        /// By which producer, if any.
        producer: Option<Producer>,
        /// On condition of a tail.
        conditional: bool,
        /// It was acknowledged before.
        again: bool,
        /// It closes the stream, too.
        closes: bool,
    },
    /// Close without data.
    Close,
    /// Delete.
    Delete,
    /// HEAD.
    Look,
    /// Read a page.
    Read {
        /// Where it begins, if not at the beginning of the stream.
        from: Option<Offset>,
        /// It is one of the pages of a whole stream.
        audit: bool,
    },
}

/// A producer's triple without its id, which is the client's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Producer {
    pub(crate) epoch: u64,
    pub(crate) seq: u64,
    /// The stream that it writes to, if it was known.
    pub(crate) stream: Option<u64>,
}

/// A request that was sent.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) client: usize,
    pub(crate) path: usize,
    pub(crate) purpose: Purpose,
    /// The step at which it was sent.
    pub(crate) sent: u64,
    /// The wall clock when it was sent.
    pub(crate) wall_ms: u64,
    /// The stream that was at the path when it was sent, and the tail that it had at least.
    pub(crate) floor: Option<(u64, u64)>,
    /// The same stream, and where it began then.
    pub(crate) began: Option<(u64, u64)>,
    /// Nothing was under way that could end the stream of the path.
    pub(crate) stable: bool,
    /// The same of the stream that is to be forked.
    pub(crate) source_stable: bool,
    /// Where the stream of the path was forked, if it was.
    pub(crate) fork_point: u64,
}

impl Call {
    /// The tail that a stream had at least when the call was sent.
    pub(crate) fn floor_of(&self, id: u64) -> u64 {
        self.floor.filter(|(stream, _)| *stream == id).map_or(0, |(_, tail)| tail)
    }

    /// Where a stream began when the call was sent.
    pub(crate) fn beginning_of(&self, id: u64) -> u64 {
        self.began.filter(|(stream, _)| *stream == id).map_or(0, |(_, start)| start)
    }
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) next: Option<Offset>,
    pub(crate) closed: bool,
    pub(crate) up_to_date: bool,
    /// From the entity tag: stream, first position, position after the last byte.
    pub(crate) tag: Option<(u64, u64, u64)>,
    /// The code of a problem.
    pub(crate) code: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn of(response: &Response) -> Answer {
        let text = |name: &str| {
            let field = response.fields.iter().find(|(field, _)| *field == name);
            field.map(|(_, value)| text_of(value))
        };
        let body = response.body.concat();
        let code = if response.status.is_success() { String::new() } else { code_of(&body) };
        Answer {
            status: response.status.as_u16(),
            next: text("stream-next-offset").and_then(|token| Offset::parse(&token)),
            closed: text("stream-closed").is_some_and(|closed| closed == "true"),
            up_to_date: text("stream-up-to-date").is_some(),
            tag: text("etag").and_then(|tag| parse_tag(&tag)),
            code,
            body,
        }
    }
}

fn text_of(value: &FieldValue) -> String {
    match value {
        FieldValue::Static(text) => (*text).to_owned(),
        FieldValue::Token(token) => String::from_utf8_lossy(token).into_owned(),
        FieldValue::Number(number) => number.to_string(),
        FieldValue::Text(text) => text.to_string(),
    }
}

/// `"<stream>:<start>:<end>"`, maybe with `:c`.
fn parse_tag(tag: &str) -> Option<(u64, u64, u64)> {
    let mut parts = tag.trim_matches('"').split(':').map(str::parse::<u64>);
    Some((parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?))
}

/// The last word of the problem's type, or its code.
fn code_of(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let field = |name: &str| {
        let at = text.find(&format!("\"{name}\":\""))? + name.len() + 4;
        text[at..].split('"').next().map(str::to_owned)
    };
    field("code").or_else(|| field("type")).unwrap_or_else(|| text.chars().take(80).collect())
}

/// A head with these fields.
pub(crate) fn head_of(method: &str, target: &str, fields: &[(&str, String)]) -> RequestHead {
    let mut text = format!("{method} {target} HTTP/1.1\r\nHost: sim\r\n");
    for (name, value) in fields {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    match parse_head(text.as_bytes()) {
        Ok(HeadStatus::Complete(head, _)) => head,
        other => panic!("the workload sent a bad head: {text} {other:?}"),
    }
}

/// A body with its length among the fields.
pub(crate) fn sized(fields: &mut Vec<(&'static str, String)>, body: &str) -> Bytes {
    fields.push(("Content-Length", body.len().to_string()));
    Bytes::copy_from_slice(body.as_bytes())
}

//! HTTP Request, with HTTP Request Defaults.
//!
//! A property that is empty in the sampler is that of the nearest defaults; their parameters follow
//! those of the sampler. Bodies and the fields that JMeter adds by itself are as JMeter 5.5 sends
//! them, except that text is UTF-8.
//!
//! Deliberately absent: file uploads, multipart, embedded resources, proxies, and following
//! redirects: an answer that JMeter would follow counts as failed.

use std::time::Duration;

use super::encode::{self, Keep};
use super::headers;
use super::reader::{Fault, Reader, unsupported};
use super::text::joined;
use super::tree::{Element, Entry};
use super::url;
use crate::plan::{Assertion, Piece, SamplerKind, Template};

/// A sampler and the elements that it is below, the plan first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'e, 'a> {
    pub(super) sampler: &'e Element<'a>,
    pub(super) above: &'e [&'e Element<'a>],
}

/// What a sampler sends, and which status is right.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) kind: SamplerKind,
    pub(super) fields: Vec<(String, Template)>,
    pub(super) status: Assertion,
}

impl<'e, 'a> Request<'e, 'a> {
    /// Elements of a class that apply to the sampler, the nearest first.
    pub(super) fn applying(self, class: &'static str) -> impl Iterator<Item = &'e Element<'a>> {
        let levels = std::iter::once(self.sampler).chain(self.above.iter().rev().copied());
        levels.flat_map(|level| &level.applies).filter(move |element| element.class == class)
    }

    /// A property as it is written, of the sampler or of its defaults.
    pub(super) fn text(self, property: &str) -> String {
        self.find(property).map(|(_, text)| text).unwrap_or_default()
    }

    /// The same, read.
    pub(super) fn property(self, reader: &Reader<'_>, property: &str) -> Result<Template, Fault> {
        match self.find(property) {
            Some((element, text)) => reader.template(element, property, &text),
            None => Ok(Template::default()),
        }
    }

    fn find(self, property: &str) -> Option<(&'e Element<'a>, String)> {
        std::iter::once(self.sampler)
            .chain(self.applying("ConfigTestElement"))
            .filter_map(|element| Some((element, element.text(property)?)))
            .find(|(_, text)| !text.is_empty())
    }

    fn flag(self, property: &str) -> bool {
        self.text(property).trim().eq_ignore_ascii_case("true")
    }

    fn arguments(self) -> Vec<(&'e Element<'a>, Entry<'a>)> {
        let within = &["HTTPsampler.Arguments"];
        std::iter::once(self.sampler)
            .chain(self.applying("ConfigTestElement"))
            .flat_map(|element| {
                let entries = element.entries(within, "Arguments.arguments");
                entries.into_iter().map(move |entry| (element, entry))
            })
            .collect()
    }
}

/// Reads a sampler, all but its assertions and extractors.
pub(super) fn read(reader: &mut Reader<'_>, request: Request<'_, '_>) -> Result<Sent, Fault> {
    refuse_the_rest(request)?;
    let method = method(reader, request)?;
    let mut fields = headers::read(reader, &request)?;
    let mut url = url::read(reader, &request)?;
    let arguments = request.arguments();
    let nameless = |(_, entry): &(_, Entry<'_>)| name(entry).is_empty();
    let raw = request.sampler.flag("HTTPSampler.postBodyRaw", false)
        || !arguments.is_empty() && arguments.iter().all(nameless);
    if matches!(method.as_str(), "GET" | "DELETE" | "OPTIONS") && !raw && !url.whole {
        let query = parameters(reader, request, &arguments, Keep::Url)?;
        append_query(&mut url.path, query);
    }
    let body = match method.as_str() {
        _ if raw => raw_body(reader, &arguments)?,
        "POST" | "PUT" | "PATCH" | "DELETE" => {
            parameters(reader, request, &arguments, Keep::EncodedForm)?
        }
        _ => Template::default(),
    };
    let of_body = content_type(&method, raw, &request.text("HTTPSampler.contentEncoding"))?;
    let of_body = of_body.filter(|_| !headers::has(&fields, "content-type"));
    fields.extend(of_body.map(|of_body| ("Content-Type".to_owned(), text(of_body))));
    let expected = "milliseconds";
    let timeout: Option<u64> = match request.find("HTTPSampler.response_timeout") {
        Some((element, _)) => reader.number(element, "HTTPSampler.response_timeout", expected)?,
        None => None,
    };
    if let Some(ms) = timeout.filter(|ms| *ms > 0) {
        reader.uses_timeout(Duration::from_millis(ms));
    }
    reader.uses_origin(&url.origin)?;
    let kind = SamplerKind::Http { method, path: url.path, body };
    Ok(Sent { kind, fields, status: good_status(request) })
}

fn refuse_the_rest(request: Request<'_, '_>) -> Result<(), Fault> {
    let files = request.sampler.entries(&["HTTPsampler.Files"], "HTTPFileArgs.files");
    let reasons = [
        (!files.is_empty(), "files to upload"),
        (request.flag("HTTPSampler.DO_MULTIPART_POST"), "multipart bodies"),
        (request.flag("HTTPSampler.image_parser"), "embedded resources"),
        (!request.text("HTTPSampler.proxyHost").is_empty(), "a proxy"),
        (!request.text("HTTPSampler.ipSource").is_empty(), "a source address"),
        (
            !request.sampler.flag("HTTPSampler.use_keepalive", true),
            "a new connection for each request (Use KeepAlive is off)",
        ),
    ];
    match reasons.into_iter().find(|(it_is, _)| *it_is) {
        Some((_, reason)) => unsupported(reason),
        None => Ok(()),
    }
}

fn method(reader: &Reader<'_>, request: Request<'_, '_>) -> Result<String, Fault> {
    let method = reader.fixed(request.sampler, "HTTPSampler.method")?.trim().to_ascii_uppercase();
    match method.as_str() {
        "" => Ok("GET".to_owned()),
        "CONNECT" => unsupported("the method CONNECT"),
        _ if ::http::Method::from_bytes(method.as_bytes()).is_ok() => Ok(method),
        _ => Err(reader.wrong(request.sampler, "HTTPSampler.method", &method, "a method")),
    }
}

fn name(entry: &Entry<'_>) -> String {
    entry.text("Argument.name").unwrap_or_default()
}

fn raw_body(
    reader: &Reader<'_>,
    arguments: &[(&Element<'_>, Entry<'_>)],
) -> Result<Template, Fault> {
    let mut out = Vec::new();
    for (element, entry) in arguments {
        let value = entry.text("Argument.value").unwrap_or_default();
        let value = reader.template(element, "Argument.value", &value)?;
        let encode = entry.flag("HTTPArgument.always_encode");
        out.extend(if encode { encode::template(&value, Keep::Form).0 } else { value.0 });
    }
    Ok(Template(joined(out)))
}

/// `a=1&b=2`; parameters without a name are left out. `otherwise`: how to encode those that are
/// said to be encoded already.
fn parameters(
    reader: &mut Reader<'_>,
    request: Request<'_, '_>,
    arguments: &[(&Element<'_>, Entry<'_>)],
    otherwise: Keep,
) -> Result<Template, Fault> {
    let mut out = Vec::new();
    for (element, entry) in arguments {
        let encode = entry.flag("HTTPArgument.always_encode");
        let keep = if encode { Keep::Form } else { otherwise };
        let name = reader.template(element, "Argument.name", &name(entry))?;
        if name.0.is_empty() {
            continue;
        }
        let value = entry.text("Argument.value").unwrap_or_default();
        let value = reader.template(element, &self::name(entry), &value)?;
        if keep != Keep::Url && (encode::has_variables(&name) || encode::has_variables(&value)) {
            let note = "what variables hold is put into parameters as it is, not encoded";
            reader.note(request.sampler, note);
        }
        if !out.is_empty() {
            out.push(Piece::Text("&".to_owned()));
        }
        out.extend(encode::template(&name, keep).0);
        let equals = entry.text("Argument.metadata").unwrap_or_else(|| "=".to_owned());
        out.push(Piece::Text(equals));
        out.extend(encode::template(&value, keep).0);
    }
    Ok(Template(joined(out)))
}

fn append_query(path: &mut Template, query: Template) {
    if query.0.is_empty() {
        return;
    }
    let has_query = |piece: &Piece| matches!(piece, Piece::Text(text) if text.contains('?'));
    let sign = if path.0.iter().any(has_query) { "&" } else { "?" };
    path.0.push(Piece::Text(sign.to_owned()));
    path.0.extend(query.0);
    path.0 = joined(std::mem::take(&mut path.0));
}

/// What JMeter says of a body when no header manager does.
fn content_type(method: &str, raw: bool, encoding: &str) -> Result<Option<&'static str>, Fault> {
    let utf8 = match encoding.trim().to_ascii_lowercase().as_str() {
        "" => false,
        "utf-8" | "utf8" => true,
        other => return unsupported(format!("the content encoding {other}; bodies are UTF-8")),
    };
    Ok(match method {
        _ if raw && utf8 => Some("text/plain; charset=UTF-8"),
        _ if raw => Some("text/plain"),
        "POST" | "PUT" | "PATCH" | "DELETE" => {
            Some("application/x-www-form-urlencoded; charset=UTF-8")
        }
        _ => None,
    })
}

/// JMeter takes everything below 400 for right; a redirect that it would follow is not followed.
fn good_status(request: Request<'_, '_>) -> Assertion {
    let follows = ["HTTPSampler.follow_redirects", "HTTPSampler.auto_redirects"]
        .iter()
        .any(|property| request.sampler.flag(property, false));
    Assertion::Status(match follows {
        true => vec![200..=300, 304..=306, 309..=399],
        false => vec![200..=399],
    })
}

fn text(text: &str) -> Template {
    Template(vec![Piece::Text(text.to_owned())])
}

//! Where a request goes: server, port and path of the sampler or of its defaults.
//!
//! Invariant: the server is known before the run, because connections are kept to it.

use super::encode::{self, Keep};
use super::http::Request;
use super::reader::{Fault, Reader, unsupported};
use super::text::{fixed_text, joined};
use crate::plan::{Piece, PlanError, Template};

/// A URL, split.
#[derive(Debug)]
pub(super) struct Url {
    /// `http://host:port`.
    pub(super) origin: String,
    /// From the slash on, without the parameters of the sampler's table.
    pub(super) path: Template,
    /// The path field had a whole URL in it; JMeter leaves out the parameters then.
    pub(super) whole: bool,
}

/// The URL of a request.
pub(super) fn read(reader: &Reader<'_>, request: &Request<'_, '_>) -> Result<Url, Fault> {
    let path = request.property(reader, "HTTPSampler.path")?;
    if let Some(Piece::Text(text)) = path.0.first()
        && let Some((scheme, _)) = text.split_once("://")
        && is_scheme(scheme)
    {
        check_scheme(scheme)?;
        return whole(reader, request, &path);
    }
    let fixed = |property| -> Result<String, Fault> {
        let value = request.property(reader, property)?;
        fixed_text(&value).map(|text| text.trim().to_owned()).ok_or_else(|| {
            reader.wrong(
                request.sampler,
                property,
                &request.text(property),
                "a value that is known before the run",
            )
        })
    };
    check_scheme(&fixed("HTTPSampler.protocol")?)?;
    let host = fixed("HTTPSampler.domain")?;
    if host.is_empty() {
        let place = reader.place(request.sampler, Some("HTTPSampler.domain"));
        let expected = "the server's name, here or in HTTP Request Defaults".to_owned();
        return Err(PlanError::Missing { place, expected }.into());
    }
    let port = fixed("HTTPSampler.port")?;
    let expected = "a port from 1 to 65535, or nothing";
    let port: Option<u16> = reader.parsed(request.sampler, "HTTPSampler.port", &port, expected)?;
    // An IPv6 address may stand there as it is.
    let host =
        if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host };
    let origin = match port.filter(|port| *port != 0) {
        None => format!("http://{host}"),
        Some(port) => format!("http://{host}:{port}"),
    };
    check_origin(reader, request, "HTTPSampler.domain", &origin)?;
    Ok(Url { origin, path: from_root(&path), whole: false })
}

fn whole(reader: &Reader<'_>, request: &Request<'_, '_>, url: &Template) -> Result<Url, Fault> {
    let Some(Piece::Text(first)) = url.0.first() else { return Err(no_server(reader, request)) };
    let after_scheme = first.find("://").map_or(0, |at| at + 3);
    let end = first[after_scheme..].find(['/', '?', '#']).map(|at| at + after_scheme);
    let end = match end {
        Some(end) => end,
        None if url.0.len() == 1 => first.len(),
        None => return Err(no_server(reader, request)),
    };
    let origin = format!("http://{}", &first[after_scheme..end]);
    check_origin(reader, request, "HTTPSampler.path", &origin)?;
    let mut pieces = vec![Piece::Text(first[end..].to_owned())];
    pieces.extend(url.0.iter().skip(1).cloned());
    Ok(Url { origin, path: from_root(&Template(joined(pieces))), whole: true })
}

fn no_server(reader: &Reader<'_>, request: &Request<'_, '_>) -> Fault {
    let property = "HTTPSampler.path";
    let expected = "a URL whose server is known before the run";
    reader.wrong(request.sampler, property, &request.text(property), expected)
}

fn is_scheme(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn check_scheme(scheme: &str) -> Result<(), Fault> {
    match scheme.to_ascii_lowercase().as_str() {
        "" | "http" => Ok(()),
        "https" => unsupported("https"),
        other => unsupported(format!("the protocol {other}")),
    }
}

fn check_origin(
    reader: &Reader<'_>,
    request: &Request<'_, '_>,
    property: &str,
    origin: &str,
) -> Result<(), Fault> {
    let authority = origin.strip_prefix("http://").unwrap_or(origin);
    match authority.parse::<::http::uri::Authority>() {
        Ok(authority) if !authority.host().is_empty() && !authority.as_str().contains('@') => {
            Ok(())
        }
        _ => Err(reader.wrong(request.sampler, property, authority, "the name of a server")),
    }
}

/// JMeter puts a slash before a path that has none, and encodes what may not be in a URL.
fn from_root(path: &Template) -> Template {
    let mut path = encode::template(path, Keep::Url);
    // What is behind a hash stays with the client.
    if let Some(at) = path.0.iter().position(|piece| fragment(piece).is_some()) {
        let kept = fragment(&path.0[at]).unwrap_or_default();
        path.0.truncate(at);
        path.0.push(Piece::Text(kept));
    }
    if !matches!(path.0.first(), Some(Piece::Text(text)) if text.starts_with('/')) {
        path.0.insert(0, Piece::Text("/".to_owned()));
    }
    Template(joined(path.0))
}

/// The text before a hash, if there is one.
fn fragment(piece: &Piece) -> Option<String> {
    match piece {
        Piece::Text(text) => text.split_once('#').map(|(before, _)| before.to_owned()),
        _ => None,
    }
}

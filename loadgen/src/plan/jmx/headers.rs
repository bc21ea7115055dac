//! HTTP Header Manager.
//!
//! All managers that apply to a sampler are merged; of a name that several have, the nearest one
//! counts.

use super::http::Request;
use super::reader::{Fault, Reader, unsupported};
use super::tree::Element;
use crate::plan::{Piece, PlanError, Template};

/// Fields of a request, in order.
pub(super) fn read(
    reader: &mut Reader<'_>,
    request: &Request<'_, '_>,
) -> Result<Vec<(String, Template)>, PlanError> {
    let mut out: Vec<(String, Template)> = Vec::new();
    for manager in request.applying("HeaderManager") {
        let nearer = out.len();
        let read = fields(reader, manager);
        for (name, value) in reader.accept(manager, read)?.unwrap_or_default() {
            if !has(&out[..nearer], &name) {
                out.push((name, value));
            }
        }
    }
    Ok(out)
}

/// Whether there is a field of this name.
pub(super) fn has(fields: &[(String, Template)], name: &str) -> bool {
    fields.iter().any(|(other, _)| other.eq_ignore_ascii_case(name))
}

fn fields(
    reader: &mut Reader<'_>,
    manager: &Element<'_>,
) -> Result<Vec<(String, Template)>, Fault> {
    let mut out = Vec::new();
    for entry in manager.entries(&[], "HeaderManager.headers") {
        let name = entry.text("Header.name").unwrap_or_default();
        let name = reader.fixed_of(manager, "Header.name", &name)?.trim().to_owned();
        let value = entry.text("Header.value").unwrap_or_default();
        if name.is_empty() {
            continue;
        }
        if ::http::HeaderName::from_bytes(name.as_bytes()).is_err() {
            return Err(reader.wrong(manager, "Header.name", &name, "the name of a header field"));
        }
        let template = reader.template(manager, &name, value.trim())?;
        if template.0.iter().any(breaks_lines) {
            return Err(reader.wrong(manager, &name, &value, "a value without line breaks"));
        }
        match name.to_ascii_lowercase().as_str() {
            // Computed from the body, by JMeter too.
            "content-length" => continue,
            // Answers are checked as they come, so they must not be compressed.
            "accept-encoding" => {
                reader.note(manager, "Accept-Encoding is not sent; answers come uncompressed");
            }
            "connection" if value.trim().eq_ignore_ascii_case("keep-alive") => continue,
            "connection" | "transfer-encoding" | "host" | "upgrade" | "expect" => {
                return unsupported(format!("the field {name}, which belongs to the connection"));
            }
            _ => out.push((name, template)),
        }
    }
    Ok(out)
}

fn breaks_lines(piece: &Piece) -> bool {
    matches!(piece, Piece::Text(text) if text.chars().any(|c| c.is_control() && c != '\t'))
}

//! One span for an answered request, out of what the access log knows of it too.

use std::time::{Duration, SystemTime};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{
    ResourceSpans, ScopeSpans, Span as ProtoSpan, Status, span::SpanKind, status::StatusCode,
};

use super::export::{nanos, number, text};
use crate::access_log::Entry;

/// See the module.
pub struct Span {
    /// The request.
    pub entry: Entry,
    /// Names the trace, if the client has not.
    pub trace_id: [u8; 16],
    /// Names the span.
    pub span_id: [u8; 8],
}

/// These spans.
pub(super) fn request(
    resource: &Resource,
    scope: &InstrumentationScope,
    spans: Vec<Span>,
) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource.clone()),
            scope_spans: vec![ScopeSpans {
                scope: Some(scope.clone()),
                spans: spans.into_iter().map(span).collect(),
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    }
}

fn span(span: Span) -> ProtoSpan {
    let Span { entry, trace_id, span_id } = span;
    let end = SystemTime::UNIX_EPOCH + Duration::from_millis(entry.at.0);
    let mut attributes = vec![
        text("http.request.method", entry.method.as_str()),
        text("url.path", &entry.path),
        number("http.response.status_code", u64::from(entry.status)),
        text("network.protocol.version", entry.protocol.trim_start_matches("HTTP/")),
        number("http.request.body.size", entry.request_bytes),
        number("http.response.body.size", entry.response_bytes),
        text("thalweg.operation", entry.operation.name()),
        text("thalweg.request_id", entry.id.as_str()),
        number("thalweg.core", entry.core as u64),
    ];
    attributes.extend(entry.peer.map(|peer| text("client.address", &peer.ip().to_string())));
    attributes.extend(entry.code.map(|code| text("error.type", code)));
    let failed = entry.status >= 500;
    ProtoSpan {
        trace_id: entry.trace.map_or(trace_id, |trace| trace.trace_id).to_vec(),
        span_id: span_id.to_vec(),
        parent_span_id: entry.trace.map(|trace| trace.parent.to_vec()).unwrap_or_default(),
        name: format!("{} {}", entry.method, entry.operation.name()),
        kind: SpanKind::Server as i32,
        start_time_unix_nano: nanos(end.checked_sub(entry.took).unwrap_or(end)),
        end_time_unix_nano: nanos(end),
        attributes,
        status: failed.then(|| Status { code: StatusCode::Error as i32, ..Status::default() }),
        ..ProtoSpan::default()
    }
}

//! `/healthz` and `/readyz`: for whoever decides where requests go.

use http::{Method, StatusCode};
use thalweg_proto::http1::RequestHead;
use thalweg_proto::problem::Problem;
use thalweg_proto::response::Response;

use crate::core::Core;

/// Answers a health request; `None` if it is something else.
pub(super) fn answer(core: &Core, head: &RequestHead) -> Option<Response> {
    if !matches!(head.path(), "/healthz" | "/readyz") {
        return None;
    }
    if !matches!(head.method, Method::GET | Method::HEAD) {
        let detail = format!("{}: only GET and HEAD are answered here", head.method);
        let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", detail);
        return Some(problem.with("allow", "GET, HEAD").into_response());
    }
    let (status, body) = core.shared.health.answer(head.path(), Some(core.id))?;
    let response = Response::new(status).with("cache-control", "no-store");
    Some(response.with_body("application/json", body))
}

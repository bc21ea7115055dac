//! The HTTP of the admin listener: a few paths, GET and HEAD.

use std::convert::Infallible;
use std::net::TcpListener as StdTcpListener;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::Subject;
use crate::config::limits::{ADMIN_CONNECTION_LIFETIME, ADMIN_HEAD_TIMEOUT, MAX_ADMIN_CONNECTIONS};
use crate::metrics::render;

/// How long accepting pauses after it failed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

type Answer = Response<Full<Bytes>>;

/// Answers for ever.
pub(super) async fn serve(listener: StdTcpListener, subject: Subject) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "the admin listener cannot be served"),
    };
    let places = Arc::new(Semaphore::new(MAX_ADMIN_CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let socket = match listener.accept().await {
            Ok((socket, _)) => socket,
            Err(error) => {
                tracing::warn!(%error, "the admin listener could not accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let subject = subject.clone();
        tokio::spawn(async move {
            let answer = |request| answer(request, subject.clone());
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(ADMIN_HEAD_TIMEOUT)
                .serve_connection(TokioIo::new(socket), service_fn(answer));
            let mut connection = pin!(connection);
            // Whoever asked may be gone; that is no error of ours.
            if timeout(ADMIN_CONNECTION_LIFETIME, connection.as_mut()).await.is_err() {
                connection.as_mut().graceful_shutdown();
                let _ = timeout(ADMIN_HEAD_TIMEOUT, connection).await;
            }
            drop(place);
        });
    }
}

async fn answer(request: Request<Incoming>, subject: Subject) -> Result<Answer, Infallible> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are answered\n");
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return Ok(answer);
    }
    let path = request.uri().path();
    if let Some((status, body)) = subject.0.shared.health.answer(path, None) {
        return Ok(typed(status, "application/json", body));
    }
    Ok(match path {
        "/metrics" => {
            let samples = subject.samples().await;
            if wants_open_metrics(request.headers()) {
                typed(StatusCode::OK, render::OPEN_METRICS, render::open_metrics(samples))
            } else {
                typed(StatusCode::OK, render::PLAIN, render::plain(samples))
            }
        }
        "/" => text(StatusCode::OK, "thalweg: /metrics /healthz /readyz\n"),
        _ => text(StatusCode::NOT_FOUND, "there are /metrics, /healthz and /readyz\n"),
    })
}

fn wants_open_metrics(fields: &HeaderMap) -> bool {
    let accepts = fields.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepts.flat_map(|value| value.split(',')).any(|range| {
        let media_type = range.split(';').next().unwrap_or_default();
        media_type.trim().eq_ignore_ascii_case("application/openmetrics-text")
    })
}

fn text(status: StatusCode, body: &'static str) -> Answer {
    typed(status, "text/plain; charset=utf-8", body.to_owned())
}

fn typed(status: StatusCode, media_type: &'static str, body: String) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = status;
    let fields = answer.headers_mut();
    fields.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    fields.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    fields.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    answer
}

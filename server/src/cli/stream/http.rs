//! One HTTP client for all commands: TLS, authorization, time limits, and answers as results.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Certificate, Client, Method, RequestBuilder, Response, Url};
use serde_json::Value;

use super::args::ConnectionArgs;
use super::failure::Failure;

/// The client of one run.
pub(super) struct Http {
    client: Client,
    verbose: bool,
}

impl Http {
    pub(super) fn new(connection: &ConnectionArgs) -> Result<Http, Failure> {
        // Fails if a provider is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut headers = HeaderMap::new();
        if let Some(auth) = connection.auth.as_deref().filter(|auth| !auth.is_empty()) {
            headers.insert(AUTHORIZATION, authorization(auth)?);
        }
        let mut builder = Client::builder();
        if let Some(file) = &connection.ca {
            builder = builder.tls_certs_only(authorities(file)?);
        }
        if connection.http2 {
            builder = builder.http2_prior_knowledge();
        }
        let client = builder
            .tls_danger_accept_invalid_certs(connection.insecure_skip_verify)
            .user_agent(concat!("thalweg/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            .connect_timeout(CONNECT_TIMEOUT)
            // Servers end live responses after a minute or so: longer silence is a dead peer.
            .read_timeout(READ_TIMEOUT)
            .tcp_nodelay(true)
            .build()
            .map_err(|error| Failure::Usage(format!("cannot set up HTTP: {}", chain(&error))))?;
        Ok(Http { client, verbose: connection.verbose })
    }

    pub(super) fn request(&self, method: Method, url: &Url) -> RequestBuilder {
        self.client.request(method, url.clone())
    }

    /// Sends, and returns the answer if it is a success.
    pub(super) async fn send(&self, request: RequestBuilder) -> Result<Response, Failure> {
        let (client, request) = request.build_split();
        let request =
            request.map_err(|error| Failure::Usage(format!("bad request: {}", chain(&error))))?;
        let name = format!("{} {}", request.method(), request.url());
        self.say(|| name.clone());
        let response = client.execute(request).await.map_err(|error| unreachable(&name, &error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(refusal(name, response).await)
    }

    /// A line on stderr, with `--verbose`.
    pub(super) fn say(&self, words: impl FnOnce() -> String) {
        if self.verbose {
            eprintln!("thalweg: {}", words());
        }
    }
}

/// A field of an answer, if it is there and is text.
pub(super) fn field<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name).and_then(|value| value.to_str().ok())
}

/// `Stream-Closed: true` and its like (section 4.1: any other value is as good as none).
pub(super) fn flag(response: &Response, name: &str) -> bool {
    field(response, name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// The tail offset that an answer names.
pub(super) fn next_offset(response: &Response) -> Result<String, Failure> {
    field(response, NEXT_OFFSET)
        .map(str::to_owned)
        .ok_or_else(|| protocol(response.url(), &"there is no Stream-Next-Offset"))
}

pub(super) fn protocol(url: &Url, reason: &dyn ToString) -> Failure {
    Failure::Protocol { request: url.to_string(), reason: reason.to_string() }
}

pub(super) fn unreachable(request: &str, error: &reqwest::Error) -> Failure {
    Failure::Unreachable { request: request.to_owned(), reason: chain(error) }
}

fn authorization(auth: &str) -> Result<HeaderValue, Failure> {
    let value = if auth.contains(' ') { auth.to_owned() } else { format!("Bearer {auth}") };
    let mut value = HeaderValue::try_from(value).map_err(|_| {
        Failure::Usage("--auth (STREAM_AUTH) is not a legal Authorization value".to_owned())
    })?;
    value.set_sensitive(true);
    Ok(value)
}

fn authorities(file: &Path) -> Result<Vec<Certificate>, Failure> {
    let local = |error| Failure::Local { what: file.display().to_string(), error };
    let text = std::fs::read(file).map_err(local)?;
    match Certificate::from_pem_bundle(&text) {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(Failure::Usage(format!("--ca {} has no PEM certificate", file.display()))),
        Err(error) => Err(Failure::Usage(format!("--ca {}: {}", file.display(), chain(&error)))),
    }
}

async fn refusal(request: String, mut response: Response) -> Failure {
    let status = response.status();
    let mut detail = String::new();
    for (name, words) in TELLING_FIELDS {
        if let Some(value) = field(&response, name) {
            detail.push_str(&format!("; {words} {value}"));
        }
    }
    let retry_after = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse().ok());
    let mut body = Vec::new();
    while body.len() < MAX_REASON_BYTES {
        let Ok(Some(chunk)) = response.chunk().await else { break };
        body.extend_from_slice(&chunk);
    }
    let reason = reason(&body);
    let reason = if reason.is_empty() { status.canonical_reason().unwrap_or("") } else { &reason };
    let detail = format!(" {reason}{detail}");
    Failure::Answer { request, status: status.as_u16(), detail, retry_after }
}

/// The sentence in an error body: a problem's `detail`, a common field, or plain text.
fn reason(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let parsed: Option<Value> = serde_json::from_str(&text).ok();
    let words = |value: &Value| {
        let fields = ["detail", "message", "error", "title"];
        fields.iter().find_map(|name| value.get(name)?.as_str().map(str::to_owned))
    };
    let nested = |value: &Value| value.get("error").and_then(words);
    let found = parsed.as_ref().and_then(|value| words(value).or_else(|| nested(value)));
    let line = found.unwrap_or_else(|| text.into_owned());
    line.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_REASON_CHARS).collect()
}

/// reqwest's own message names only the outermost cause.
fn chain(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    let last = causes.last().map(ToString::to_string);
    last.unwrap_or_else(|| error.to_string())
}

/// `Stream-Next-Offset`
pub(super) const NEXT_OFFSET: &str = "stream-next-offset";
/// `Stream-Closed`
pub(super) const CLOSED: &str = "stream-closed";
/// `Stream-Up-To-Date`
pub(super) const UP_TO_DATE: &str = "stream-up-to-date";
/// `Stream-Cursor`
pub(super) const CURSOR: &str = "stream-cursor";

/// Fields of a refusal that say what would have been accepted.
const TELLING_FIELDS: &[(&str, &str)] = &[
    ("stream-closed", "stream closed:"),
    ("stream-next-offset", "stream ends at"),
    ("producer-epoch", "current producer epoch:"),
    ("producer-expected-seq", "expected producer sequence:"),
    ("allow", "allowed:"),
];
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const READ_TIMEOUT: Duration = Duration::from_secs(150);
const MAX_REASON_BYTES: usize = 16 * 1024;
const MAX_REASON_CHARS: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons() {
        let check = |body: &str, want: &str| assert_eq!(reason(body.as_bytes()), want);
        check("plain words", "plain words");
        check("", "");
        check(r#"{"title":"Conflict","detail":"the stream is closed"}"#, "the stream is closed");
        check(r#"{"error":{"message":"no"}}"#, "no");
        check(r#"{"error":"no"}"#, "no");
        check("a\nb", "a b");
    }

    #[test]
    fn authorization_values() {
        let check = |auth: &str, want: &str| {
            assert_eq!(authorization(auth).expect("legal"), want, "{auth}");
        };
        check("abc", "Bearer abc");
        check("Basic dTpw", "Basic dTpw");
        assert!(authorization("a\nb").is_err());
    }
}

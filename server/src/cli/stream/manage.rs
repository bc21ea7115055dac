//! The commands of a single request or two: create, head, close, delete, fork, list.

use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, Response, StatusCode, Url};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use tokio::io::AsyncReadExt;

use thalweg_proto::limits::MAX_LIST_LIMIT;

use super::args::{CloseArgs, CreateArgs, DeleteArgs, ForkArgs, HeadArgs, ListArgs};
use super::failure::Failure;
use super::http::{self, Http};
use super::{json, output, target};

pub(super) async fn create(http: &Http, base: &str, args: &CreateArgs) -> Result<(), Failure> {
    let url = target::stream_url(base, &args.stream)?;
    let mut request = http.request(Method::PUT, &url);
    let content_type =
        if args.json { Some("application/json") } else { args.content_type.as_deref() };
    if let Some(content_type) = content_type {
        request = request.header(CONTENT_TYPE, content_type);
    }
    if let Some(seconds) = args.ttl {
        request = request.header("Stream-TTL", seconds);
    }
    if let Some(instant) = &args.expires_at {
        request = request.header("Stream-Expires-At", instant);
    }
    if let Some(bytes) = args.retention_bytes {
        request = request.header("Stream-Retention-Bytes", bytes);
    }
    if let Some(seconds) = args.retention {
        request = request.header("Stream-Retention-Seconds", seconds);
    }
    if args.closed {
        request = request.header("Stream-Closed", "true");
    }
    if args.stdin {
        request = request.body(stdin().await?);
    } else if let Some(data) = &args.data {
        request = request.body(data.clone());
    }
    report_created(http, &http.send(request).await?)
}

pub(super) async fn fork(http: &Http, base: &str, args: &ForkArgs) -> Result<(), Failure> {
    let source = target::stream_url(base, &args.source)?;
    let url = target::stream_url(base, &args.target)?;
    if source.origin() != url.origin() {
        return Err(Failure::Usage(format!(
            "{source} and {url} are on different servers: a fork stays on its source's server"
        )));
    }
    let mut request = http.request(Method::PUT, &url).header("Stream-Forked-From", source.path());
    if let Some(offset) = &args.offset {
        request = request.header("Stream-Fork-Offset", offset);
    }
    if let Some(sub_offset) = args.sub_offset {
        request = request.header("Stream-Fork-Sub-Offset", sub_offset);
    }
    report_created(http, &http.send(request).await?)
}

fn report_created(http: &Http, response: &Response) -> Result<(), Failure> {
    let created = response.status() == StatusCode::CREATED;
    http.say(|| if created { "created" } else { "it existed already" }.to_owned());
    output::line(&http::next_offset(response)?)
}

pub(super) async fn close(http: &Http, base: &str, args: &CloseArgs) -> Result<(), Failure> {
    let url = target::stream_url(base, &args.stream)?;
    let mut request = http.request(Method::POST, &url).header("Stream-Closed", "true");
    if let Some(data) = &args.data {
        let content_type = match &args.content_type {
            Some(given) => given.clone(),
            None => content_type(http, &url).await?,
        };
        request = request.header(CONTENT_TYPE, content_type).body(data.clone());
    }
    output::line(&http::next_offset(&http.send(request).await?)?)
}

pub(super) async fn delete(http: &Http, base: &str, args: &DeleteArgs) -> Result<(), Failure> {
    let url = target::stream_url(base, &args.stream)?;
    http.send(http.request(Method::DELETE, &url)).await.map(drop)
}

/// The content type that a stream was created with.
pub(super) async fn content_type(http: &Http, url: &Url) -> Result<String, Failure> {
    let response = http.send(http.request(Method::HEAD, url)).await?;
    http::field(&response, CONTENT_TYPE.as_str())
        .map(str::to_owned)
        .ok_or_else(|| http::protocol(url, &"there is no Content-Type"))
}

pub(super) async fn head(http: &Http, base: &str, args: &HeadArgs) -> Result<(), Failure> {
    let url = target::stream_url(base, &args.stream)?;
    let response = http.send(http.request(Method::HEAD, &url)).await?;
    let metadata = metadata(&response);
    if args.json {
        return output::line(&Value::Object(metadata).to_string());
    }
    metadata.iter().try_for_each(|(name, value)| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        output::line(&format!("{name}: {text}"))
    })
}

fn metadata(response: &Response) -> Map<String, Value> {
    let mut metadata = Map::new();
    for (name, header) in METADATA_FIELDS {
        if let Some(value) = http::field(response, header) {
            metadata.insert((*name).to_owned(), value.into());
        }
    }
    metadata.insert("closed".to_owned(), http::flag(response, http::CLOSED).into());
    for (name, header) in METADATA_NUMBERS {
        let number = http::field(response, header).and_then(|text| text.parse().ok());
        if let Some(number) = number {
            metadata.insert((*name).to_owned(), Value::Number(u64::into(number)));
        }
    }
    metadata
}

/// One page of our listing.
#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    streams: Vec<&'a RawValue>,
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct Listed {
    path: String,
}

pub(super) async fn list(http: &Http, base: &str, args: &ListArgs) -> Result<(), Failure> {
    let url = target::below(base, ["__ds", "streams"])?;
    let mut left = args.limit.unwrap_or(usize::MAX);
    let mut cursor: Option<String> = None;
    while left > 0 {
        let mut page_url = url.clone();
        page_url.query_pairs_mut().append_pair("limit", &left.min(MAX_LIST_LIMIT).to_string());
        if let Some(prefix) = &args.prefix {
            page_url.query_pairs_mut().append_pair("prefix", prefix);
        }
        if let Some(cursor) = &cursor {
            page_url.query_pairs_mut().append_pair("cursor", cursor);
        }
        let response = http.send(http.request(Method::GET, &page_url)).await?;
        let body =
            response.bytes().await.map_err(|error| http::unreachable(url.as_str(), &error))?;
        let page: Page<'_> =
            serde_json::from_slice(&body).map_err(|error| http::protocol(&url, &error))?;
        for stream in page.streams.iter().take(left) {
            print_listed(&url, stream, args.json)?;
        }
        left = left.saturating_sub(page.streams.len());
        match page.next_cursor {
            Some(next) if cursor.as_ref() != Some(&next) => cursor = Some(next),
            _ => break,
        }
    }
    Ok(())
}

fn print_listed(url: &Url, stream: &RawValue, as_json: bool) -> Result<(), Failure> {
    if as_json {
        let mut line = Vec::new();
        json::push_line(&mut line, stream);
        return output::write(&line);
    }
    let listed: Listed =
        serde_json::from_str(stream.get()).map_err(|error| http::protocol(url, &error))?;
    output::line(&listed.path)
}

async fn stdin() -> Result<Vec<u8>, Failure> {
    let mut data = Vec::new();
    let read = tokio::io::stdin().read_to_end(&mut data).await;
    read.map_err(|error| Failure::Local { what: "stdin".to_owned(), error })?;
    Ok(data)
}

const METADATA_NUMBERS: &[(&str, &str)] = &[
    ("ttl_seconds", "stream-ttl"),
    ("retention_bytes", "stream-retention-bytes"),
    ("retention_seconds", "stream-retention-seconds"),
];

/// What `head` prints of an answer's fields, beside `closed` and the numbers above.
const METADATA_FIELDS: &[(&str, &str)] = &[
    ("content_type", "content-type"),
    ("earliest_offset", "stream-earliest-offset"),
    ("next_offset", http::NEXT_OFFSET),
    ("expires_at", "stream-expires-at"),
    ("forked_from", "stream-forked-from"),
    ("fork_offset", "stream-fork-offset"),
];

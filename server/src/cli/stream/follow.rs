//! `read --follow`: live data by SSE or long-poll until the stream is closed.
//!
//! Invariant: data goes out together with the offset after it, so that resuming neither repeats nor
//! loses any. An SSE data event therefore waits for its control event, which follows at once.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Method, Response, StatusCode, Url};
use serde::Deserialize;
use thalweg_proto::client::sse::{SseEvent, SseParser};

use super::args::LiveMode;
use super::backoff::Backoff;
use super::failure::Failure;
use super::http::{self, Http};
use super::output::Output;
use super::read::{self, Position};

/// Follows until the stream is closed, or fails for good.
pub(super) async fn follow(
    http: &Http,
    url: &Url,
    output: &Output,
    position: &mut Position,
    mode: LiveMode,
) -> Result<(), Failure> {
    let mut backoff = Backoff::default();
    loop {
        let before = position.offset.clone();
        let result = match mode {
            LiveMode::Sse => sse(http, url, output, position).await,
            LiveMode::LongPoll => long_poll(http, url, output, position).await,
        };
        if position.offset != before {
            backoff.reset();
        }
        match result {
            Ok(Live::Closed) => return Ok(()),
            Ok(Live::Again) => backoff.reset(),
            // An answer that says nothing is not a reason to ask in a tight loop.
            Ok(Live::Silent) => backoff.wait(None).await,
            Err(failure) if failure.is_transient() => {
                http.say(|| format!("{failure}; resuming at {}", position.offset));
                backoff.wait(Some(&failure)).await;
            }
            Err(failure) => return Err(failure),
        }
    }
}

/// How one live answer ended.
enum Live {
    /// The stream is closed and everything is out.
    Closed,
    /// The answer ended as it should: ask again.
    Again,
    /// The answer ended before it said anything.
    Silent,
}

fn live_url(url: &Url, mode: &str, position: &Position) -> Url {
    let mut live = url.clone();
    live.query_pairs_mut().append_pair("offset", &position.offset).append_pair("live", mode);
    if let Some(cursor) = &position.cursor {
        live.query_pairs_mut().append_pair("cursor", cursor);
    }
    live
}

async fn long_poll(
    http: &Http,
    url: &Url,
    output: &Output,
    position: &mut Position,
) -> Result<Live, Failure> {
    let live = live_url(url, "long-poll", position);
    let response = http.send(http.request(Method::GET, &live)).await?;
    let next = http::next_offset(&response)?;
    let closed = http::flag(&response, http::CLOSED);
    let cursor = http::field(&response, http::CURSOR).map(str::to_owned);
    if response.status() != StatusCode::NO_CONTENT {
        read::check_type(&response, output)?;
        read::body(response, url, output, position).await?;
    }
    position.advance(next, cursor);
    Ok(if closed { Live::Closed } else { Live::Again })
}

async fn sse(
    http: &Http,
    url: &Url,
    output: &Output,
    position: &mut Position,
) -> Result<Live, Failure> {
    let live = live_url(url, "sse", position);
    let mut response = http.send(http.request(Method::GET, &live)).await?;
    let mut events = Events { url, output, base64: is_base64(&response), held: Vec::new() };
    let mut parser = SseParser::default();
    let mut outcome = Live::Silent;
    loop {
        let chunk = response.chunk().await;
        let chunk = chunk.map_err(|error| http::unreachable(&format!("GET {live}"), &error))?;
        let Some(chunk) = chunk else { return Ok(outcome) };
        let (mut controls, mut taken) = (Vec::new(), Ok(()));
        let pushed = parser.push(&chunk, |event| {
            if taken.is_ok() {
                taken = events.take(&event).map(|control| controls.extend(control));
            }
        });
        for control in controls {
            position.advance(control.stream_next_offset, control.stream_cursor);
            http.say(|| format!("read up to {}", position.offset));
            if control.stream_closed {
                return Ok(Live::Closed);
            }
            outcome = Live::Again;
        }
        taken?;
        pushed.map_err(|error| http::protocol(url, &error))?;
    }
}

fn is_base64(response: &Response) -> bool {
    http::field(response, "stream-sse-data-encoding")
        .is_some_and(|encoding| encoding.eq_ignore_ascii_case("base64"))
}

/// Section 5.8: follows every data event.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Control {
    stream_next_offset: String,
    stream_cursor: Option<String>,
    #[serde(default)]
    stream_closed: bool,
}

struct Events<'a> {
    url: &'a Url,
    output: &'a Output,
    base64: bool,
    /// Data whose control event has not arrived.
    held: Vec<Vec<u8>>,
}

impl Events<'_> {
    /// Takes an event in order. A control event lets the data before it out.
    fn take(&mut self, event: &SseEvent<'_>) -> Result<Option<Control>, Failure> {
        match &*event.name {
            b"data" => {
                self.held.push(self.decode(&event.data)?);
                Ok(None)
            }
            b"control" => {
                let control = serde_json::from_slice(&event.data)
                    .map_err(|error| http::protocol(self.url, &error))?;
                for data in self.held.drain(..) {
                    self.output.data(self.url, &data)?;
                }
                Ok(Some(control))
            }
            // A later version of the protocol may have more kinds of events.
            _ => Ok(None),
        }
    }

    fn decode(&self, data: &[u8]) -> Result<Vec<u8>, Failure> {
        let mut text = data.to_vec();
        if !self.base64 {
            return Ok(text);
        }
        text.retain(|byte| !matches!(byte, b'\n' | b'\r'));
        STANDARD
            .decode(text)
            .map_err(|error| http::protocol(self.url, &format!("bad base64 in SSE: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event<'a>(name: &'a str, data: &'a str) -> SseEvent<'a> {
        SseEvent { name: name.as_bytes().into(), data: data.as_bytes().into(), id: None }
    }

    #[test]
    fn data_waits_for_its_control_event() {
        let url = Url::parse("http://h/s").expect("a URL");
        let output = Output::new(false);
        let mut events = Events { url: &url, output: &output, base64: true, held: Vec::new() };
        assert!(events.take(&event("data", "AQID\nBA==")).expect("base64").is_none());
        assert_eq!(events.held, [vec![1, 2, 3, 4]]);
        assert!(events.take(&event("data", "no base64!")).is_err());
        assert!(events.take(&event("future", "x")).expect("ignored").is_none());
        events.held.clear();
        let control = r#"{"streamNextOffset":"7","upToDate":true,"streamClosed":true,"new":1}"#;
        let control = events.take(&event("control", control)).expect("JSON").expect("a control");
        assert_eq!(control.stream_next_offset, "7");
        assert!(control.stream_closed && control.stream_cursor.is_none());
        assert!(events.take(&event("control", "{}")).is_err());
    }
}

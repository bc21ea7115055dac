//! `read`: page after page to the end of the stream, then live if asked to.
//!
//! Bytes go out as they arrive. If an answer breaks off in the middle, the same offset is asked for
//! again and what is out already is skipped: bytes at an offset never change.

use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, Response, Url};

use super::args::{FROM_NOW, FROM_START, ReadArgs};
use super::backoff::Backoff;
use super::failure::Failure;
use super::http::{self, Http};
use super::output::Output;
use super::{follow, json, target};

/// Where a read stands.
pub(super) struct Position {
    /// The next offset to ask for.
    pub(super) offset: String,
    /// What the last answer said to echo.
    pub(super) cursor: Option<String>,
    /// Bytes of the answer at `offset` that are out already.
    written: usize,
}

pub(super) async fn read(http: &Http, base: &str, args: &ReadArgs) -> Result<(), Failure> {
    let url = target::stream_url(base, &args.stream)?;
    let output = Output::new(args.json);
    let offset = match args.from.as_str() {
        FROM_START => START,
        offset => offset,
    };
    let mut position = Position { offset: offset.to_owned(), cursor: None, written: 0 };
    let closed = catch_up(http, &url, &output, &mut position, args.follow).await?;
    if args.follow && !closed {
        follow::follow(http, &url, &output, &mut position, args.mode).await?;
    }
    http.say(|| format!("ended at {}", position.offset));
    Ok(())
}

/// Reads pages until the stream's end. Returns whether the stream is closed.
async fn catch_up(
    http: &Http,
    url: &Url,
    output: &Output,
    position: &mut Position,
    patient: bool,
) -> Result<bool, Failure> {
    let mut backoff = Backoff::default();
    let mut answered = false;
    loop {
        let failure = match page(http, url, output, position).await {
            Ok(Page::More) => {
                answered = true;
                backoff.reset();
                continue;
            }
            Ok(Page::End { closed }) => return Ok(closed),
            Err(failure) => failure,
        };
        // A server that never answered is a mistake in the URL more often than a restart.
        let resumable = answered || position.written > 0;
        let tired = !patient && backoff.failures() == MAX_RETRIES;
        if !resumable || !failure.is_transient() || tired {
            return Err(failure);
        }
        http.say(|| format!("{failure}; resuming at {}", position.offset));
        backoff.wait(Some(&failure)).await;
    }
}

enum Page {
    More,
    End { closed: bool },
}

async fn page(
    http: &Http,
    url: &Url,
    output: &Output,
    position: &mut Position,
) -> Result<Page, Failure> {
    let mut page_url = url.clone();
    page_url.query_pairs_mut().append_pair("offset", &position.offset);
    let response = http.send(http.request(Method::GET, &page_url)).await?;
    check_type(&response, output)?;
    let next = http::next_offset(&response)?;
    let closed = http::flag(&response, http::CLOSED);
    let up_to_date = http::flag(&response, http::UP_TO_DATE);
    let cursor = http::field(&response, http::CURSOR).map(str::to_owned);
    if position.offset == FROM_NOW {
        // There is no data at the tail, only the empty array of a JSON stream.
        drain(response, url).await?;
    } else {
        body(response, url, output, position).await?;
    }
    let stuck = next == position.offset;
    position.advance(next, cursor);
    http.say(|| format!("read up to {}", position.offset));
    // Without either field, a page that does not get further is the end as well.
    Ok(if closed || up_to_date || stuck { Page::End { closed } } else { Page::More })
}

impl Position {
    /// Everything before `offset` is out.
    pub(super) fn advance(&mut self, offset: String, cursor: Option<String>) {
        self.offset = offset;
        self.cursor = cursor.or_else(|| self.cursor.take());
        self.written = 0;
    }
}

/// Copies an answer's body to stdout.
pub(super) async fn body(
    mut response: Response,
    url: &Url,
    output: &Output,
    position: &mut Position,
) -> Result<(), Failure> {
    if output.json_lines() {
        let array = drain(response, url).await?;
        return output.data(url, &array);
    }
    let mut skip = position.written;
    while let Some(chunk) = response.chunk().await.map_err(|error| broken(url, &error))? {
        let fresh = &chunk[skip.min(chunk.len())..];
        skip -= chunk.len() - fresh.len();
        output.data(url, fresh)?;
        position.written += fresh.len();
    }
    Ok(())
}

async fn drain(response: Response, url: &Url) -> Result<Vec<u8>, Failure> {
    response.bytes().await.map(Vec::from).map_err(|error| broken(url, &error))
}

fn broken(url: &Url, error: &reqwest::Error) -> Failure {
    http::unreachable(&format!("GET {url}"), error)
}

/// `--json` needs a JSON stream.
pub(super) fn check_type(response: &Response, output: &Output) -> Result<(), Failure> {
    let content_type = http::field(response, CONTENT_TYPE.as_str()).unwrap_or_default();
    if output.json_lines() && !json::is_json(content_type) {
        return Err(Failure::Input(format!(
            "{} is {content_type:?}: --json reads application/json only",
            response.url()
        )));
    }
    Ok(())
}

/// The protocol's word for the beginning.
const START: &str = "-1";
const MAX_RETRIES: u32 = 5;

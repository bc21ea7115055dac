//! `append`: batches to POST requests, exactly once if a producer id is given.

use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, Response, StatusCode, Url};

use super::args::AppendArgs;
use super::backoff::Backoff;
use super::batch::{Batch, Batches, Source};
use super::failure::Failure;
use super::http::{self, Http};
use super::{manage, output, target};

pub(super) async fn append(http: &Http, base: &str, args: &AppendArgs) -> Result<(), Failure> {
    let url = target::stream_url(base, &args.stream)?;
    let content_type = match (&args.content_type, args.json) {
        (Some(given), _) => given.clone(),
        (None, true) => "application/json".to_owned(),
        (None, false) => manage::content_type(http, &url).await?,
    };
    let source = match (&args.data, &args.file) {
        (Some(data), _) => Source::Text(data.clone()),
        (None, Some(path)) => Source::File(path.clone()),
        (None, None) => Source::Stdin,
    };
    let mut batches = Batches::open(source, args.json).await?;
    let mut writer = Writer {
        http,
        args,
        url,
        content_type,
        producer_seq: args.producer_seq,
        expected_offset: args.expected_offset.clone(),
        appends: 0,
    };
    let mut held = None;
    while let Some(batch) = batches.next().await? {
        if args.seq.is_some() && held.is_some() {
            return Err(Failure::Input(
                "the input is too large for one append, and --seq names only one".to_owned(),
            ));
        }
        // Whether a batch is the last one shows only when there is no other, so `--close` and
        // `--seq` stay one batch behind.
        let ready =
            if args.close || args.seq.is_some() { held.replace(batch) } else { Some(batch) };
        if ready.is_some() {
            writer.post(ready, false).await?;
        }
    }
    if held.is_some() || args.close {
        writer.post(held, args.close).await?;
    }
    if writer.appends == 0 {
        return Err(Failure::Input("there is nothing to append: the input is empty".to_owned()));
    }
    Ok(())
}

struct Writer<'a> {
    http: &'a Http,
    args: &'a AppendArgs,
    url: Url,
    content_type: String,
    producer_seq: u64,
    expected_offset: Option<String>,
    appends: u64,
}

impl Writer<'_> {
    /// Appends one batch. No batch and `close` is a close alone.
    async fn post(&mut self, batch: Option<Batch>, close: bool) -> Result<(), Failure> {
        let response = self.send(batch.as_ref(), close).await?;
        let offset = http::field(&response, http::NEXT_OFFSET).map(str::to_owned);
        let duplicate =
            self.args.producer_id.is_some() && response.status() == StatusCode::NO_CONTENT;
        self.http.say(|| {
            let (messages, bytes) =
                batch.as_ref().map_or((0, 0), |batch| (batch.messages, batch.body.len()));
            let tail = offset.as_deref().unwrap_or("not named");
            let known = if duplicate { " (a duplicate: it was stored before)" } else { "" };
            format!("appended {bytes} bytes, messages: {messages}, tail: {tail}{known}")
        });
        self.appends += 1;
        self.producer_seq += 1;
        if self.expected_offset.is_some() {
            self.expected_offset.clone_from(&offset);
        }
        // The reference server leaves the offset out when it acknowledges a duplicate.
        offset.map_or(Ok(()), |offset| output::line(&offset))
    }

    async fn send(&self, batch: Option<&Batch>, close: bool) -> Result<Response, Failure> {
        let mut backoff = Backoff::default();
        loop {
            let failure = match self.http.send(self.request(batch, close)).await {
                Ok(response) => return Ok(response),
                Err(failure) => failure,
            };
            // Only a producer's append can be sent twice and stored once.
            let safe = self.args.producer_id.is_some();
            if !safe || !failure.is_transient() || backoff.failures() == MAX_RETRIES {
                return Err(failure);
            }
            self.http.say(|| format!("{failure}; trying again"));
            backoff.wait(Some(&failure)).await;
        }
    }

    fn request(&self, batch: Option<&Batch>, close: bool) -> reqwest::RequestBuilder {
        let mut request = self.http.request(Method::POST, &self.url);
        if let Some(batch) = batch {
            request = request.header(CONTENT_TYPE, &self.content_type).body(batch.body.clone());
        }
        if close {
            request = request.header("Stream-Closed", "true");
        }
        if let Some(seq) = &self.args.seq {
            request = request.header("Stream-Seq", seq);
        }
        if let Some(offset) = &self.expected_offset {
            request = request.header("Stream-Expected-Offset", offset);
        }
        if let Some(id) = &self.args.producer_id {
            request = request
                .header("Producer-Id", id)
                .header("Producer-Epoch", self.args.producer_epoch)
                .header("Producer-Seq", self.producer_seq);
        }
        request
    }
}

/// With [`Backoff`]'s schedule about half a minute: a restart of the server.
const MAX_RETRIES: u32 = 10;

//! After a restart: is everything there that must be, nothing else, and nothing by halves?
//!
//! Settles what was on its way, so that the next round begins with certainty.

use std::collections::HashSet;

use rand::Rng;
use rand::rngs::StdRng;

use super::history::{Flight, Log, is_whole};
use super::writer::{Slot, State, Writer};
use crate::support::{Client, Request, Response};

/// What was found, for the summary.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Found {
    /// Unacknowledged appends that were stored, whole.
    pub(super) stored: u64,
    /// Unacknowledged appends that were absent.
    pub(super) absent: u64,
    /// Identical retries of acknowledged or stored producer appends: 204, nothing stored.
    pub(super) known: u64,
    /// Retries of absent producer appends: stored once.
    pub(super) retried: u64,
    /// Tokens that were read from again.
    pub(super) tokens: u64,
    /// Deleted streams that stayed so.
    pub(super) deleted: u64,
}

/// Tokens of each stream that are read from again.
const TOKENS_PER_STREAM: usize = 6;

/// Checks everything that a writer knows, and settles what it does not.
pub(super) fn verify(writer: &mut Writer, client: &mut Client, random: &mut StdRng) -> Found {
    let mut found = Found::default();
    for slot in &mut writer.slots {
        verify_slot(slot, client, random, &mut found);
    }
    for log in &mut writer.shared {
        let read = read(client, &log.path, "-1", log.json);
        let own = format!("{}.", log.tag);
        let frames: Vec<_> =
            read.frames.into_iter().filter(|frame| frame.starts_with(&own)).collect();
        log.marks.clear();
        settle(log, frames, false, client, &mut found);
    }
    found
}

fn verify_slot(slot: &mut Slot, client: &mut Client, random: &mut StdRng, found: &mut Found) {
    let state = std::mem::replace(&mut slot.state, State::Absent);
    let status = client.ask(&Request::head(&slot.path)).status;
    let is_gone = matches!(status, 404 | 410);
    let mut log = match state {
        State::Absent => {
            assert!(is_gone, "{} is back: {status}", slot.path);
            found.deleted += u64::from(slot.incarnation > 0);
            return;
        }
        State::Creating(..) | State::Deleting(_) if is_gone => return,
        State::Creating(log, request) => {
            // The same request again finds what the first one made.
            client.ask(&request).expect_status(200);
            log
        }
        State::Deleting(log) | State::Open(log) => log,
    };
    assert_eq!(status, 200, "{} is gone", slot.path);
    let stored = read(client, &slot.path, "-1", slot.json);
    settle(&mut log, stored.frames, stored.closed, client, found);
    let after = read(client, &slot.path, "-1", slot.json);
    assert_eq!(after.frames, log.frames, "{} after the retries", slot.path);
    assert_eq!(after.closed, log.closed.is_some(), "{} is closed", slot.path);
    if let Some(end) = &log.closed {
        assert_eq!(&after.next, end, "the final offset of {}", slot.path);
    }
    verify_tokens(&log, client, random, found);
    log.marks.push((after.next, log.frames.len()));
    log.marks.dedup();
    slot.state = State::Open(log);
}

/// Tokens given out before the crash still mean the same position.
fn verify_tokens(log: &Log, client: &mut Client, random: &mut StdRng, found: &mut Found) {
    for _ in 0..TOKENS_PER_STREAM.min(log.marks.len()) {
        let (token, frames) = &log.marks[random.random_range(0..log.marks.len())];
        let rest = read(client, &log.path, token, log.json).frames;
        assert_eq!(rest, log.frames[*frames..], "{} from {token}", log.path);
        found.tokens += 1;
    }
}

/// Compares what is stored with what is known, and repeats what a client would repeat.
fn settle(
    log: &mut Log,
    stored: Vec<String>,
    is_closed: bool,
    client: &mut Client,
    found: &mut Found,
) {
    let Log { path, frames, .. } = &*log;
    let damaged: Vec<_> = stored.iter().filter(|frame| !is_whole(frame)).collect();
    assert!(damaged.is_empty(), "{path}: half a frame: {damaged:?}");
    let distinct: HashSet<_> = stored.iter().collect();
    assert_eq!(distinct.len(), stored.len(), "{path}: something is there twice");
    let common = stored.iter().zip(frames).take_while(|(a, b)| a == b).count();
    assert_eq!(
        common,
        frames.len(),
        "{path}: acknowledged {:?} at {common}, stored {:?} ({} frames stored, {} known)",
        frames.get(common),
        stored.get(common),
        stored.len(),
        frames.len(),
    );

    let mut rest = &stored[common..];
    let mut absent = Vec::new();
    let was_closed = log.closed.is_some();
    let mut found_close = false;
    for flight in std::mem::take(&mut log.flight) {
        let close_only = flight.frames.is_empty();
        let is_there = match close_only {
            true => is_closed && absent.is_empty(),
            false => absent.is_empty() && rest.starts_with(&flight.frames),
        };
        if is_there {
            rest = &rest[flight.frames.len()..];
            found_close |= flight.close;
            found.stored += 1;
            settle_stored(log, flight, client, found);
        } else {
            found.absent += 1;
            absent.push(flight);
        }
    }
    assert!(rest.is_empty(), "{}: {rest:?} is neither known nor a whole append", log.path);
    assert_eq!(is_closed, was_closed || found_close, "{}: closed without a reason", log.path);
    for flight in absent {
        settle_absent(log, flight, client, found);
    }
    if let Some(request) = log.last_acknowledged.clone() {
        let before = tail(client, &log.path);
        client.ask(&request).expect_status(204);
        assert_eq!(tail(client, &log.path), before, "{}: a retry was stored", log.path);
        found.known += 1;
    }
}

/// A producer repeats what was not acknowledged; it was stored, so it is known.
fn settle_stored(log: &mut Log, flight: Flight, client: &mut Client, found: &mut Found) {
    if flight.producer {
        client.ask(&flight.request).expect_status(204);
        found.known += 1;
    }
    let close = flight.close;
    log.store(flight, None);
    if close {
        log.closed = Some(tail(client, &log.path));
    }
}

/// A producer repeats it, and it is stored now; anybody else gives up.
fn settle_absent(log: &mut Log, flight: Flight, client: &mut Client, found: &mut Found) {
    if !flight.producer {
        return;
    }
    let want = if flight.frames.is_empty() { 204 } else { 200 };
    client.ask(&flight.request).expect_status(want);
    // Once more: it must be known now.
    client.ask(&flight.request).expect_status(204);
    found.retried += 1;
    let close = flight.close;
    log.store(flight, None);
    if close {
        log.closed = Some(tail(client, &log.path));
    }
}

struct Stored {
    frames: Vec<String>,
    closed: bool,
    next: String,
}

/// Reads to the end, page by page.
fn read(client: &mut Client, path: &str, from: &str, json: bool) -> Stored {
    let mut text = Vec::new();
    let mut frames = Vec::new();
    let mut from = from.to_owned();
    loop {
        let page = client.ask(&Request::get(&format!("{path}?offset={from}"))).expect_status(200);
        if json {
            let messages: Vec<String> = serde_json::from_slice(&page.body).expect("an array");
            frames.extend(messages);
        } else {
            text.extend_from_slice(&page.body);
        }
        from = page.next_offset().to_owned();
        if page.field("stream-up-to-date") == Some("true") {
            let text = String::from_utf8(text).expect("text");
            frames.extend(text.split_terminator('\n').map(str::to_owned));
            return Stored { frames, closed: page.is_closed(), next: from };
        }
    }
}

fn tail(client: &mut Client, path: &str) -> String {
    let response: Response = client.ask(&Request::head(path)).expect_status(200);
    response.next_offset().to_owned()
}

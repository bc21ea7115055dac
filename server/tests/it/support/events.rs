//! Server-Sent Events, one at a time.

use super::client::{Client, Request, Response};

/// One event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Event {
    pub(crate) kind: String,
    /// The data lines, joined.
    pub(crate) data: String,
}

/// A live reader.
pub(crate) struct Events {
    client: Client,
    pub(crate) head: Response,
    buffer: Vec<u8>,
}

impl Event {
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.data).expect("JSON")
    }
}

impl Events {
    /// Begins to read; the answer must be a 200.
    #[track_caller]
    pub(crate) fn open(mut client: Client, request: &Request) -> Events {
        client.send(request.encode());
        let head = client.head().expect_status(200);
        assert_eq!(head.field("content-type"), Some("text/event-stream"));
        Events { client, head, buffer: Vec::new() }
    }

    /// The next event; `None` when the answer ends as it should. Panics when it breaks off.
    #[track_caller]
    pub(crate) fn next(&mut self) -> Option<Event> {
        match self.try_next() {
            Ok(event) => event,
            Err(what) => panic!("{what}"),
        }
    }

    /// As [`Events::next`], with an error when the answer breaks off.
    pub(crate) fn try_next(&mut self) -> Result<Option<Event>, String> {
        loop {
            if let Some(at) = self.buffer.windows(2).position(|pair| pair == b"\n\n") {
                let rest = self.buffer.split_off(at + 2);
                let text = std::mem::replace(&mut self.buffer, rest);
                return parse(&text).map(Some);
            }
            match self.client.try_chunk()? {
                Some(chunk) => self.buffer.extend(chunk),
                None if self.buffer.is_empty() => return Ok(None),
                None => return Err("the answer ended within an event".to_owned()),
            }
        }
    }

    /// The next event of a kind.
    #[track_caller]
    pub(crate) fn next_of(&mut self, kind: &str) -> Event {
        loop {
            let event = self.next().expect("an event");
            if event.kind == kind {
                return event;
            }
        }
    }
}

fn parse(text: &[u8]) -> Result<Event, String> {
    let text = std::str::from_utf8(text).map_err(|error| format!("an event: {error}"))?;
    let mut event = Event { kind: String::new(), data: String::new() };
    let mut lines = Vec::new();
    for line in text.trim_end_matches('\n').split('\n') {
        let (name, value) = line.split_once(':').ok_or_else(|| format!("line {line:?}"))?;
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "event" => event.kind = value.to_owned(),
            "data" => lines.push(value),
            "" | "id" | "retry" => {}
            _ => return Err(format!("line {line:?}")),
        }
    }
    event.data = lines.join("\n");
    Ok(event)
}

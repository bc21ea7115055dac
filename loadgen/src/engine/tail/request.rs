//! What a live reader asks for.
//!
//! Deliberately absent: what becomes of the answer.

use super::Reader;
use crate::plan::TailMode;

impl Reader {
    /// The head of its next request. `live`: the rest of the query after the offset.
    pub(super) fn request(&self, live: &str) -> Vec<u8> {
        let (path, host, fields) = (&self.path, &self.core.program.target.host, &self.fields);
        let offset = &self.state.offset;
        if self.tail.mode == TailMode::Events {
            // As a browser's EventSource asks.
            let last = match offset.as_str() {
                "" => String::new(),
                id => format!("last-event-id: {id}\r\n"),
            };
            let lines = format!("accept: text/event-stream\r\n{last}{fields}");
            return format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n{lines}\r\n").into_bytes();
        }
        let cursor = self.state.cursor.as_ref();
        let cursor = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        format!("GET {path}?offset={offset}{live}{cursor} HTTP/1.1\r\nhost: {host}\r\n{fields}\r\n")
            .into_bytes()
    }
}

//! What goes to stdout: bytes as they are, or one JSON message a line.

use std::io::{self, Write};

use reqwest::Url;

use super::failure::Failure;
use super::{http, json};

/// Stdout of a reading command.
pub(super) struct Output {
    json_lines: bool,
}

impl Output {
    pub(super) fn new(json_lines: bool) -> Output {
        Output { json_lines }
    }

    /// Whether data has to be whole arrays.
    pub(super) fn json_lines(&self) -> bool {
        self.json_lines
    }

    /// Writes the data of one answer or event, and flushes.
    pub(super) fn data(&self, url: &Url, data: &[u8]) -> Result<(), Failure> {
        if !self.json_lines {
            return write(data);
        }
        if data.is_empty() {
            return Ok(());
        }
        let messages = json::messages(data)
            .map_err(|error| http::protocol(url, &format!("not a JSON array: {error}")))?;
        let mut lines = Vec::with_capacity(data.len());
        for message in messages {
            json::push_line(&mut lines, message);
        }
        write(&lines)
    }
}

/// Writes to stdout and flushes.
pub(super) fn write(data: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(data)
        .and_then(|()| stdout.flush())
        .map_err(|error| Failure::Local { what: "stdout".to_owned(), error })
}

/// Writes one line to stdout.
pub(super) fn line(text: &str) -> Result<(), Failure> {
    write(format!("{text}\n").as_bytes())
}

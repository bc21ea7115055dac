//! A whole stream against everything that is known of it.

use std::collections::BTreeMap;

use super::message::number_at;
use super::{AppendState, Model};

impl Model {
    /// All of a stream was read: its content up to `tail`. Nothing is under way.
    pub(crate) fn audited(&mut self, id: u64, tail: u64) {
        self.checked.audits += 1;
        let Some(stream) = self.streams.get(&id) else { return };
        let (path, json) = (stream.path, stream.json);
        let start = stream.start.max(stream.earliest);
        let name = self.paths[path].name();
        let Some(content) = stream.content.range(start..tail).map(<[u8]>::to_vec) else {
            return self.broken("I1", format!("stream {id} at {name} could not be read whole"));
        };
        let found = match self.take_apart(path, start, &content, json) {
            Ok(found) => found,
            Err((invariant, what)) => {
                return self.broken(invariant, format!("stream {id} at {name}: {what}"));
            }
        };
        for (number, end) in &found {
            self.found(*number, id, *end);
        }
        self.look_for_acknowledged(id, path, &found);
    }

    /// The appends of a content with the positions after them, in order.
    fn take_apart(
        &self,
        path: usize,
        start: u64,
        content: &[u8],
        json: bool,
    ) -> Result<BTreeMap<usize, u64>, (&'static str, String)> {
        let mut found = BTreeMap::new();
        let mut at = 0;
        while at < content.len() {
            let position = start + at as u64;
            let number = number_at(&content[at..], json);
            let Some((number, append)) =
                number.and_then(|number| self.appends.get(number).map(|append| (number, append)))
            else {
                return Err(("I2", format!("no append begins at {position}")));
            };
            if !content[at..].starts_with(&append.stored) {
                return Err(("I2", format!("append {number} at {position} is not whole")));
            }
            if append.path != path {
                return Err(("I3", format!("append {number} at {position} is of another stream")));
            }
            at += append.stored.len();
            if found.insert(number, start + at as u64).is_some() {
                return Err(("I5", format!("append {number} is there twice")));
            }
        }
        Ok(found)
    }

    fn found(&mut self, number: usize, id: u64, end: u64) {
        let is_gone =
            |stream: &u64| self.streams.get(stream).is_none_or(|stream| stream.gone.is_some());
        let append = &self.appends[number];
        // It was repeated to the successor of the stream that it was for.
        let moved = matches!(&append.state,
            AppendState::Stored { stream, .. } if *stream != id && is_gone(stream));
        let append = &mut self.appends[number];
        if moved {
            append.state = AppendState::Unknown;
        }
        let problem = match append.state {
            AppendState::Unknown => {
                append.state = AppendState::Stored { stream: id, end: Some(end) };
                None
            }
            AppendState::Stored { stream, .. } if stream != id => {
                Some(("I5", format!("append {number} is in streams {stream} and {id}")))
            }
            AppendState::Stored { end: Some(before), .. } if before != end => {
                Some(("I3", format!("append {number} ended at {before} and ends at {end} now")))
            }
            AppendState::Stored { .. } => {
                append.state = AppendState::Stored { stream: id, end: Some(end) };
                None
            }
            AppendState::Refused => {
                Some(("I2", format!("append {number} was refused and is stored at {end}")))
            }
            AppendState::Lost => {
                Some(("I2", format!("append {number} was not there after a restart, and is now")))
            }
            AppendState::Forgotten => None,
        };
        if let Some((invariant, what)) = problem {
            self.broken(invariant, what);
        }
    }

    fn look_for_acknowledged(&mut self, id: u64, path: usize, found: &BTreeMap<usize, u64>) {
        let mut missing = None;
        let earliest = self.streams.get(&id).map_or(0, |stream| stream.earliest);
        for (number, append) in self.appends.iter_mut().enumerate() {
            if append.path != path || found.contains_key(&number) {
                continue;
            }
            match append.state {
                AppendState::Stored { stream, end } if stream == id => {
                    // What was dropped was there once.
                    if end.map_or(earliest > 0, |end| end <= earliest) {
                        continue;
                    }
                    missing.get_or_insert(number);
                }
                AppendState::Unknown if append.life < self.life && !append.under_way => {
                    append.state = AppendState::Lost;
                }
                _ => {}
            }
        }
        if let Some(number) = missing {
            let name = self.paths[path].name();
            let what = format!("append {number} to {name} was acknowledged and is not there");
            self.broken("I1", what);
        }
    }
}

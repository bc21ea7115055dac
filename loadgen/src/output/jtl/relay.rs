//! Rows on their way from a worker of a distributed run to the log of its controller.
//!
//! Invariant: what comes from a network is taken only as whole rows of the right length.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread::JoinHandle;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::row::MAX_ROW;
use super::writer::{JtlSink, Message, Rows};

/// Whole rows as they go over a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelayedRows {
    /// The rows' bytes, base64.
    rows: String,
    /// Where each row ends.
    ends: Vec<u32>,
}

/// Hands rows to a function instead of a file.
#[derive(Debug)]
pub struct JtlRelay {
    sink: JtlSink,
    thread: JoinHandle<()>,
}

impl JtlRelay {
    /// Calls `take`, on a thread of its own, with what is sent to the sink.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn start(
        mut take: impl FnMut(RelayedRows) + Send + 'static,
    ) -> io::Result<(JtlRelay, JtlSink)> {
        let (sender, receiver) = channel();
        let sink = JtlSink { sender, queue: Arc::default() };
        let queued = sink.clone();
        let thread = std::thread::Builder::new().name("jtl".to_owned()).spawn(move || {
            while let Ok(Message::Rows(rows)) = receiver.recv() {
                queued.taken(&rows);
                take(RelayedRows { rows: STANDARD.encode(&rows.bytes), ends: rows.ends });
            }
        })?;
        Ok((JtlRelay { sink: sink.clone(), thread }, sink))
    }

    /// Returns when all that was handed over has been taken.
    pub fn finish(self) {
        // A thread that is gone takes nothing.
        let _ = self.sink.sender.send(Message::Finish);
        let _ = self.thread.join();
    }
}

impl JtlSink {
    /// Adds rows of another machine. What is not made of whole rows is not added; says whether
    /// it was.
    pub fn add(&self, rows: &RelayedRows) -> bool {
        let Ok(bytes) = STANDARD.decode(&rows.rows) else { return false };
        let whole = is_whole(&bytes, &rows.ends);
        if whole && !rows.ends.is_empty() {
            self.send(Rows { bytes, ends: rows.ends.clone() });
        }
        whole
    }
}

fn is_whole(bytes: &[u8], ends: &[u32]) -> bool {
    let mut begin = 0;
    for end in ends {
        let end = *end as usize;
        let row = if begin < end { bytes.get(begin..end) } else { None };
        if !row.is_some_and(|row| row.len() <= MAX_ROW && row.ends_with(b"\n")) {
            return false;
        }
        begin = end;
    }
    begin == bytes.len()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::super::row::tests::ROW;
    use super::super::{JtlBuffer, JtlRow, JtlWriter};
    use super::*;

    #[test]
    fn rows_arrive_as_if_they_were_local() {
        let dir = tempfile::tempdir().unwrap();
        let (here, there) = (dir.path().join("here.jtl"), dir.path().join("there.jtl"));
        let (writer, sink) = JtlWriter::create(&here).unwrap();
        let (remote, far) = JtlWriter::create(&there).unwrap();
        let taken = Arc::new(Mutex::new(Vec::new()));
        let keep = Arc::clone(&taken);
        let (relay, near) = JtlRelay::start(move |rows| keep.lock().unwrap().push(rows)).unwrap();
        for sink in [sink, near] {
            let mut buffer = JtlBuffer::new(sink);
            (0..3000).for_each(|user| buffer.push(&JtlRow { user, label: "a\n\"b", ..ROW }));
        }
        relay.finish();
        for rows in taken.lock().unwrap().iter() {
            let text = serde_json::to_string(rows).unwrap();
            assert!(far.add(&serde_json::from_str(&text).unwrap()));
        }
        assert_eq!((writer.finish().unwrap(), remote.finish().unwrap()), (3000, 3000));
        assert_eq!(std::fs::read(here).unwrap(), std::fs::read(there).unwrap());
    }

    #[test]
    fn what_is_not_whole_is_not_taken() {
        let check = |bytes: &[u8], ends: &[u32], want: bool| {
            assert_eq!(is_whole(bytes, ends), want, "{bytes:?} {ends:?}");
        };
        check(b"", &[], true);
        check(b"a,1\nb,2\n", &[4, 8], true);
        check(b"a,1\nb,2\n", &[4], false);
        check(b"a,1\nb,2", &[4, 7], false);
        check(b"a,1\nb,2\n", &[4, 4, 8], false);
        check(b"a,1\nb,2\n", &[8, 4], false);
        check(b"a,1\n", &[u32::MAX], false);
        check(&[b'\n'; MAX_ROW + 1], &[MAX_ROW as u32 + 1], false);
    }
}

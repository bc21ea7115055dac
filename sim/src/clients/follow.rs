//! Live readers: they follow a path through the fan-out of a core, as long-polls and SSE answers
//! do, and report everything that they are shown.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use thalweg::core::Core;
use thalweg::fanout::Next;
use thalweg::mailbox::message::{Answer, Op};
use thalweg_proto::offset::ReadFrom;
use thalweg_proto::path::StreamPath;
use thalweg_proto::request::{LiveMode, ReadRequest};

/// What a live reader was shown.
pub(crate) enum Followed {
    /// Bytes of a stream: on a page, or as news.
    Shown {
        /// The stream.
        stream: u64,
        /// The position of the first byte.
        start: u64,
        /// The bytes as they are stored.
        bytes: Vec<u8>,
        /// Whether the stream was said to be closed after them.
        closed: bool,
        /// Whether they end where the stream does.
        up_to_date: bool,
        /// Where the reader stood before.
        expected: Option<u64>,
    },
    /// The answer is over.
    Over,
}

type Log = Rc<RefCell<Vec<(u64, Followed)>>>;

/// Follows a path until it ends, or for so long. `reader` goes into the log with each report.
pub(crate) async fn follow(
    core: Rc<Core>,
    path: StreamPath,
    lifetime: Duration,
    reader: u64,
    log: Log,
) {
    let follower = core.follow(&path, lifetime);
    let say = |followed| log.borrow_mut().push((reader, followed));
    let mut request = ReadRequest {
        path: path.clone(),
        from: ReadFrom::Start,
        live: LiveMode::Sse,
        cursor: None,
        if_none_match: None,
    };
    let mut position = None;
    'pages: loop {
        let op = Op::Read(request.clone(), Some(core.id));
        let Some(Answer::Page(Ok(page))) = core.ask_owner(&path, op).await else { break };
        let facts = &page.facts;
        say(Followed::Shown {
            stream: facts.stream.0,
            start: facts.start,
            bytes: page.stored.concat(),
            closed: facts.closed,
            up_to_date: facts.up_to_date,
            expected: position,
        });
        position = Some(facts.end);
        request.from = ReadFrom::At(facts.next);
        if facts.closed {
            break;
        }
        if !facts.up_to_date {
            continue;
        }
        loop {
            match follower.next(position.unwrap_or(0)).await {
                Next::News(batches) => {
                    for batch in &batches {
                        say(Followed::Shown {
                            stream: batch.stream.0,
                            start: batch.from,
                            bytes: batch.stored.to_vec(),
                            closed: batch.closed,
                            up_to_date: false,
                            expected: position,
                        });
                        position = Some(batch.to());
                        request.from = ReadFrom::At(batch.next);
                        if batch.closed {
                            break 'pages;
                        }
                    }
                }
                Next::Behind => continue 'pages,
                Next::Ended | Next::Expired => break 'pages,
            }
        }
    }
    core.leave(follower);
    say(Followed::Over);
}

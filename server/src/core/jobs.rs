//! What the shard cannot do by itself: reads from the log, and questions to other cores.

use std::rc::Rc;

use http::StatusCode;
use thalweg_proto::answer::not_found;
use thalweg_proto::limits::READ_PAGE_BYTES;
use thalweg_proto::problem::Problem;
use thalweg_proto::response::Pieces;
use thalweg_proto::stream::fork::{ForkRefusal, sub_position};
use thalweg_storage::{ReadSpan, record};

use super::Core;
use crate::mailbox::message::{Answer, Message, Op};
use crate::shard::page::{Page, PagePlan};
use crate::shard::range::{Collector, Range, RangeRequest};
use crate::shard::{Job, ReplyTo};

/// Does a job and replies.
pub(super) async fn run(core: Rc<Core>, job: Job) {
    match job {
        Job::Page(plan, to) => {
            let page = read_page(&core, plan).await;
            core.post_reply(to, Answer::Page(page.map(Box::new)));
        }
        Job::Range(request, spans, to) => {
            let range = read_range(&core, &request, &spans).await;
            core.post_reply(to, Answer::Range(range));
        }
        Job::Fork(request, url, to) => {
            let Some(wanted) = request.fork.clone() else { return };
            let op = Op::Fork(wanted.source.clone(), wanted.clone());
            let answer = core.ask_owner(&wanted.source, op).await;
            let Some(Answer::ForkPoint(point)) = answer else { return };
            let point = point.map(|point| *point).map_err(|refusal| *refusal);
            core.with_shard(|shard, now| shard.create_fork(&request, point, url, to, now));
        }
        Job::SubOffset { run, source, anchor, sub_offset, to } => {
            let next = match run {
                None => Ok(Vec::new()),
                Some(run) => ask_range(&core, run).await.map(|range| range.pieces.concat()),
            };
            core.with_shard(|shard, now| {
                let position = match (next, shard.content_type_of(source)) {
                    (Ok(next), Some(content_type)) => {
                        sub_position(anchor, sub_offset, &content_type, &next)
                    }
                    _ => Err(ForkRefusal::SourceNotFound),
                };
                shard.fork_at(source, position, to, now);
            });
        }
    }
}

impl Core {
    /// Sends a reply to whoever asked.
    pub(crate) fn post_reply(self: &Rc<Core>, to: ReplyTo, answer: Answer) {
        let message = Message::Reply { ticket: to.ticket, answer };
        if to.core == self.id {
            self.receive(message);
        } else {
            self.send(to.core, message);
        }
    }
}

/// Reads the runs of a page in order until it is full.
async fn read_page(core: &Rc<Core>, plan: PagePlan) -> Result<Page, Box<Problem>> {
    let mut stored = Pieces::new();
    let mut taken = 0;
    let mut end = plan.facts.start;
    let mut last_run = None;
    'runs: for run in &plan.runs {
        while end < run.to {
            let budget = READ_PAGE_BYTES - taken;
            let request = RangeRequest { from: end, max_bytes: budget, ..run.clone() };
            let range = ask_range(core, request).await?;
            let len: usize = range.pieces.iter().map(bytes::Bytes::len).sum();
            // A JSON message that does not fit any more is left for the next page, unless it is
            // the first: that one is always given.
            if len == 0 || (taken > 0 && taken + len > READ_PAGE_BYTES) {
                break 'runs;
            }
            taken += len;
            end = range.end;
            stored.extend(range.pieces);
            last_run = Some(run);
            if taken >= READ_PAGE_BYTES {
                break 'runs;
            }
        }
    }
    let last_run = last_run.cloned();
    Ok(plan.finish(stored, end, last_run.as_ref()))
}

/// Asks the owner of the stream that wrote the bytes.
async fn ask_range(core: &Rc<Core>, request: RangeRequest) -> Result<Range, Box<Problem>> {
    let path = request.path.clone();
    match core.ask_owner(&path, Op::Range(request)).await {
        Some(Answer::Range(range)) => range,
        _ => Err(Box::new(unreadable("the server is stopping"))),
    }
}

/// Reads records from the log and takes the bytes out of them.
async fn read_range(
    core: &Rc<Core>,
    request: &RangeRequest,
    spans: &[ReadSpan],
) -> Result<Range, Box<Problem>> {
    let mut collector = Collector::new(request);
    for span in spans {
        let bytes = core.read_record(span.location).await.map_err(|error| {
            tracing::error!(stream = %request.path, location = ?span.location, %error, "log read failed");
            Box::new(unreadable("the log could not be read"))
        })?;
        let payload = record::payload_of(&bytes, request.id, span.position).map_err(|damage| {
            if core.with_shard(|shard, _| shard.content_type_of(request.id).is_none()) {
                // Deleted while it was read; its segment may hold something else by now.
                return Box::new(not_found(&request.path));
            }
            tracing::error!(stream = %request.path, location = ?span.location, %damage, "damaged record");
            Box::new(unreadable("the stored data is damaged at this offset"))
        })?;
        if !collector.take(span.position, &payload)? {
            break;
        }
    }
    Ok(collector.finish())
}

fn unreadable(detail: &str) -> Problem {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "unreadable", detail)
}

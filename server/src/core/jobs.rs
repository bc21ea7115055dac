//! What the shard cannot do by itself: reads from the log, and questions to other cores.

use std::io;
use std::rc::Rc;

use bytes::Bytes;
use http::StatusCode;
use thalweg_proto::answer::not_found;
use thalweg_proto::problem::Problem;
use thalweg_proto::response::Pieces;
use thalweg_proto::stream::fork::{ForkRefusal, sub_position};
use thalweg_storage::record::SpanRecords;
use thalweg_storage::{Damage, Location, ReadSpan};

use super::Core;
use crate::mailbox::message::{Answer, Message, Op};
use crate::shard::page::{Page, PagePlan};
use crate::shard::range::{Collector, Range, RangeRequest, Source};
use crate::shard::{Job, ReplyTo};

/// Does a job and replies.
pub(super) async fn run(core: Rc<Core>, job: Job) {
    match job {
        Job::Page(plan, to) => {
            let page = read_page(&core, plan).await;
            core.post_reply(to, Answer::Page(page.map(Box::new)));
        }
        Job::Range(request, spans, to) => {
            let range = read_range(&core, &request, spans).await;
            core.post_reply(to, Answer::Range(range.map(Box::new)));
        }
        Job::Fork(request, url, to) => {
            let Some(wanted) = request.fork.clone() else { return };
            let op = Op::Fork(wanted.source.clone(), wanted.clone());
            let answer = core.ask_owner(&wanted.source, op).await;
            let Some(Answer::ForkPoint(point)) = answer else { return };
            let point = point.map(|point| *point).map_err(|refusal| *refusal);
            core.with_shard(|shard, now| shard.create_fork(&request, point, &url, to, now));
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
                    // Trimmed meanwhile: the shard says so.
                    (Err(problem), _) if problem.status == StatusCode::GONE => Ok(anchor),
                    (Err(problem), _) if problem.status == StatusCode::BAD_REQUEST => {
                        Err(ForkRefusal::OffsetInsideMessage)
                    }
                    (Err(_), _) => Err(ForkRefusal::SourceUnreadable),
                    (Ok(_), None) => Err(ForkRefusal::SourceNotFound),
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
            let budget = plan.max_bytes - taken;
            let request = RangeRequest { from: end, max_bytes: budget, ..run.clone() };
            let range = match ask_range(core, request).await {
                Ok(range) => range,
                // What is readable before it is a page. The next one begins with it and says so.
                Err(_) if taken > 0 => break 'runs,
                Err(problem) => return Err(problem),
            };
            let len: usize = range.pieces.iter().map(Bytes::len).sum();
            // A JSON message that does not fit any more is left for the next page, unless it is
            // the first: that one is always given.
            if len == 0 || (taken > 0 && taken + len > plan.max_bytes) {
                break 'runs;
            }
            taken += len;
            end = range.end;
            stored.extend(range.pieces);
            last_run = Some(run);
            if taken >= plan.max_bytes {
                break 'runs;
            }
        }
    }
    if end == plan.facts.start && !plan.runs.is_empty() {
        // The stream says that there is more, and nobody has it: no reader should ask for ever.
        tracing::error!(stream = plan.facts.stream.0, position = end, "inherited data is missing");
        return Err(Box::new(unreadable_problem("the stored data is missing at this offset")));
    }
    let last_run = last_run.cloned();
    Ok(plan.finish(stored, end, last_run.as_ref()))
}

/// Asks the owner of the stream that wrote the bytes.
async fn ask_range(core: &Rc<Core>, request: RangeRequest) -> Result<Range, Box<Problem>> {
    let path = request.path.clone();
    match core.ask_owner(&path, Op::Range(request)).await {
        Some(Answer::Range(range)) => range.map(|range| *range),
        _ => Err(Box::new(crate::stopping())),
    }
}

/// Why bytes could not be had from where they should be.
pub(super) enum Failure {
    /// It is the request's fault.
    Problem(Box<Problem>),
    /// The file could not be read.
    Io(Location, io::Error),
    /// It says something else.
    Damaged(Location, Damage),
}

/// Reads records and takes the bytes out of them, in chunks that are kept for others if that is
/// possible. If they are not there, because sealing has moved
/// them since they were looked up, they are looked up again.
async fn read_range(
    core: &Rc<Core>,
    request: &RangeRequest,
    mut spans: Vec<ReadSpan>,
) -> Result<Range, Box<Problem>> {
    if let Some(range) = core.read_history(request).await {
        return Ok(range);
    }
    loop {
        let failure = match read_spans(core, request, &spans).await {
            Ok(range) => return Ok(range),
            Err(Failure::Problem(problem)) => return Err(problem),
            Err(failure) => failure,
        };
        match core.with_shard(|shard, _| shard.locate(request)) {
            // Deleted while it was read; its segment may hold something else by now.
            None => return Err(Box::new(not_found(&request.path))),
            Some(Err(problem)) => return Err(problem),
            Some(Ok(Source::Hot(range))) => return Ok(range),
            Some(Ok(Source::Cold(found))) if found[..] != spans[..] => spans = found.into_vec(),
            Some(Ok(Source::Cold(_))) => return Err(Box::new(unreadable(request, &failure))),
        }
    }
}

/// Ends before the first record that cannot be had, unless there is nothing before it: damage costs
/// a reader what is damaged, and nothing else.
async fn read_spans(
    core: &Rc<Core>,
    request: &RangeRequest,
    spans: &[ReadSpan],
) -> Result<Range, Failure> {
    let held = core.shard.borrow().held().clone();
    let mut collector = Collector::new(request, &held);
    match collect(core, request, spans, &mut collector).await {
        Err(failure) if collector.is_empty() => Err(failure),
        Err(_) | Ok(()) => Ok(collector.finish()),
    }
}

async fn collect(
    core: &Rc<Core>,
    request: &RangeRequest,
    spans: &[ReadSpan],
    collector: &mut Collector<'_>,
) -> Result<(), Failure> {
    let mut rest = spans;
    while !rest.is_empty() {
        let mut group = &rest[..worth_one_read(rest)];
        let mut read = read_group(core, group).await;
        if read.is_err() && group.len() > 1 {
            // One block that cannot be read should not take its neighbours with it.
            group = &rest[..1];
            read = read_group(core, group).await;
        }
        rest = &rest[group.len()..];
        let (bytes, start) = read?;
        for span in group {
            let from = span.location.file_offset as usize - start;
            let records = bytes.slice(from..from + span.location.record_len as usize);
            let records = SpanRecords::new(records, request.id, span.position);
            for record in records.from_position(request.from) {
                let record = record.map_err(|damage| Failure::Damaged(span.location, damage))?;
                let more = collector.take(record.position, &record.payload);
                if !more.map_err(Failure::Problem)? {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

/// How many of the first records are near enough to each other to be read together: what lies
/// between them costs less than another read.
pub(super) fn worth_one_read(spans: &[ReadSpan]) -> usize {
    const GAP_BYTES: u64 = 16 * 1024;
    const READ_BYTES: u64 = 1024 * 1024;
    let begin = |span: &ReadSpan| u64::from(span.location.file_offset);
    let end = |span: &ReadSpan| begin(span) + u64::from(span.location.record_len);
    let near = |pair: &&[ReadSpan]| {
        pair[0].location.segment == pair[1].location.segment
            && (end(&pair[0])..=end(&pair[0]) + GAP_BYTES).contains(&begin(&pair[1]))
            && end(&pair[1]) - begin(&spans[0]) <= READ_BYTES
    };
    1 + spans.windows(2).take_while(near).count()
}

/// Reads from the first record of a group to the last one. Returns the bytes and their offset.
pub(super) async fn read_group(
    core: &Rc<Core>,
    group: &[ReadSpan],
) -> Result<(Bytes, usize), Failure> {
    let (Some(first), Some(last)) = (group.first(), group.last()) else {
        return Ok((Bytes::new(), 0));
    };
    let start = first.location.file_offset as usize;
    let end = last.location.file_offset as usize + last.location.record_len as usize;
    let read = core.read_segment(first.location.segment, start as u64, end - start).await;
    let bytes = read.map_err(|error| Failure::Io(first.location, error))?;
    core.metrics.log_read_bytes.add(bytes.len() as u64);
    Ok((bytes, start))
}

fn unreadable(request: &RangeRequest, failure: &Failure) -> Problem {
    let stream = &request.path;
    match failure {
        Failure::Problem(problem) => (**problem).clone(),
        Failure::Io(location, error) => {
            tracing::error!(%stream, ?location, %error, "log read failed");
            unreadable_problem("the log could not be read")
        }
        Failure::Damaged(location, damage) => {
            tracing::error!(%stream, ?location, %damage, "damaged record");
            unreadable_problem("the stored data is damaged at this offset")
        }
    }
}

fn unreadable_problem(detail: &str) -> Problem {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "unreadable", detail)
}

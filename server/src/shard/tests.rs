//! A shard by itself: a log that is synced when the test says so, and the outputs as data.

mod retention;

use std::cell::Cell;

use bytes::Bytes;
use thalweg_proto::content_type::ContentType;
use thalweg_proto::offset::ReadFrom;
use thalweg_proto::request::{AppendRequest, Body, LiveMode, ReadRequest};
use thalweg_proto::stream::config::Expiry;
use thalweg_proto::stream::record::ProducerMark;
use thalweg_storage::recovery::CoreRecovery;
use thalweg_storage::writer::LogConfig;
use thalweg_storage::{Disk, LogWriter, MemoryDisk, PreparedSegment, TakeGroup, recover};

use super::*;
use crate::config::limits;

struct World {
    shard: Shard,
    now: Timestamp,
    tickets: Cell<u64>,
}

impl World {
    fn new() -> World {
        World::durable(500)
    }

    fn durable(hot_tail_bytes: usize) -> World {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
        let recovered = recover(&disk, std::path::Path::new("data"), 1, &|_| 0).unwrap();
        let Some(CoreRecovery { resume, segments, .. }) = recovered.cores.into_iter().next() else {
            panic!("one core");
        };
        let log = Log::durable_log(LogWriter::new(resume, LogConfig::default()), segments);
        World::with(log, hot_tail_bytes)
    }

    fn with(log: Log, hot_tail_bytes: usize) -> World {
        let config = ShardConfig {
            core: 0,
            cores: 1,
            hot_tail_bytes,
            read_cache_bytes: 0,
            max_pending_bytes: 1 << 20,
            retention: Retention::default(),
        };
        let shard = Shard::new(config, log, Vec::new(), StreamId(0), Timestamp(1_000_000));
        World { shard, now: Timestamp(1_000_000), tickets: Cell::new(0) }
    }

    fn ask(&mut self, op: Op) -> u64 {
        let ticket = self.tickets.get();
        self.tickets.set(ticket + 1);
        self.shard.handle(op, ReplyTo { core: 0, ticket }, self.now);
        ticket
    }

    /// Everything the shard has put out, as one word each.
    fn out(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.shard.poll_output()).map(|output| describe(&output)).collect()
    }

    /// Writes and syncs everything that waits.
    fn sync(&mut self) {
        loop {
            match self.shard.log().take_group() {
                TakeGroup::Nothing => return,
                TakeGroup::NeedSegment { segment, min_bytes } => {
                    let prepared = PreparedSegment { segment, bytes: min_bytes, salt: 1 };
                    self.shard.log().provide_segment(prepared);
                }
                TakeGroup::Group(mut group) => {
                    let placements = std::mem::take(&mut group.placements);
                    placements.iter().for_each(|placement| self.shard.log().placed(placement));
                    self.shard.log().written(group);
                    let durable = self.shard.log().durable();
                    self.shard.committed(durable, &placements, self.now);
                }
            }
        }
    }

    /// Asks, syncs, and returns the one thing that came out.
    fn done(&mut self, op: Op) -> String {
        self.ask(op);
        self.sync();
        self.out().join(" ")
    }
}

fn describe(output: &Output) -> String {
    match output {
        Output::Reply(to, Answer::Response(response)) => {
            format!("{}:{}", to.ticket, response.status.as_u16())
        }
        Output::Reply(to, Answer::Page(Ok(page))) => {
            let text = String::from_utf8(page.stored.concat()).unwrap();
            let closed = if page.facts.closed { "!" } else { "" };
            format!("{}:page({text}{closed})", to.ticket)
        }
        Output::Reply(to, Answer::Page(Err(problem))) => {
            format!("{}:{}", to.ticket, problem.status.as_u16())
        }
        Output::Reply(to, Answer::ForkPoint(point)) => {
            format!("{}:fork({})", to.ticket, point.is_ok())
        }
        Output::Reply(to, _) => format!("{}:other", to.ticket),
        Output::Tell(_, Note::Live(batch)) => format!("live({}..{})", batch.from, batch.to()),
        Output::Tell(_, Note::Ended(_)) => "ended".to_owned(),
        Output::Tell(..) => "tell".to_owned(),
        Output::Job(Job::Page(..)) => "job(page)".to_owned(),
        Output::Job(_) => "job".to_owned(),
    }
}

fn path(text: &str) -> StreamPath {
    StreamPath::new(text).unwrap()
}

fn create(ttl: Option<u64>) -> Op {
    let expiry = ttl.map_or(Expiry::Never, |seconds| Expiry::Ttl { seconds });
    let request = CreateRequest {
        path: path("s"),
        content_type: ContentType::parse("text/plain"),
        expiry,
        retention: Retention::default(),
        close: false,
        fork: None,
        body: Body::default(),
    };
    Op::Create(request, None)
}

fn append(text: &'static str, seq: Option<u64>, close: bool) -> Op {
    Op::Append(AppendRequest {
        path: path("s"),
        content_type: ContentType::parse("text/plain"),
        producer: seq.map(|seq| ProducerMark { id: "p".into(), epoch: 0, seq }),
        seq: None,
        close,
        expected: None,
        body: Body { raw: Bytes::from_static(text.as_bytes()), json: None },
    })
}

fn read() -> Op {
    read_as(None)
}

/// A live reader on core 0 when `follower` says so.
fn read_as(follower: Option<CoreId>) -> Op {
    let request = ReadRequest {
        path: path("s"),
        from: ReadFrom::Start,
        live: LiveMode::CatchUp,
        cursor: None,
        if_none_match: None,
    };
    Op::Read(request, follower)
}

#[test]
fn nothing_shows_and_nothing_is_acknowledged_before_it_is_durable() {
    let mut world = World::new();
    world.ask(create(None));
    world.ask(read());
    assert!(world.out().is_empty(), "neither the creation nor the read may be answered yet");
    world.sync();
    assert_eq!(world.out(), ["0:201", "1:page()"]);
    world.ask(append("one", None, false));
    world.ask(read());
    assert_eq!(world.out(), ["3:page()"], "reads do not wait for appends, and do not see them");
    world.sync();
    assert_eq!(world.out(), ["2:204"]);
    assert_eq!(world.done(read()), "4:page(one)");
}

#[test]
fn refusals_wait_for_what_they_rest_on() {
    let mut world = World::new();
    world.done(create(None));
    world.ask(append("end", Some(0), true));
    world.ask(append("more", None, false));
    world.ask(append("end", Some(0), true));
    world.ask(read());
    assert_eq!(world.out(), ["4:page()"], "the closure does not show yet");
    world.sync();
    assert_eq!(world.out(), ["1:200", "2:409", "3:204"]);
    assert_eq!(world.done(read()), "5:page(end!)");
}

#[test]
fn a_deletion_is_not_told_before_it_is_durable() {
    let mut world = World::new();
    world.done(create(None));
    world.ask(Op::Delete(path("s")));
    world.ask(read());
    world.ask(append("late", None, false));
    assert!(world.out().is_empty());
    world.ask(create(None));
    world.sync();
    assert_eq!(world.out(), ["1:204", "2:page()", "3:404", "4:201"]);
    assert_eq!(world.shard.len(), 1, "the old stream is gone, its successor is there");
}

#[test]
fn recent_bytes_leave_memory_under_a_budget() {
    let mut world = World::new();
    world.done(create(None));
    for _ in 0..3 {
        world.done(append("thirty bytes, more or less.....", None, false));
    }
    assert_eq!(world.done(read()), "job(page)", "the beginning is only in the log now");
    let mut memory = World::with(Log::Memory { last: Lsn::default() }, 1);
    memory.ask(create(None));
    memory.ask(append("kept", None, false));
    let last = memory.shard.log().last();
    memory.shard.committed(last, &[], Timestamp(1));
    memory.out();
    memory.ask(read());
    assert_eq!(memory.out(), ["2:page(kept)"], "without a log nothing is given up");
}

#[test]
fn live_readers_hear_of_durable_news_only() {
    let mut world = World::new();
    world.done(create(None));
    assert_eq!(world.done(read_as(Some(0))), "1:page()");
    world.ask(append("a", None, false));
    world.ask(append("b", None, false));
    assert!(world.out().is_empty());
    world.sync();
    assert_eq!(world.out(), ["2:204", "3:204", "live(0..2)"], "one batch for one commit");
    world.shard.note(Note::Unfollow { core: 0, path: path("s") }, world.now);
    assert_eq!(world.done(append("c", None, false)), "4:204");
    assert_eq!(world.done(read_as(Some(0))), "5:page(abc)");
    assert_eq!(world.done(Op::Delete(path("s"))), "ended 6:204");
}

#[test]
fn a_source_stays_as_long_as_its_forks() {
    let mut world = World::new();
    world.done(create(None));
    let wanted =
        thalweg_proto::request::ForkRequest { source: path("s"), offset: None, sub_offset: 0 };
    assert_eq!(world.done(Op::Fork(path("s"), wanted.clone())), "1:fork(true)");
    assert_eq!(world.done(Op::Delete(path("s"))), "2:204");
    assert_eq!(world.done(read()), "3:410");
    assert_eq!(world.done(create(None)), "4:409");
    assert_eq!(world.done(Op::Fork(path("s"), wanted)), "5:fork(false)");
    let id = world.shard.streams.at(&path("s")).unwrap().state.id;
    world.shard.note(Note::Unfork { path: path("s"), id }, world.now);
    world.sync();
    assert_eq!(world.done(read()), "6:404");
    assert!(world.shard.is_empty());
}

#[test]
fn idle_streams_expire_and_read_ones_do_not() {
    let mut world = World::new();
    world.done(create(Some(10)));
    let pass = |world: &mut World, seconds: u64| {
        world.now = world.now.plus_ms(seconds * 1000);
        world.shard.sweep(world.now);
        world.sync();
        world.out();
    };
    pass(&mut world, 8);
    assert_eq!(world.done(read()), "1:page()");
    pass(&mut world, 8);
    assert_eq!(world.done(Op::Metadata(path("s"))), "2:200", "the read moved the expiry");
    assert_eq!(world.done(read_as(Some(0))), "3:page()");
    pass(&mut world, 30);
    assert_eq!(world.done(Op::Metadata(path("s"))), "4:200", "a live reader keeps it");
    world.shard.note(Note::Unfollow { core: 0, path: path("s") }, world.now);
    pass(&mut world, 11);
    assert!(world.shard.is_empty(), "gone without anybody asking for it");
}

#[test]
fn a_full_disk_refuses_appends_and_not_reads() {
    let mut world = World::new();
    world.done(create(None));
    world.shard.set_disk_full(true);
    assert_eq!(world.done(append("x", None, false)), "1:507");
    assert_eq!(world.done(Op::Delete(path("s"))), "2:507");
    assert_eq!(world.done(read()), "3:page()");
    world.shard.set_disk_full(false);
    assert_eq!(world.done(append("x", None, false)), "4:204");
}

/// Reads of streams with a TTL while the disk is full are logged as long as the segment lasts.
#[test]
fn reads_on_a_full_disk_are_logged_where_there_is_room() {
    let mut world = World::new();
    world.done(create(Some(10)));
    let pass = |world: &mut World, ms: u64| {
        world.now = world.now.plus_ms(ms);
        world.shard.sweep(world.now);
        world.sync();
        world.out();
    };
    let logged = |world: &World| world.shard.streams.at(&path("s")).map(|slot| slot.logged_access);
    world.shard.set_disk_full(true);
    pass(&mut world, 2000);
    let read_at = world.now;
    world.done(read());
    assert_eq!(world.shard.unlogged_reads().count(), 1, "not logged yet");
    pass(&mut world, 100);
    assert_eq!(logged(&world), Some(read_at));
    assert_eq!(world.shard.unlogged_reads().count(), 0);
    // An append that came before the disk was full waits for another segment.
    world.shard.set_disk_full(false);
    let huge: &'static str = String::leak("x".repeat(65 << 20));
    world.ask(append(huge, None, false));
    world.shard.set_disk_full(true);
    world.now = world.now.plus_ms(3000);
    world.ask(read());
    let read_at = world.now;
    world.shard.sweep(world.now.plus_ms(100));
    assert_ne!(logged(&world), Some(read_at), "there is no room");
    world.shard.set_disk_full(false);
    pass(&mut world, 100);
    assert_eq!(logged(&world), Some(read_at));
}

#[test]
fn pages_are_small_while_answers_hold_much() {
    let mut world = World::durable(1 << 20);
    world.done(create(None));
    world.done(append(String::leak("x".repeat(100_000)), None, false));
    let page_bytes = |world: &mut World| {
        let page = world.done(read());
        page.matches('x').count()
    };
    assert_eq!(page_bytes(&mut world), 100_000);
    let held = world.shard.held().count(vec![0; limits::LEAST_HELD_BYTES + 1]);
    assert_eq!(page_bytes(&mut world), limits::HELD_PAGE_BYTES);
    drop(held);
    assert_eq!(page_bytes(&mut world), 100_000);
}

//! Retention on a shard by itself, against a model that remembers every append.

use thalweg_proto::offset::Offset;
use thalweg_proto::request::ForkRequest;
use thalweg_storage::disk::SplitMix;

use super::*;

fn create(bytes: Option<u64>, seconds: Option<u64>) -> Op {
    let Op::Create(request, url) = super::create(None) else { panic!("a creation") };
    Op::Create(CreateRequest { retention: Retention { bytes, seconds }, ..request }, url)
}

fn append_bytes(len: usize) -> Op {
    let Op::Append(request) = append("", None, false) else { panic!("an append") };
    let body = Body { raw: vec![b'x'; len].into(), json: None };
    Op::Append(AppendRequest { body, ..request })
}

fn read_at(world: &World, position: u64) -> Op {
    let Op::Read(request, follower) = read() else { panic!("a read") };
    let offset = Offset { epoch: slot(world).state.id.0, position };
    Op::Read(ReadRequest { from: ReadFrom::At(offset), ..request }, follower)
}

fn slot(world: &World) -> &Slot {
    world.shard.streams.at(&path("s")).unwrap()
}

fn sweep(world: &mut World) {
    world.shard.sweep(world.now);
}

#[test]
fn a_long_stream_loses_its_beginning_once_that_is_durable() {
    let mut world = World::durable(1 << 20);
    world.done(create(Some(10), None));
    for text in ["four", "more", "and ", "more"] {
        world.done(append(text, None, false));
    }
    sweep(&mut world);
    assert_eq!(world.done(read()), "5:page(fourmoreand more)", "one sync for both");
    assert_eq!(slot(&world).readable(), 4..16, "12 bytes, because 8 would be too few");
    assert_eq!(world.done(read()), "6:page(moreand more)");
    let early = read_at(&world, 3);
    assert_eq!(world.done(early), "7:410");
    let first = read_at(&world, 4);
    assert_eq!(world.done(first), "8:page(moreand more)");
    sweep(&mut world);
    assert!(world.out().is_empty() && world.shard.is_settled(), "nothing more to do");
}

#[test]
fn old_bytes_go_when_their_time_has_come() {
    let mut world = World::durable(1 << 20);
    world.done(create(None, Some(60)));
    for text in ["one ", "two ", "three "] {
        world.done(append(text, None, false));
        world.now = world.now.plus_ms(29_000);
    }
    // 87 s after the first, 58 s and 29 s after the others.
    for (wait_ms, want) in [(0, "two three "), (2_000, "three "), (28_999, "three "), (1, "")] {
        world.now = world.now.plus_ms(wait_ms);
        sweep(&mut world);
        world.sync();
        world.out();
        world.ask(read());
        let page = world.out().join(" ");
        assert!(page.ends_with(&format!("page({want})")), "{page} after {wait_ms}");
    }
    assert_eq!(slot(&world).readable(), 14..14);
    world.done(append("anew", None, false));
    sweep(&mut world);
    assert!(world.done(read()).ends_with("page(anew)"));
}

#[test]
fn a_fork_keeps_what_it_inherits() {
    let mut world = World::durable(1 << 20);
    world.done(create(Some(4), None));
    world.done(append("four", None, false));
    let wanted = ForkRequest { source: path("s"), offset: None, sub_offset: 0 };
    assert_eq!(world.done(Op::Fork(path("s"), wanted.clone())), "2:fork(true)");
    world.done(append("more", None, false));
    sweep(&mut world);
    world.sync();
    assert_eq!(world.done(read()), "4:page(more)");
    assert_eq!(slot(&world).extents.len(), 2, "the bytes stay for the fork");
    let id = slot(&world).state.id;
    // A fork cannot begin where the source does not reach any more.
    let offset = Some(Offset { epoch: id.0, position: 2 });
    let refused = world.done(Op::Fork(path("s"), ForkRequest { offset, ..wanted }));
    assert_eq!(refused, "5:fork(false)");
    world.shard.note(Note::Unfork { path: path("s"), id }, world.now);
    assert_eq!(slot(&world).extents.len(), 1, "and go with it");
    assert_eq!(world.done(read()), "6:page(more)");
}

#[test]
fn limits_of_the_server_are_for_those_without_their_own() {
    let mut world = World::durable(1 << 20);
    world.shard.trims =
        crate::shard::retention::Trims::new(Retention { bytes: Some(4), seconds: None });
    world.done(create(None, None));
    let other = CreateRequest {
        path: path("free"),
        ..match create(Some(0), None) {
            Op::Create(request, _) => request,
            _ => panic!("a creation"),
        }
    };
    world.done(Op::Create(other, None));
    let mut free = append_bytes(8);
    if let Op::Append(request) = &mut free {
        request.path = path("free");
    }
    for op in [free, append_bytes(4), append_bytes(4)] {
        world.done(op);
    }
    sweep(&mut world);
    world.sync();
    assert_eq!(slot(&world).readable(), 4..8);
    assert_eq!(world.shard.streams.at(&path("free")).unwrap().readable(), 0..8);
}

#[test]
fn without_a_log_the_memory_is_given_back() {
    let mut world = World::with(Log::Memory { last: Lsn::default() }, 1);
    let settle = |world: &mut World, op: Option<Op>| {
        op.map(|op| world.ask(op));
        let last = world.shard.log().last();
        world.shard.committed(last, &[], world.now);
    };
    settle(&mut world, Some(create(Some(4), None)));
    for _ in 0..5 {
        settle(&mut world, Some(append_bytes(3)));
    }
    sweep(&mut world);
    settle(&mut world, None);
    assert_eq!((slot(&world).readable(), slot(&world).hot.len()), (9..15, 2));
}

/// What is kept is enough, begins with a record, and is soon not much more than enough.
#[test]
fn random_histories_keep_what_was_promised() {
    for seed in 0..40 {
        let random = &mut SplitMix(seed);
        let bytes = (random.below(4) > 0).then(|| 1 + random.below(5_000));
        let seconds = (random.below(4) > 0).then(|| 1 + random.below(100));
        let mut world = World::durable(1 << 20);
        world.done(create(bytes, seconds));
        // When each append was made, and where it ended.
        let mut appends = vec![(world.now, 0)];
        for _ in 0..400 {
            match random.below(4) {
                0 => world.now = world.now.plus_ms(random.below(3_000)),
                1 => sweep(&mut world),
                2 => world.sync(),
                _ => {
                    let len = 1 + random.below(300);
                    world.ask(append_bytes(len as usize));
                    appends.push((world.now, appends.last().map_or(0, |last| last.1) + len));
                }
            }
            check(&world, &appends, (bytes, seconds), seed);
        }
        // Left alone, nothing stays that need not.
        world.sync();
        for _ in 0..200 {
            world.now = world.now.plus_ms(1_000);
            sweep(&mut world);
            world.sync();
        }
        let kept = slot(&world).readable();
        let most = bytes.map_or(u64::MAX, |bytes| bytes + bytes / 16 + 300);
        assert!(kept.end - kept.start <= most, "seed {seed}: {kept:?} of {bytes:?}");
        assert!(seconds.is_none() || kept.is_empty(), "seed {seed}: {kept:?} after {seconds:?} s");
        let extents = &slot(&world).extents;
        assert_eq!(extents.first().unwrap_or(kept.end), kept.start, "seed {seed}");
    }
}

fn check(
    world: &World,
    appends: &[(Timestamp, u64)],
    (bytes, seconds): (Option<u64>, Option<u64>),
    seed: u64,
) {
    let slot = slot(world);
    for earliest in [slot.visible_earliest, slot.state.earliest] {
        let is_boundary = appends.iter().any(|(_, end)| *end == earliest);
        assert!(is_boundary, "seed {seed}: {earliest} is inside of an append");
        // Every byte that is gone is too old, or there are enough behind it.
        let young = |(at, _): &&(Timestamp, u64)| {
            seconds.is_none_or(|seconds| world.now.ms_since(*at) < seconds * 1000)
        };
        let first_young = appends.iter().position(|append| young(&append));
        let first_young = first_young
            .map_or(u64::MAX, |at| appends.get(at.wrapping_sub(1)).map_or(0, |(_, end)| *end));
        let enough = bytes.is_some_and(|bytes| slot.state.tail - earliest >= bytes);
        assert!(earliest <= first_young || enough, "seed {seed}: {earliest} is not old enough");
    }
}

/// SIGHUP brings other limits: they hold for the streams that are there.
#[test]
fn limits_of_the_server_that_change() {
    let mut world = World::durable(1 << 20);
    world.done(super::create(None));
    for text in ["four", "more", "and ", "more"] {
        world.done(append(text, None, false));
    }
    let settle = |world: &mut World| {
        sweep(world);
        world.sync();
        world.out();
        slot(world).readable()
    };
    assert_eq!(settle(&mut world), 0..16, "there is no limit");
    world.shard.set_retention(Retention { bytes: Some(9), seconds: None });
    assert_eq!(settle(&mut world), 4..16);
    world.shard.set_retention(Retention { bytes: None, seconds: Some(3600) });
    settle(&mut world);
    world.shard.set_retention(Retention { bytes: None, seconds: Some(60) });
    world.now = world.now.plus_ms(59_000);
    assert_eq!(settle(&mut world), 4..16, "not old enough");
    world.now = world.now.plus_ms(2_000);
    assert_eq!(settle(&mut world), 16..16, "an hour would have been too late");
    world.shard.set_retention(Retention::default());
    world.done(append("kept", None, false));
    world.now = world.now.plus_ms(7_200_000);
    assert_eq!(settle(&mut world), 16..20);
}

use super::*;
use bytes::Bytes;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;
use thalweg_proto::content_type::ContentType;
use thalweg_proto::offset::Offset;
use thalweg_proto::stream::record::StreamId;

fn path() -> StreamPath {
    StreamPath::new("s").unwrap()
}

fn batch(from: u64, len: usize, closed: bool) -> Arc<LiveBatch> {
    Arc::new(LiveBatch::new(
        path(),
        StreamId(1),
        ContentType::octet_stream(),
        from,
        Offset { epoch: 1, position: from + len as u64 },
        Bytes::from(vec![b'x'; len]),
        closed,
    ))
}

fn poll(follower: &Follower, position: u64) -> String {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(follower.next(position)).poll(&mut context) {
        Poll::Pending => "pending".to_owned(),
        Poll::Ready(Next::Behind) => "behind".to_owned(),
        Poll::Ready(Next::Ended) => "ended".to_owned(),
        Poll::Ready(Next::Expired) => "expired".to_owned(),
        Poll::Ready(Next::News(batches)) => {
            let ranges = batches.iter().map(|batch| format!("{}..{}", batch.from, batch.to()));
            ranges.collect::<Vec<_>>().join(" ")
        }
    }
}

#[test]
fn a_reader_takes_everything_since_its_position() {
    let fanout = Rc::new(Fanout::default());
    let now = Instant::now();
    let reader = fanout.follow(&path(), now + Duration::from_secs(60));
    let check = |position, want: &str| assert_eq!(poll(&reader, position), want, "at {position}");
    check(10, "pending");
    fanout.publish(batch(10, 5, false));
    fanout.publish(batch(15, 5, false));
    check(10, "10..15 15..20");
    check(15, "15..20");
    check(20, "pending");
    check(3, "behind");
    fanout.publish(batch(20, 0, true));
    check(20, "20..20");
    fanout.sweep(now);
    check(21, "pending");
    fanout.sweep(now + Duration::from_secs(61));
    check(21, "expired");
    check(20, "20..20");
    fanout.end(&path());
    check(10, "ended");
}

#[test]
fn the_last_reader_out_ends_the_stream() {
    let fanout = Rc::new(Fanout::default());
    let deadline = Instant::now() + Duration::from_secs(60);
    let one = fanout.follow(&path(), deadline);
    let two = fanout.follow(&path(), deadline);
    assert_eq!(fanout.readers(), 2);
    assert_eq!(one.leave(), None);
    assert_eq!(two.leave(), Some(path()));
    assert_eq!(fanout.readers(), 0);
    assert!(fanout.streams.borrow().is_empty());
}

#[test]
fn windows_stay_within_the_budget() {
    let fanout = Rc::new(Fanout::default());
    let reader = fanout.follow(&path(), Instant::now() + Duration::from_secs(60));
    let len = WINDOW_BYTES / 8;
    for index in 0..9 {
        fanout.publish(batch(index * len as u64, len, false));
    }
    assert!(fanout.bytes.get() <= WINDOW_BYTES);
    assert_eq!(poll(&reader, 0), "behind");
    assert!(poll(&reader, 8 * len as u64).ends_with(&format!("{}", 9 * len)));
    fanout.publish(batch(9 * len as u64, 2 * WINDOW_BYTES, false));
    assert!(
        poll(&reader, 9 * len as u64).starts_with(&format!("{}..", 9 * len)),
        "the newest stays"
    );
    drop(reader);
    assert_eq!(fanout.bytes.get(), 0);
}

/// What a crowd member at `position` is sent, with its own cursor.
fn take(follower: &Follower, position: u64, own: u64) -> String {
    match follower.take(position, Cursors { current: 100, own }) {
        None => "nothing".to_owned(),
        Some(Next::Behind) => "behind".to_owned(),
        Some(Next::Ended) => "ended".to_owned(),
        Some(Next::Expired) => "expired".to_owned(),
        Some(Next::News(frame)) => {
            let events = String::from_utf8(frame.bytes(false).to_vec()).unwrap();
            let chunked = String::from_utf8(frame.bytes(true).to_vec()).unwrap();
            let framed = format!("{:x}\r\n{events}\r\n", events.len());
            let last = if frame.closed { "0\r\n\r\n" } else { "" };
            assert_eq!(chunked, format!("{framed}{last}"));
            let data = events.lines().filter_map(|line| line.strip_prefix("data:"));
            format!("{} to {}", data.collect::<Vec<_>>().join(" "), frame.next.position)
        }
    }
}

#[test]
fn a_member_is_sent_all_news_as_one_frame() {
    let fanout = Rc::new(Fanout::default());
    let now = Instant::now();
    let reader = fanout.follow(&path(), now + Duration::from_secs(60));
    let token = |position| Offset { epoch: 1, position }.to_string();
    let control = |position, cursor, end: &str| {
        format!(
            "{{\"streamNextOffset\":\"{}\",\"streamCursor\":\"{cursor}\"{end}}}",
            token(position)
        )
    };
    let up = ",\"upToDate\":true";
    assert_eq!(take(&reader, 0, 0), "nothing");
    fanout.publish(batch(0, 1, false));
    assert_eq!(take(&reader, 0, 0), format!("eA== {} to 1", control(1, 100, up)));
    assert_eq!(take(&reader, 0, 250), format!("eA== {} to 1", control(1, 250, up)));
    fanout.publish(batch(1, 2, false));
    assert_eq!(take(&reader, 0, 0), format!("eHh4 {} to 3", control(3, 100, up)));
    assert_eq!(take(&reader, 1, 0), format!("eHg= {} to 3", control(3, 100, up)));
    assert_eq!(take(&reader, 3, 0), "nothing");
    // More than one write carries: what is left is not the end.
    fanout.publish(batch(3, TAKE_BYTES, false));
    fanout.publish(batch(3 + TAKE_BYTES as u64, 1, false));
    let first = take(&reader, 3, 0);
    assert!(first.ends_with(&format!(
        "{} to {}",
        control(3 + TAKE_BYTES as u64, 100, ""),
        3 + TAKE_BYTES
    )));
    fanout.publish(batch(4 + TAKE_BYTES as u64, 0, true));
    let closed = format!(
        "{{\"streamNextOffset\":\"{}\",\"upToDate\":true,\"streamClosed\":true}}",
        token(4 + TAKE_BYTES as u64)
    );
    let end = 4 + TAKE_BYTES as u64;
    assert_eq!(take(&reader, end, 0), format!("{closed} to {end}"));
    assert_eq!(take(&reader, 2, 0), "behind");
    fanout.sweep(now + Duration::from_secs(61));
    assert_eq!(take(&reader, end + 1, 0), "expired");
    assert_eq!(take(&reader, end, 0), "expired", "also when there is news");
    let other = fanout.follow(&path(), now + Duration::from_secs(90));
    fanout.end(&path());
    assert_eq!(take(&other, end + 1, 0), "ended");
}

#[test]
fn a_member_stands_in_the_line_once() {
    let fanout = Rc::new(Fanout::default());
    let now = Instant::now();
    let line = || std::iter::from_fn(|| fanout.ready.pop()).collect::<Vec<_>>();
    let one = fanout.follow(&path(), now + Duration::from_secs(60));
    let two = fanout.follow(&path(), now + Duration::from_secs(90));
    one.call(1);
    two.call(2);
    fanout.publish(batch(0, 1, false));
    fanout.publish(batch(1, 1, false));
    let mut called = line();
    called.sort_unstable();
    assert_eq!(called, [1, 2]);
    assert!(take(&one, 0, 0).ends_with("to 2"));
    fanout.publish(batch(2, 1, false));
    assert_eq!(line(), [1], "the other has not answered its call yet");
    let _ = (take(&one, 2, 0), take(&two, 0, 0));
    fanout.sweep(now + Duration::from_secs(61));
    assert_eq!(line(), [1]);
    drop(one);
    fanout.expire_all();
    assert_eq!(line(), [2]);
}

#[test]
fn members_keep_their_turn_while_some_wait_for_theirs() {
    let fanout = Rc::new(Fanout::default());
    let deadline = Instant::now() + Duration::from_secs(60);
    let readers: Vec<_> = (0..7).map(|_| fanout.follow(&path(), deadline)).collect();
    for (number, reader) in readers.iter().enumerate() {
        reader.call(number as u32);
    }
    let serve = |most: usize| {
        let served: Vec<_> = std::iter::from_fn(|| fanout.ready.pop()).take(most).collect();
        for number in &served {
            let _ = take(&readers[*number as usize], 0, 0);
        }
        served
    };
    let publish = |at| fanout.publish(batch(at, 1, false));
    publish(0);
    let first = serve(3);
    publish(1);
    let second = serve(5);
    publish(2);
    let third = serve(6);
    publish(3);
    let rest = serve(7);
    let order = [first, second, third, rest].concat();
    assert_eq!(order[..7].iter().collect::<std::collections::HashSet<_>>().len(), 7);
    for (at, number) in order.iter().enumerate().skip(7) {
        assert_eq!(*number, order[at - 7], "{order:?}");
    }
    // Nobody waits: the next round starts elsewhere.
    publish(4);
    assert_ne!(serve(7), order[14..21], "{order:?}");
}

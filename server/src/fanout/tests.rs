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
        Poll::Ready(Next::Batches(batches)) => {
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

//! Round trips and damage.

use bytes::Bytes;
use proptest::prelude::*;
use thalweg_proto::content_type::ContentType;
use thalweg_proto::path::StreamPath;
use thalweg_proto::stream::config::{Expiry, StreamConfig};
use thalweg_proto::stream::record::{Payload, ProducerMark, Record, StreamId};
use thalweg_proto::stream::retention::Retention;
use thalweg_proto::stream::{Closure, Lifecycle, StreamState};
use thalweg_proto::time::Timestamp;

use super::stream::CheckpointedStream;
use super::{CheckpointEncoder, CheckpointStart, decode};
use crate::extents::{Extents, ReadSpan};
use crate::location::{Location, LogId, LogPosition, Lsn, SegmentRef};
use crate::recovery::StoredStream;

fn stream(id: u64) -> CheckpointedStream {
    let mark = ProducerMark { id: "producer".into(), epoch: id, seq: 7 };
    let config = StreamConfig {
        content_type: ContentType::octet_stream(),
        expiry: Expiry::Ttl { seconds: id },
        retention: Retention {
            bytes: id.is_multiple_of(3).then_some(id),
            seconds: id.is_multiple_of(5).then_some(id),
        },
        fork: None,
    };
    let mut state = StreamState::created_by(&Record::Create {
        id: StreamId(id),
        at: Timestamp(1),
        path: StreamPath::new(&format!("s/{id}")).unwrap(),
        config,
        payload: Payload { bytes: vec![0; 10].into(), cuts: Vec::new() },
        close: false,
    })
    .unwrap();
    if id.is_multiple_of(2) {
        state.producers.accept(&mark);
        state.last_seq = Some("seq".into());
        state.closed = Some(Closure { by: id.is_multiple_of(4).then_some(mark) });
        state.lifecycle = Lifecycle::SoftDeleted;
    }
    if id.is_multiple_of(7) {
        state.apply(&Record::Trim { id: state.id, at: Timestamp(2), to: id % 11 });
    }
    let mut extents = Extents::default();
    let segment = SegmentRef { log: LogId(1), number: 2 };
    let location = Location { segment, file_offset: 4136, record_len: 60 };
    assert!(extents.push(ReadSpan { position: 0, len: 10, location }));
    let stream = StoredStream { state, extents, last_lsn: Lsn(id) };
    CheckpointedStream { stream, placed: Lsn(id / 2) }
}

fn file(streams: &[CheckpointedStream]) -> Vec<u8> {
    let position = LogPosition { segment: 3, file_offset: 8192, lsn: Lsn(99), chain: 5 };
    let start = CheckpointStart { log: LogId(4), position, max_stream_id: StreamId(77) };
    let mut encoder = CheckpointEncoder::begin(start);
    let mut bytes = Vec::new();
    for CheckpointedStream { stream, placed } in streams {
        encoder.add(&stream.state, &stream.extents, stream.last_lsn, *placed);
        bytes.extend(encoder.take_chunks().concat());
    }
    let events = [Bytes::from_static(b"one"), Bytes::from_static(b"two")];
    let finished = encoder.finish_with_events(Lsn(120), Some(b"subs"), &events);
    bytes.extend(finished.chunks.concat());
    assert_eq!(bytes.len() as u64, finished.bytes);
    assert_eq!((finished.streams, finished.needs), (streams.len() as u64, Lsn(120)));
    bytes
}

#[test]
fn what_goes_in_comes_out() {
    // Enough for several chunks.
    let streams: Vec<_> = (1..5000).map(stream).collect();
    let checkpoint = decode(&file(&streams)).unwrap();
    assert_eq!(checkpoint.streams, streams);
    assert_eq!(checkpoint.start.position.file_offset, 8192);
    assert_eq!((checkpoint.start.max_stream_id, checkpoint.last_lsn), (StreamId(77), Lsn(120)));
    assert_eq!(checkpoint.subscriptions.as_deref(), Some(&b"subs"[..]));
    assert_eq!(checkpoint.events, [&b"one"[..], b"two"]);
}

#[test]
fn damage_is_noticed() {
    let bytes = file(&[stream(1), stream(2), stream(4)]);
    for len in 0..bytes.len() {
        assert!(decode(&bytes[..len]).is_err(), "{len} bytes");
    }
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        assert!(decode(&flipped).is_err(), "byte {at}");
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert!(decode(&longer).is_err());
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(decode(&bytes).is_err());
    }

    #[test]
    fn arbitrary_streams_never_panic(body in prop::collection::vec(0..30u8, 0..300), version in 1..3u32) {
        let mut fields = crate::wire::Fields::new(&body);
        let _ = super::stream::decode(&mut fields, version);
    }
}

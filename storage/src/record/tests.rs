//! Round trips, damage, and bytes from nowhere.

use bytes::Bytes;
use proptest::prelude::*;
use thalweg_proto::content_type::ContentType;
use thalweg_proto::offset::Offset;
use thalweg_proto::path::StreamPath;
use thalweg_proto::stream::config::{Expiry, ForkOrigin, Inherited, StreamConfig};
use thalweg_proto::stream::record::{Payload, ProducerMark, Record, StreamId};
use thalweg_proto::stream::retention::Retention;
use thalweg_proto::time::Timestamp;

use super::{decode_at, encode, encoded_len, payload_of};
use crate::buffer::AlignedBuf;
use crate::error::Damage;

fn path() -> impl Strategy<Value = StreamPath> {
    "[a-z€]{1,8}(/[a-z ]{1,8}){0,2}".prop_map(|text| StreamPath::new(&text).unwrap())
}

fn payload() -> impl Strategy<Value = Payload> {
    let bytes = prop::collection::vec(any::<u8>(), 0..200).prop_map(Bytes::from);
    (bytes, prop::collection::vec(any::<u32>(), 0..4))
        .prop_map(|(bytes, cuts)| Payload { bytes, cuts })
}

fn fork() -> impl Strategy<Value = ForkOrigin> {
    let run = (path(), any::<u64>(), 0..1u64 << 40).prop_map(|(path, id, end)| Inherited {
        path,
        id: StreamId(id),
        end,
    });
    let offset = prop::option::of((any::<u64>(), any::<u64>()));
    let lineage = prop::collection::vec(run, 0..3);
    (path(), any::<u64>(), offset, any::<u64>(), any::<bool>(), lineage).prop_map(
        |(source, source_id, offset, sub_offset, inherited_expiry, lineage)| ForkOrigin {
            source,
            source_id: StreamId(source_id),
            requested_offset: offset.map(|(epoch, position)| Offset { epoch, position }),
            sub_offset,
            inherited_expiry,
            inherits_from: lineage.last().map_or(0, |last| last.end / 2),
            lineage,
        },
    )
}

fn config() -> impl Strategy<Value = StreamConfig> {
    let expiry = prop_oneof![
        Just(Expiry::Never),
        any::<u64>().prop_map(|seconds| Expiry::Ttl { seconds }),
        any::<u64>().prop_map(|at| Expiry::At(Timestamp(at))),
    ];
    let content_type = "(application/json|text/plain; charset=utf-8|image/png)"
        .prop_map(|text| ContentType::parse(&text).unwrap());
    let retention = (any::<Option<u64>>(), any::<Option<u64>>())
        .prop_map(|(bytes, seconds)| Retention { bytes, seconds });
    let fork = prop::option::of(fork().prop_map(Box::new));
    (content_type, expiry, retention, fork).prop_map(|(content_type, expiry, retention, fork)| {
        StreamConfig { content_type, expiry, retention, fork }
    })
}

fn record() -> impl Strategy<Value = Record> {
    let id = || any::<u64>().prop_map(StreamId);
    let at = || any::<u64>().prop_map(Timestamp);
    let mark = ("[a-z]{0,20}", any::<u64>(), any::<u64>())
        .prop_map(|(id, epoch, seq)| ProducerMark { id: id.into(), epoch, seq });
    let seq = prop::option::of("[0-9]{0,20}".prop_map(|seq| seq.into()));
    prop_oneof![
        (id(), at(), path(), config(), payload(), any::<bool>()).prop_map(
            |(id, at, path, config, payload, close)| Record::Create {
                id,
                at,
                path,
                config,
                payload,
                close
            }
        ),
        (id(), at(), 0..1u64 << 60, payload(), prop::option::of(mark), seq, any::<bool>())
            .prop_map(|(id, at, position, payload, producer, seq, close)| Record::Append {
                id,
                at,
                position,
                payload,
                producer,
                seq,
                close
            }),
        (id(), at()).prop_map(|(id, at)| Record::SoftDelete { id, at }),
        (id(), at()).prop_map(|(id, at)| Record::Delete { id, at }),
        (id(), at()).prop_map(|(id, at)| Record::Touch { id, at }),
        (id(), at(), any::<u64>()).prop_map(|(id, at, to)| Record::Trim { id, at, to }),
        prop::collection::vec(any::<u8>(), 0..99)
            .prop_map(|event| Record::Subscription { event: event.into() }),
    ]
}

fn encoded(record: &Record) -> Bytes {
    let mut buf = AlignedBuf::new();
    encode(record, &mut buf);
    Bytes::copy_from_slice(&buf.as_ref()[..buf.used()])
}

proptest! {
    #[test]
    fn what_goes_in_comes_out(record in record()) {
        let bytes = encoded(&record);
        prop_assert_eq!(bytes.len(), encoded_len(&record));
        let (decoded, len) = decode_at(&bytes).unwrap();
        prop_assert_eq!(len, bytes.len());
        prop_assert_eq!(&decoded, &record);
        // Content types compare by media type only.
        prop_assert_eq!(format!("{decoded:?}"), format!("{record:?}"));
        if let (Some(id), Some((position, payload))) = (record.stream_id(), record.payload()) {
            prop_assert_eq!(&payload_of(&bytes, id, position).unwrap(), payload);
            let other = payload_of(&bytes, id, position + 1);
            prop_assert!(matches!(other, Err(Damage::OtherRecord { .. })), "{:?}", other);
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed(record in record(), at in any::<prop::sample::Index>(), bit in 0..8u8) {
        let mut bytes = encoded(&record).to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(decode_at(&bytes.into()).is_err());
    }

    #[test]
    fn arbitrary_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(decode_at(&bytes.into()).is_err());
    }

    // With a good CRC the fields themselves meet arbitrary bytes.
    #[test]
    fn arbitrary_fields_never_panic(kind in 0..9u8, flags in 0..16u8, data in 0..64u32, tail in prop::collection::vec(0..40u8, 20..200)) {
        let mut bytes = vec![0; 8];
        bytes.extend_from_slice(&[kind, flags, 0, 0]);
        bytes.extend_from_slice(&data.to_le_bytes());
        bytes.extend_from_slice(&[0; 24]);
        bytes.extend_from_slice(&tail);
        let len = bytes.len() as u32;
        bytes[4..8].copy_from_slice(&len.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[4..]);
        bytes[..4].copy_from_slice(&crc.to_le_bytes());
        let bytes = Bytes::from(bytes);
        let _ = decode_at(&bytes);
        let _ = payload_of(&bytes, StreamId(0), 0);
    }
}

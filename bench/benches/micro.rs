//! Micro benchmarks: the pure parts of an append and of a live event, each by itself.
//!
//! `cargo bench -p bench`; `cargo bench -p bench -- sse` for a part of them. Absolute times are the
//! machine's; what is worth comparing is two versions on one quiet machine.

use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use thalweg::fanout::batch::encode_chunk;
use thalweg_proto::content_type::{ContentType, Framing};
use thalweg_proto::cors::AllowOrigin;
use thalweg_proto::http1::encode::{HeadOptions, imf_fixdate, write_head};
use thalweg_proto::http1::{HeadStatus, RequestHead, Version, encode, parse_head};
use thalweg_proto::offset::Offset;
use thalweg_proto::path::StreamPath;
use thalweg_proto::request::{AppendRequest, ParseContext, Request, parse};
use thalweg_proto::sse::{Control, write_data};
use thalweg_proto::stream::StreamState;
use thalweg_proto::stream::append::{AppendDecision, decide};
use thalweg_proto::stream::config::{Expiry, StreamConfig};
use thalweg_proto::stream::record::{Payload, Record, StreamId};
use thalweg_proto::stream::retention::Retention;
use thalweg_proto::time::Timestamp;
use thalweg_proto::{answer, json};
use thalweg_storage::writer::LogConfig;
use thalweg_storage::{
    LogId, LogPosition, LogWriter, Lsn, PreparedSegment, ResumePoint, TakeGroup,
};

fn codec(c: &mut Criterion) {
    let mut group = c.benchmark_group("http1");
    let request = post(100);
    group.bench_function("parse the head of an append", |b| b.iter(|| head(black_box(&request))));
    let (parsed, body) = (head(&request), Bytes::from(message(100)));
    let context = ParseContext { base_path: "/v1/stream".into(), public_base: None };
    group.bench_function("type an append of 100 bytes", |b| {
        b.iter(|| parse(black_box(&parsed), body.clone(), &context).is_ok());
    });
    let (_, ack) = decided(&state(), &append_request(100));
    let options = HeadOptions {
        version: Version::Http11,
        keep_alive: true,
        date: &imf_fixdate(NOW),
        allow_origin: AllowOrigin::Any,
        framing: encode::Framing::Sized,
    };
    let mut out = Vec::new();
    group.bench_function("answer an append", |b| {
        b.iter(|| {
            out.clear();
            write_head(&mut out, &answer::appended(black_box(ack)), &options);
            out.len()
        });
    });
    group.finish();
}

fn state_machine(c: &mut Criterion) {
    let mut group = c.benchmark_group("append");
    let (mut stream, request) = (state(), append_request(100));
    group.bench_function("decide", |b| {
        b.iter(|| decide(black_box(&stream), black_box(&request), NOW).is_ok());
    });
    group.bench_function("decide and apply", |b| {
        b.iter(|| {
            let (record, ack) = decided(&stream, &request);
            stream.apply(&record);
            ack
        });
    });
    group.finish();
}

/// Encoding includes the record's CRC; a group's is computed when it is taken.
fn log(c: &mut Criterion) {
    let mut group = c.benchmark_group("log");
    for bytes in [100, 4096] {
        let record = decided(&state(), &append_request(bytes)).0;
        group.throughput(Throughput::Bytes((RECORDS * bytes) as u64));
        group.bench_function(format!("encode {RECORDS} records of {bytes} bytes"), |b| {
            b.iter_batched_ref(writer, |writer| append(writer, &record), BatchSize::LargeInput);
        });
        group.bench_function(format!("encode and group {RECORDS} records of {bytes} bytes"), |b| {
            let mut writer = writer();
            b.iter(|| {
                append(&mut writer, &record);
                take(&mut writer)
            });
        });
    }
    group.finish();
}

fn json_mode(c: &mut Criterion) {
    let mut group = c.benchmark_group("json");
    for (name, body) in [
        ("one message of 100 bytes", message(100)),
        ("array of 100 messages of 100 bytes", array(100)),
        ("one message of 64 KiB", message(64 * 1024)),
    ] {
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(format!("flatten {name}"), |b| {
            b.iter(|| json::flatten(black_box(&body)).is_ok());
        });
    }
    group.finish();
}

fn sse(c: &mut Criterion) {
    let mut group = c.benchmark_group("sse");
    let next = Offset { epoch: 1, position: 101 };
    let control = Control { next, cursor: 3_500_000, up_to_date: true, closed: false };
    for (name, content_type, stored) in [
        ("JSON", "application/json", [message(100), b",".to_vec()].concat()),
        ("text", "text/plain", message(100)),
        ("binary", "application/octet-stream", message(100)),
        ("4 KiB of JSON", "application/json", [message(4096), b",".to_vec()].concat()),
    ] {
        let content_type = content_type_of(content_type);
        group.bench_function(format!("frame with {name}"), |b| {
            b.iter(|| encode_chunk(&content_type, black_box(&stored), control));
        });
    }
    let lines = "a line of text\n".repeat(100).into_bytes();
    let mut out = Vec::new();
    group.bench_function("event of 100 lines of text", |b| {
        b.iter(|| {
            out.clear();
            write_data(&mut out, Framing::Text, black_box(&lines));
        });
    });
    group.finish();
}

fn message(bytes: usize) -> Vec<u8> {
    let mut message = br#"{"m":"8271633.0.17.81726354433."#.to_vec();
    message.resize(bytes - 2, b'x');
    message.extend_from_slice(b"\"}");
    message
}

fn array(messages: usize) -> Vec<u8> {
    let messages = vec![String::from_utf8_lossy(&message(100)).into_owned(); messages];
    format!("[{}]", messages.join(",")).into_bytes()
}

fn post(bytes: usize) -> Vec<u8> {
    format!(
        "POST /v1/stream/bench/17 HTTP/1.1\r\nhost: 127.0.0.1:4437\r\n\
         content-type: application/json\r\ncontent-length: {bytes}\r\n\r\n"
    )
    .into_bytes()
}

fn head(request: &[u8]) -> RequestHead {
    match parse_head(request) {
        Ok(HeadStatus::Complete(head, _)) => head,
        other => panic!("not a whole head: {other:?}"),
    }
}

fn append_request(bytes: usize) -> AppendRequest {
    let context = ParseContext { base_path: "/v1/stream".into(), public_base: None };
    match parse(&head(&post(bytes)), message(bytes).into(), &context) {
        Ok(Request::Append(request)) => request,
        other => panic!("not an append: {other:?}"),
    }
}

fn decided(
    state: &StreamState,
    request: &AppendRequest,
) -> (Record, thalweg_proto::stream::append::AppendAck) {
    match decide(state, request, NOW) {
        Ok(AppendDecision::Write(record, ack)) => (record, ack),
        other => panic!("not accepted: {other:?}"),
    }
}

fn state() -> StreamState {
    let record = Record::Create {
        id: StreamId(1),
        at: NOW,
        path: StreamPath::new("bench/17").unwrap_or_else(|error| panic!("{error:?}")),
        config: StreamConfig {
            content_type: content_type_of("application/json"),
            expiry: Expiry::Never,
            retention: Retention::default(),
            fork: None,
        },
        payload: Payload::default(),
        close: false,
    };
    StreamState::created_by(&record).unwrap_or_else(|| panic!("a stream is created"))
}

fn content_type_of(text: &str) -> ContentType {
    ContentType::parse(text).unwrap_or_else(|| panic!("{text} is a content type"))
}

fn writer() -> LogWriter {
    let position = LogPosition::origin(Lsn(0));
    let resume = ResumePoint { log: LogId(0), position, segment: None };
    LogWriter::new(resume, LogConfig::default())
}

fn append(writer: &mut LogWriter, record: &Record) {
    for _ in 0..RECORDS {
        black_box(writer.append(record));
    }
}

/// Takes all groups, as if they were written.
fn take(writer: &mut LogWriter) -> usize {
    let mut bytes = 0;
    loop {
        match writer.take_group() {
            TakeGroup::Nothing => return bytes,
            TakeGroup::NeedSegment { segment, min_bytes } => {
                writer.provide_segment(PreparedSegment { segment, bytes: min_bytes, salt: 1 });
            }
            TakeGroup::Group(group) => {
                bytes += group.bytes.len();
                writer.written(group);
            }
        }
    }
}

/// Records of a group.
const RECORDS: usize = 64;
const NOW: Timestamp = Timestamp(1_800_000_000_000);

criterion_group! {
    name = micro;
    config = Criterion::default()
        .sample_size(50)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = codec, state_machine, log, json_mode, sse
}
criterion_main!(micro);

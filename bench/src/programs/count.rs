//! The path of an append and of a live frame inside one process, without sockets and files, to
//! count instructions: run it with two counts under callgrind, and divide the difference.
//!
//! Invariant: the code is the server's own, called in the server's order. What is left out is the
//! runtime, the kernel, and one core's asking another.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use thalweg::fanout::batch::LiveBatch;
use thalweg::mailbox::message::{Answer, Op};
use thalweg::shard::{Log, Output, ReplyTo, Shard, ShardConfig};
use thalweg_proto::content_type::ContentType;
use thalweg_proto::cors::AllowOrigin;
use thalweg_proto::http1::encode::{Framing, HeadOptions, imf_fixdate, write_head};
use thalweg_proto::http1::{BodyDecoder, HeadStatus, Progress, RequestHead, Version, parse_head};
use thalweg_proto::offset::Offset;
use thalweg_proto::path::StreamPath;
use thalweg_proto::request::{ParseContext, Request, parse};
use thalweg_proto::stream::record::StreamId;
use thalweg_proto::stream::retention::Retention;
use thalweg_proto::time::Timestamp;
use thalweg_storage::writer::LogConfig;
use thalweg_storage::{Disk, LogWriter, MemoryDisk, PreparedSegment, TakeGroup, recover};

use super::ProgramArgs;
use crate::Failure;

/// Appends of 100 bytes, each a request and an answer, 64 to a group.
pub(crate) fn appends(args: &ProgramArgs) -> Result<(), Failure> {
    let mut path = AppendPath::new()?;
    let requests: Vec<_> = (0..STREAMS).map(|stream| request("POST", stream, &message())).collect();
    for (request, at) in requests.iter().cycle().zip(1..=args.n) {
        path.ask(request)?;
        if at % GROUP == 0 || at == args.n {
            path.commit();
            path.answer()?;
        }
    }
    Ok(())
}

/// Frames of one message of 100 bytes each, encoded once and shared.
pub(crate) fn frames(args: &ProgramArgs) -> Result<(), Failure> {
    let path = StreamPath::new("bench").map_err(|_| "a path")?;
    let json = ContentType::parse("application/json").ok_or("a content type")?;
    let stored = Bytes::from([&message()[..], b","].concat());
    for index in 0..u64::from(args.n) {
        let from = index * stored.len() as u64;
        let next = Offset { epoch: 1, position: from + stored.len() as u64 };
        let (path, json, stored) = (path.clone(), json.clone(), stored.clone());
        let batch = LiveBatch::new(path, StreamId(1), json, from, next, stored, false);
        black_box(batch.frame(CURSOR));
    }
    Ok(())
}

/// A connection and a shard with nothing between them.
struct AppendPath {
    shard: Shard,
    context: ParseContext,
    input: BytesMut,
    output: Vec<u8>,
    asked: u64,
    answered: u64,
}

impl AppendPath {
    fn new() -> Result<AppendPath, Failure> {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
        let recovered = recover(&disk, Path::new("data"), 1, &|_| 0).map_err(|e| e.to_string())?;
        let core = recovered.cores.into_iter().next().ok_or("one core")?;
        let writer = LogWriter::new(core.resume, LogConfig::default());
        let log = Log::durable_log(writer, core.segments);
        let config = ShardConfig {
            core: 0,
            cores: 1,
            hot_tail_bytes: 64 * 1024 * 1024,
            read_cache_bytes: 0,
            max_pending_bytes: 64 * 1024 * 1024,
            retention: Retention::default(),
        };
        let shard = Shard::new(config, log, Vec::new(), StreamId(0), NOW);
        let context = ParseContext { base_path: "/v1/stream".into(), public_base: None };
        let (input, output) = (BytesMut::new(), Vec::new());
        let mut path = AppendPath { shard, context, input, output, asked: 0, answered: 0 };
        for stream in 0..STREAMS {
            path.ask(&request("PUT", stream, b""))?;
        }
        path.commit();
        path.answer()?;
        Ok(path)
    }

    /// Takes a request apart and hands it to the shard.
    fn ask(&mut self, request: &[u8]) -> Result<(), Failure> {
        self.input.extend_from_slice(request);
        let head = self.head()?;
        let mut decoder = BodyDecoder::new(head.body, 8 * 1024 * 1024).map_err(|_| "a body")?;
        let mut body = BytesMut::new();
        let progress = decoder.decode(&mut self.input, &mut body).map_err(|_| "a body")?;
        if progress == Progress::More {
            return Err("a whole body".into());
        }
        let request = parse(&head, body.freeze(), &self.context);
        let op = match request.map_err(|problem| problem.detail.to_string())? {
            Request::Append(request) => Op::Append(request),
            Request::Create(request) => Op::Create(request, None),
            _ => return Err("an append".into()),
        };
        self.shard.handle(op, ReplyTo { core: 0, ticket: self.asked }, NOW);
        self.asked += 1;
        Ok(())
    }

    fn head(&mut self) -> Result<RequestHead, Failure> {
        match parse_head(&self.input) {
            Ok(HeadStatus::Complete(head, length)) => {
                self.input.advance(length);
                Ok(head)
            }
            other => Err(format!("not a whole head: {other:?}").into()),
        }
    }

    /// What the log's task does, but for the write.
    fn commit(&mut self) {
        loop {
            match self.shard.log().take_group() {
                TakeGroup::Nothing => return,
                TakeGroup::NeedSegment { segment, min_bytes } => {
                    let prepared = PreparedSegment { segment, bytes: min_bytes, salt: 1 };
                    self.shard.log().provide_segment(prepared);
                }
                TakeGroup::Group(mut group) => {
                    black_box(group.bytes.as_ref());
                    let placements = std::mem::take(&mut group.placements);
                    placements.iter().for_each(|placement| self.shard.log().placed(placement));
                    self.shard.log().written(group);
                    let durable = self.shard.log().durable();
                    self.shard.committed(durable, &placements, NOW);
                }
            }
        }
    }

    /// Writes the answers of what is durable.
    fn answer(&mut self) -> Result<(), Failure> {
        let options = HeadOptions {
            version: Version::Http11,
            keep_alive: true,
            date: &imf_fixdate(NOW),
            allow_origin: AllowOrigin::Any,
            framing: Framing::Sized,
        };
        while let Some(output) = self.shard.poll_output() {
            let Output::Reply(_, Answer::Response(response)) = output else { continue };
            if !response.status.is_success() {
                return Err(format!("the answer is {}", response.status).into());
            }
            self.output.clear();
            write_head(&mut self.output, &response, &options);
            black_box(&self.output);
            self.answered += 1;
        }
        match self.answered == self.asked {
            true => Ok(()),
            false => Err(format!("{} of {} are answered", self.answered, self.asked).into()),
        }
    }
}

/// As the generator sends it.
pub(crate) fn request(method: &str, stream: u32, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "{method} /v1/stream/bench/{stream} HTTP/1.1\r\nhost: 127.0.0.1:4437\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// JSON of 100 bytes.
pub(crate) fn message() -> Vec<u8> {
    let mut message = br#"{"m":"8271633.0.17.81726354433."#.to_vec();
    message.resize(98, b'x');
    message.extend_from_slice(b"\"}");
    message
}

const STREAMS: u32 = 1000;
const GROUP: u32 = 64;
const NOW: Timestamp = Timestamp(1_800_000_000_000);
const CURSOR: u64 = 3_500_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_append_is_answered() {
        let mut path = AppendPath::new().unwrap();
        for _ in 0..3 {
            path.ask(&request("POST", 7, &message())).unwrap();
        }
        assert!(path.answer().is_err(), "nothing is durable yet");
        path.commit();
        path.answer().unwrap();
        let answer = String::from_utf8(path.output).unwrap();
        assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
        let end = 3 * (message().len() + 1);
        assert!(answer.contains(&format!("_{end:016}\r\n")), "{answer}");
        assert_eq!(path.answered, u64::from(STREAMS) + 3);
    }
}

//! `thalweg storage dump`: what is in the files, record by record, as far as it can be read.

use std::io::{self, BufWriter, StdoutLock, Write};
use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use thalweg_proto::stream::{Lifecycle, StreamState};
use thalweg_storage::group::GroupHeader;
use thalweg_storage::inspect::{
    Finding, FoundStream, LoggedRecord, Severity, Visitor, inspect, read_checkpoint, read_log,
    read_records,
};
use thalweg_storage::segment::SegmentHeader;
use thalweg_storage::{LogId, ReadOnlyDisk, SegmentRef};

use super::exit::{Exit, Failure};
use super::text::time;
use super::{findings, record, running};

/// The arguments of `thalweg storage dump`.
#[derive(Args, Debug)]
pub struct DumpArgs {
    /// The data directory, or a copy or backup of one
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Every record of this log
    #[arg(long, value_name = "ID", conflicts_with_all = ["stream", "checkpoint"])]
    log: Option<u32>,
    /// The stream with this path, and the records that hold its bytes
    #[arg(long, value_name = "PATH", conflicts_with = "checkpoint")]
    stream: Option<String>,
    /// The streams in the newest checkpoint of this log
    #[arg(long, value_name = "LOG")]
    checkpoint: Option<u32>,
    /// Another checkpoint of the log
    #[arg(long, value_name = "NUMBER", requires = "checkpoint")]
    number: Option<u64>,
    /// The data too
    #[arg(long)]
    payload: bool,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

pub(super) fn main(args: &DumpArgs) -> Result<Exit, Failure> {
    running::warn(&args.dir);
    let mut printer = Printer {
        out: BufWriter::new(io::stdout().lock()),
        json: args.json,
        payload: args.payload,
        is_damaged: false,
        failed: None,
    };
    match (args.log, &args.stream, args.checkpoint) {
        (None, Some(path), _) => dump_stream(args, path, &mut printer)?,
        (None, None, Some(log)) => dump_checkpoint(args, LogId(log), &mut printer)?,
        (Some(log), ..) => {
            read_log(&ReadOnlyDisk, &args.dir, LogId(log), &mut printer)?;
        }
        (None, None, None) => {
            return Err(Failure::usage("say what to dump: --log, --stream or --checkpoint"));
        }
    }
    let Printer { mut out, is_damaged, failed, .. } = printer;
    let flushed = failed.map_or_else(|| out.flush(), Err);
    match flushed {
        // Who reads it may leave.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::failed(format!("stdout: {error}")))
        }
        _ => Ok(if is_damaged { Exit::Damaged } else { Exit::Ok }),
    }
}

fn dump_stream(args: &DumpArgs, path: &str, printer: &mut Printer<'_>) -> Result<(), Failure> {
    let found = inspect(&ReadOnlyDisk, &args.dir, &|_| {})?;
    let stream = found.streams.values().find(|found| found.stream.state.path.as_str() == path);
    let Some(stream) = stream else {
        let (dir, all) = (args.dir.display(), found.streams.len());
        return Err(Failure::usage(format!("{dir} has no stream `{path}` among its {all}")));
    };
    printer.stream(stream);
    let findings = read_records(&ReadOnlyDisk, &args.dir, stream, &mut |record| {
        printer.record(record);
    })?;
    findings.iter().for_each(|finding| printer.finding(finding));
    Ok(())
}

fn dump_checkpoint(args: &DumpArgs, log: LogId, printer: &mut Printer<'_>) -> Result<(), Failure> {
    let (streams, findings) = read_checkpoint(&ReadOnlyDisk, &args.dir, log, args.number)?;
    streams.iter().for_each(|stream| printer.stream(stream));
    findings.iter().for_each(|finding| printer.finding(finding));
    Ok(())
}

struct Printer<'a> {
    out: BufWriter<StdoutLock<'a>>,
    json: bool,
    payload: bool,
    is_damaged: bool,
    failed: Option<io::Error>,
}

impl Printer<'_> {
    fn print(&mut self, text: &str) {
        if self.failed.is_none() {
            self.failed = self.out.write_all(text.as_bytes()).err();
        }
    }

    fn stream(&mut self, found: &FoundStream) {
        let text = match self.json {
            true => format!("{}\n", stream_json(found)),
            false => stream_text(found),
        };
        self.print(&text);
    }
}

impl Visitor for Printer<'_> {
    fn segment(&mut self, header: &SegmentHeader) {
        let SegmentHeader { segment, bytes, previous_lsn, .. } = header;
        if !self.json {
            self.print(&format!("{segment}: {bytes} bytes, after record {previous_lsn}\n"));
        }
    }

    fn group(&mut self, _segment: SegmentRef, at: u64, header: &GroupHeader) {
        let GroupHeader { records, payload_len, .. } = header;
        if !self.json {
            self.print(&format!(
                "           @{at:<10} group of {records} records, {payload_len} bytes\n"
            ));
        }
    }

    fn record(&mut self, logged: LoggedRecord) {
        let text = match self.json {
            true => format!("{}\n", record::json(&logged, self.payload)),
            false => record::line(&logged, self.payload),
        };
        self.print(&text);
    }

    fn wants_sealed(&self) -> bool {
        true
    }

    fn finding(&mut self, finding: &Finding) {
        self.is_damaged |= finding.severity == Severity::Damage;
        let text = match self.json {
            true => format!("{}\n", json!({ "finding": findings::json(finding) })),
            false => findings::text(finding),
        };
        self.print(&text);
    }
}

fn stream_text(found: &FoundStream) -> String {
    let StreamState { id, path, created, earliest, config, tail, closed, lifecycle, .. } =
        &found.stream.state;
    let mut text = format!(
        "stream {} `{path}` {}, bytes {earliest} to {tail}, created {}{}{}\n",
        id.0,
        config.content_type.as_str(),
        time(*created),
        if closed.is_some() { ", closed" } else { "" },
        if *lifecycle == Lifecycle::SoftDeleted { ", deleted" } else { "" },
    );
    for span in found.stream.extents.iter() {
        let end = span.position + u64::from(span.len);
        text.push_str(&format!(
            "  bytes {} to {end} in {} @{}, {} bytes\n",
            span.position,
            span.location.segment,
            span.location.file_offset,
            span.location.record_len
        ));
    }
    text
}

fn stream_json(found: &FoundStream) -> serde_json::Value {
    let state = &found.stream.state;
    let producers: Vec<_> = state
        .producers
        .iter()
        .map(|(id, known)| json!({ "id": id, "epoch": known.epoch, "seq": known.last_seq }))
        .collect();
    let places: Vec<_> = found
        .stream
        .extents
        .iter()
        .map(|span| {
            json!({
                "position": span.position,
                "length": span.len,
                "file": span.location.segment.to_string(),
                "offset": span.location.file_offset,
                "bytes": span.location.record_len,
            })
        })
        .collect();
    json!({
        "stream": state.id.0,
        "path": state.path.as_str(),
        "created": time(state.created),
        "last_access": time(state.last_access),
        "config": record::config_json(&state.config),
        "start": state.start(),
        "earliest": state.earliest,
        "tail": state.tail,
        "closed": state.closed.as_ref().map(|closure| {
            json!({ "by": closure.by.as_ref().map(record::producer_json) })
        }),
        "last_seq": state.last_seq.as_deref(),
        "producers": producers,
        "deleted": state.lifecycle == Lifecycle::SoftDeleted,
        "last_record": found.stream.last_lsn.0,
        "places": places,
    })
}

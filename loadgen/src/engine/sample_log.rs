//! Rows of one thread for the sample log, and who they are from.
//!
//! Invariants: what is measured is logged, once, and the warm-up is not; without a log nothing is
//! formatted. Requests of live readers are not operations: their deliveries are logged, of every
//! reader or of some, never chosen by latency.
//!
//! Deliberately absent: the file ([`crate::output::jtl`]).

use std::sync::atomic::Ordering::Relaxed;

use http::StatusCode;
use http::header::CONTENT_TYPE;
use thalweg_proto::http1::Fields;

use super::core::Core;
use super::options::JtlDeliveries;
use super::recorder::{Ended, LabelId};
use super::wire::{Response, WireError};
use crate::output::jtl::{DataType, JtlBuffer, JtlRow, JtlSink, ResponseCode};

/// Where the rows of one thread are collected.
#[derive(Debug)]
pub(crate) struct SampleLog {
    buffer: JtlBuffer,
    deliveries: JtlDeliveries,
}

/// Whose row it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Who {
    /// Index of the group in the plan.
    pub(crate) group: u32,
    /// Within its group, from 1.
    pub(crate) user: u32,
}

/// What was answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Said<'a> {
    code: ResponseCode<'a>,
    message: &'a str,
    data_type: DataType,
}

/// A message that a reader got.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Delivery {
    pub(crate) label: LabelId,
    pub(crate) stream: u32,
    pub(crate) intended_ns: u64,
    pub(crate) received_ns: u64,
    /// What came with it: those of several messages at once count with the first.
    pub(crate) bytes: u64,
}

/// What a transaction was made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Within {
    pub(crate) samples: u64,
    pub(crate) failed: u64,
    /// Pauses that its time leaves out.
    pub(crate) paused_ns: u64,
}

impl SampleLog {
    pub(crate) fn new(sink: JtlSink, deliveries: JtlDeliveries) -> SampleLog {
        SampleLog { buffer: JtlBuffer::new(sink), deliveries }
    }

    /// Whether deliveries of a reader, counted from 0, are logged.
    fn follows(&self, reader: u32) -> bool {
        match self.deliveries {
            JtlDeliveries::All => true,
            JtlDeliveries::OneIn(count) => reader.is_multiple_of(count.max(1)),
            JtlDeliveries::None => false,
        }
    }
}

impl<'a> Said<'a> {
    /// An answer, or why there is none. `message` is the error in words.
    pub(crate) fn of(answer: Result<&'a Response, &WireError>, message: &'a str) -> Said<'a> {
        match answer {
            Ok(response) => Said::answer(response.status, &response.fields, &response.body),
            Err(error) => Said::nothing(error.kind(), message),
        }
    }

    fn answer(status: StatusCode, fields: &Fields, body: &[u8]) -> Said<'a> {
        let is_text = |value: &str| {
            ["text/", "json", "xml", "javascript"].iter().any(|part| value.contains(part))
        };
        let content_type = || fields.get(CONTENT_TYPE.as_str());
        let data_type = match body.is_empty() {
            true => DataType::None,
            false if content_type().is_some_and(|value| !is_text(value)) => DataType::Binary,
            false => DataType::Text,
        };
        let message = status.canonical_reason().unwrap_or_default();
        Said { code: ResponseCode::Status(status.as_u16()), message, data_type }
    }

    /// No answer: the kind of failure, and it in words.
    pub(crate) fn nothing(kind: &'a str, message: &'a str) -> Said<'a> {
        Said { code: ResponseCode::Text(kind), message, data_type: DataType::None }
    }
}

impl Core {
    /// Logs an operation that has ended. `path` is asked for only if there is a log.
    pub(crate) fn log(
        &self,
        who: Who,
        ended: &Ended,
        said: Said<'_>,
        failure: Option<&str>,
        path: impl FnOnce() -> String,
    ) {
        if !self.is_logged(ended.intended_ns) {
            return;
        }
        let target = &self.program.target;
        let url = format!("{}://{}{}", target.scheme(), target.host, path());
        self.push(
            who,
            JtlRow {
                response_code: said.code,
                response_message: said.message,
                data_type: said.data_type,
                url: &url,
                connect_ns: ended.connect_ns.unwrap_or(0),
                ..self.row(ended, failure)
            },
        );
    }

    /// Logs a transaction, in the words by which JMeter's report knows one.
    pub(crate) fn log_transaction(
        &self,
        who: Who,
        ended: &Ended,
        within: Within,
        failure: Option<&str>,
    ) {
        if !self.is_logged(ended.intended_ns) {
            return;
        }
        let Within { samples, failed, paused_ns } = within;
        let message = format!(
            "Number of samples in transaction : {samples}, number of failing samples : {failed}"
        );
        let good = ResponseCode::Status(StatusCode::OK.as_u16());
        self.push(
            who,
            JtlRow {
                response_code: if failure.is_none() { good } else { ResponseCode::Text("") },
                response_message: &message,
                url: "null",
                idle_ns: paused_ns,
                ..self.row(ended, failure)
            },
        );
    }

    /// Logs a delivery to a reader that is [followed](Core::logs_deliveries_of).
    pub(crate) fn log_delivery(&self, who: Who, delivery: &Delivery) {
        let Delivery { label, stream, intended_ns, received_ns, bytes } = *delivery;
        let ended = Ended {
            label,
            intended_ns,
            sent_ns: intended_ns,
            first_byte_ns: received_ns,
            ended_ns: received_ns,
            connect_ns: None,
            bytes_sent: 0,
            bytes_received: bytes,
        };
        let code = ResponseCode::Status(StatusCode::OK.as_u16());
        let said = Said { code, message: "OK", data_type: DataType::Text };
        self.log(who, &ended, said, None, || self.program.stream_path(stream));
    }

    /// Whether deliveries of a reader, counted from 0, are logged.
    pub(crate) fn logs_deliveries_of(&self, reader: u32) -> bool {
        self.log.as_ref().is_some_and(|log| log.borrow().follows(reader))
    }

    /// Hands over what there is.
    pub(crate) fn flush_log(&self) {
        if let Some(log) = &self.log {
            log.borrow_mut().buffer.flush();
        }
    }

    /// What all kinds of row have in common.
    fn row<'a>(&'a self, ended: &Ended, failure: Option<&'a str>) -> JtlRow<'a> {
        JtlRow {
            time_stamp_ms: self.shared.clock.unix_ms(ended.intended_ns),
            elapsed_ns: ended.ended_ns.saturating_sub(ended.intended_ns),
            label: &self.program.labels[ended.label].name,
            response_code: ResponseCode::Text(""),
            response_message: "",
            group: "",
            group_number: 0,
            user: 0,
            data_type: DataType::None,
            success: failure.is_none(),
            failure_message: failure.unwrap_or_default(),
            bytes: ended.bytes_received,
            sent_bytes: ended.bytes_sent,
            group_threads: 0,
            all_threads: 0,
            url: "",
            latency_ns: ended.first_byte_ns.saturating_sub(ended.intended_ns),
            idle_ns: 0,
            connect_ns: 0,
        }
    }

    fn is_logged(&self, intended_ns: u64) -> bool {
        self.log.is_some() && self.recorder.borrow().is_measured(intended_ns)
    }

    fn push(&self, who: Who, row: JtlRow<'_>) {
        let Some(log) = &self.log else { return };
        let group_threads = self.groups.borrow()[who.group as usize].users.max(1);
        let all = self.shared.users.load(Relaxed) + self.shared.readers.load(Relaxed);
        log.borrow_mut().buffer.push(&JtlRow {
            group: &self.program.plan.groups[who.group as usize].name,
            group_number: who.group + 1,
            user: who.user,
            group_threads,
            all_threads: u32::try_from(all).unwrap_or(u32::MAX).max(group_threads),
            ..row
        });
    }
}

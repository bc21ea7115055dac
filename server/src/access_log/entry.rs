//! One line: what was asked, by whom, what came of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp as Moment;
use serde_json::json;
use thalweg_proto::time::Timestamp;

use super::context::{TraceContext, to_hex};
use crate::metrics::Operation;

/// The name of a request in logs: the client's, or made here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RequestId(Box<str>);

/// The longest id that a client may give.
const MAX_ID_BYTES: usize = 128;

/// An answered request.
#[derive(Clone, Debug)]
pub struct Entry {
    /// When it was answered.
    pub at: Timestamp,
    /// Its name.
    pub id: RequestId,
    /// Who asked.
    pub peer: Option<SocketAddr>,
    /// The method.
    pub method: http::Method,
    /// The path as sent, without the query.
    pub path: Box<str>,
    /// The version of HTTP.
    pub protocol: &'static str,
    /// What was asked for.
    pub operation: Operation,
    /// The status.
    pub status: u16,
    /// Why it was refused.
    pub code: Option<&'static str>,
    /// Bytes of the request's body.
    pub request_bytes: u64,
    /// Bytes of the answer's body; of a live answer, none.
    pub response_bytes: u64,
    /// From the request's last byte to the answer.
    pub took: Duration,
    /// The core that answered.
    pub core: usize,
    /// Who asked, as access control knows it.
    pub principal: Option<Arc<str>>,
    /// The trace that it belongs to, if the client said so.
    pub trace: Option<TraceContext>,
}

impl RequestId {
    /// A client's id, if it is one that can be logged and sent back.
    #[must_use]
    pub fn parse(text: &str) -> Option<RequestId> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/+=@".contains(&byte);
        let sane = (1..=MAX_ID_BYTES).contains(&text.len()) && text.bytes().all(plain);
        sane.then(|| RequestId(text.into()))
    }

    /// An id out of two random numbers.
    #[must_use]
    pub fn random(numbers: [u64; 2]) -> RequestId {
        RequestId(format!("{:016x}{:016x}", numbers[0], numbers[1]).into())
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Entry {
    /// As a line of JSON, with its end.
    #[must_use]
    pub fn line(&self) -> String {
        let at = i64::try_from(self.at.0).ok().and_then(|ms| Moment::from_millisecond(ms).ok());
        let mut line = json!({
            "time": at.map(|at| format!("{at:.3}")),
            "request_id": self.id.as_str(),
            "peer": self.peer.map(|peer| peer.to_string()),
            "method": self.method.as_str(),
            "path": self.path,
            "protocol": self.protocol,
            "operation": self.operation.name(),
            "status": self.status,
            "request_bytes": self.request_bytes,
            "response_bytes": self.response_bytes,
            "duration_us": u64::try_from(self.took.as_micros()).unwrap_or(u64::MAX),
            "core": self.core,
        });
        if let Some(code) = self.code {
            line["code"] = code.into();
        }
        if let Some(principal) = &self.principal {
            line["principal"] = (**principal).into();
        }
        if let Some(trace) = self.trace {
            line["trace_id"] = to_hex(&trace.trace_id).into();
            line["parent_span_id"] = to_hex(&trace.parent).into();
        }
        let mut line = line.to_string();
        line.push('\n');
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids() {
        for good in ["a", "01J-xyz_", "req:1/2+3=@", &"x".repeat(128)] {
            assert_eq!(RequestId::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "a b", "a\"b", "a\nb", "ä", "{}", &"x".repeat(129)] {
            assert_eq!(RequestId::parse(bad), None, "{bad}");
        }
        assert_eq!(RequestId::random([1, u64::MAX]).as_str(), "0000000000000001ffffffffffffffff");
    }

    #[test]
    fn lines_are_json() {
        let entry = Entry {
            at: Timestamp(1_700_000_000_123),
            id: RequestId::random([1, 2]),
            peer: Some(([127, 0, 0, 1], 9).into()),
            method: http::Method::POST,
            path: "/v1/stream/\"a\"".into(),
            protocol: "HTTP/1.1",
            operation: Operation::Append,
            status: 404,
            code: Some("not-found"),
            request_bytes: 7,
            response_bytes: 9,
            took: Duration::from_micros(1500),
            core: 1,
            principal: Some("token:t".into()),
            trace: TraceContext::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        };
        let line = entry.line();
        let read: serde_json::Value = serde_json::from_str(line.trim_end()).unwrap();
        assert_eq!(read["time"], "2023-11-14T22:13:20.123Z");
        assert_eq!(
            (&read["path"], &read["code"]),
            (&"/v1/stream/\"a\"".into(), &"not-found".into())
        );
        assert_eq!((&read["duration_us"], &read["peer"]), (&1500.into(), &"127.0.0.1:9".into()));
        assert_eq!(read["principal"], "token:t");
        assert_eq!(read["trace_id"], "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(read["parent_span_id"], "b7ad6b7169203331");
        assert!(line.ends_with("}\n"));
    }
}

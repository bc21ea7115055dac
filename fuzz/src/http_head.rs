//! HTTP/1.1 heads: no bytes panic, a head is complete at one place alone, and the request behind
//! it parses or is refused.

use bytes::Bytes;
use thalweg_proto::http1::{HeadStatus, parse_head};
use thalweg_proto::request::{ParseContext, Request, parse, precheck};
use thalweg_proto::subscription::SubscriptionRequest;

/// Prefixes that are tried, beside the ones at the end.
const PREFIXES: usize = 16;

pub fn check(data: &[u8]) {
    let Ok(HeadStatus::Complete(head, taken)) = parse_head(data) else { return };
    assert!(taken <= data.len());
    assert_eq!(parse_head(&data[..taken]), Ok(HeadStatus::Complete(head.clone(), taken)));
    let step = taken.div_ceil(PREFIXES).max(1);
    for len in (0..taken).step_by(step).chain(taken.saturating_sub(4)..taken) {
        let status = parse_head(&data[..len]);
        assert_eq!(status, Ok(HeadStatus::Incomplete), "{len} of {taken} bytes");
    }
    let context = ParseContext { base_path: "/v1/stream".to_owned(), public_base: None };
    let early = precheck(&head, &context);
    let body = Bytes::copy_from_slice(&data[taken..]);
    let parsed = parse(&head, body, &context);
    assert!(early.is_ok() || parsed.is_err(), "{early:?}, but {parsed:?}");
    if let Ok(Request::Control(request)) = parsed {
        let authorization = request.authorization.as_deref();
        let _ = SubscriptionRequest::parse(
            &request.method,
            &request.tail,
            authorization,
            &request.body,
        );
    }
}

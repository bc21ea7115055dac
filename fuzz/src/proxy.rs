//! What proxies say about their clients: the PROXY protocol, `Forwarded`, `X-Forwarded-For`. A
//! header is complete at one place alone; what a client writes into a field never changes what its
//! proxy says behind it.

use std::net::IpAddr;

use thalweg_proto::http1::forwarded::{ForwardedField, believe};
use thalweg_proto::http1::{HeadStatus, RequestHead, parse_head};
use thalweg_proto::limits::MAX_PROXY_HEADER_BYTES;
use thalweg_proto::proxy_protocol::{ProxyStatus, parse_proxy_header};

pub fn check(data: &[u8]) {
    header(data);
    for (name, own) in [("forwarded", "for=192.0.2.7;host=h.example"), ("x-forwarded-for", CLIENT)]
    {
        fields(data, name, own);
    }
}

fn header(data: &[u8]) {
    let Ok(ProxyStatus::Complete(header, taken)) = parse_proxy_header(data) else { return };
    assert!(taken <= data.len().min(MAX_PROXY_HEADER_BYTES));
    let again = parse_proxy_header(&data[..taken]);
    assert_eq!(again, Ok(ProxyStatus::Complete(header, taken)));
    let step = taken.div_ceil(16).max(1);
    for len in (0..taken).step_by(step).chain(taken.saturating_sub(4)..taken) {
        let status = parse_proxy_header(&data[..len]);
        assert_eq!(status, Ok(ProxyStatus::Incomplete), "{len} of {taken} bytes");
    }
}

/// `own` is what the proxy adds to the bytes that its client has sent.
fn fields(data: &[u8], name: &str, own: &str) {
    let head = |last: &[u8]| {
        let start = format!("GET /v1/stream/a HTTP/1.1\r\nhost: a\r\n{name}: ");
        parse_head(&[start.as_bytes(), last, b"\r\n\r\n"].concat())
    };
    let kind = match name {
        "forwarded" => ForwardedField::Forwarded,
        _ => ForwardedField::XForwarded,
    };
    let proxy = IpAddr::from([10, 0, 0, 1]);
    let found = |mut head: RequestHead, trusts_all: bool| {
        believe(&mut head, kind, proxy, |address| trusts_all || address == proxy);
        head.client
    };
    if let Ok(HeadStatus::Complete(head, _)) = head(data) {
        assert!(found(head.clone(), false).is_some());
        assert!(found(head, true).is_some());
    }
    // A line of its own would be another field.
    let is_value = !data.iter().any(|byte| matches!(byte, b'\r' | b'\n'));
    if is_value
        && let Ok(HeadStatus::Complete(head, _)) = head(&[data, b", ", own.as_bytes()].concat())
    {
        assert_eq!(found(head, false).map(|address| address.to_string()).as_deref(), Some(CLIENT));
    }
}

const CLIENT: &str = "192.0.2.7";

//! Heads of HTTP/2: whatever the fields are, one request that says what they said, or a refusal.

use http::{HeaderName, HeaderValue, Method, Request};
use thalweg_proto::http1::BodyLength;
use thalweg_proto::http2::request_head;

use super::input::Input;

pub fn check(data: &[u8]) {
    let mut input = Input(data);
    let ended = input.u8() & 1 == 1;
    let text = |input: &mut Input<'_>| {
        let len = usize::from(input.u8());
        input.bytes(len).to_vec()
    };
    let (method, uri) = (text(&mut input), text(&mut input));
    let Ok(method) = Method::from_bytes(&method) else { return };
    let mut request = Request::builder().method(method.clone()).uri(&uri[..]);
    while !input.is_empty() {
        let (name, value) = (text(&mut input), text(&mut input));
        let Ok(name) = HeaderName::from_bytes(&name) else { continue };
        let Ok(value) = HeaderValue::from_bytes(&value) else { continue };
        request = request.header(name, value);
    }
    let Ok(request) = request.body(()) else { return };
    let (parts, ()) = request.into_parts();
    let Ok(head) = request_head(&parts, ended) else { return };
    assert_eq!(head.method, method);
    let Some(target) = parts.uri.path_and_query() else { panic!("a request for nothing") };
    let target = target.as_str();
    let said = match head.query() {
        Some(query) => format!("{}?{query}", head.path()),
        None => head.path().to_owned(),
    };
    // A whole URL may be a path to the library; the parser takes it apart once more.
    assert!(said == target || !target.starts_with('/'), "{said:?} instead of {target:?}");
    for (name, value) in &parts.headers {
        if name != http::header::HOST && name != http::header::COOKIE {
            let found = head.fields.get_all(name.as_str()).any(|found| {
                let text = value.as_bytes().trim_ascii();
                found.as_bytes() == text
            });
            assert!(found, "{name} is gone");
        }
    }
    let framed = parts.headers.contains_key(http::header::CONTENT_LENGTH)
        || parts.headers.contains_key(http::header::TRANSFER_ENCODING);
    assert!(framed || (head.body == BodyLength::None) == ended);
}

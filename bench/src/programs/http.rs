//! As much of HTTP/1.1 as the generator speaks: the first request in a buffer.
//!
//! Deliberately absent: everything that a server on the network needs: limits of time, chunked
//! requests, `Expect`. A floor answers one client, which is ours.

/// A whole request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Request<'a> {
    pub(crate) method: Method,
    target: &'a str,
    pub(crate) body: &'a [u8],
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Method {
    Get,
    Put,
    Post,
    Other,
}

/// Not a request of ours: the connection ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Malformed;

impl<'a> Request<'a> {
    /// The first request in `input` and its length, once it is whole.
    pub(crate) fn first(input: &'a [u8]) -> Result<Option<(Request<'a>, usize)>, Malformed> {
        let mut slots = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut parsed = httparse::Request::new(&mut slots);
        let head = match parsed.parse(input).map_err(|_| Malformed)? {
            httparse::Status::Complete(head) => head,
            httparse::Status::Partial if input.len() > MAX_HEAD_BYTES => return Err(Malformed),
            httparse::Status::Partial => return Ok(None),
        };
        let length = parsed.headers.iter().find(|field| {
            field.name.len() == CONTENT_LENGTH.len()
                && field.name.eq_ignore_ascii_case(CONTENT_LENGTH)
        });
        let length = length.map_or(Some(0), |field| decimal(field.value)).ok_or(Malformed)?;
        let Some(body) = input.get(head..head + length) else { return Ok(None) };
        let method = match parsed.method {
            Some("GET") => Method::Get,
            Some("PUT") => Method::Put,
            Some("POST") => Method::Post,
            _ => Method::Other,
        };
        let target = parsed.path.unwrap_or_default();
        Ok(Some((Request { method, target, body }, head + length)))
    }

    /// The value of a parameter of the query.
    pub(crate) fn query(&self, name: &str) -> Option<&'a str> {
        let (_, query) = self.target.split_once('?')?;
        query
            .split('&')
            .find_map(|pair| pair.split_once('=').filter(|pair| pair.0 == name)?.1.into())
    }
}

/// At most as much as fits into memory without a thought.
fn decimal(text: &[u8]) -> Option<usize> {
    let number: usize = std::str::from_utf8(text).ok()?.trim().parse().ok()?;
    (number <= MAX_BODY_BYTES).then_some(number)
}

const CONTENT_LENGTH: &str = "content-length";
const MAX_FIELDS: usize = 32;
const MAX_HEAD_BYTES: usize = 16 * 1024;
const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests() {
        let check = |text: &str, want: (Method, Option<&str>, &str)| {
            for rest in ["", "PO", "POST /"] {
                let whole = format!("{text}{rest}");
                let (request, length) = Request::first(whole.as_bytes()).unwrap().unwrap();
                assert_eq!(length, text.len(), "{text}");
                let body = std::str::from_utf8(request.body).unwrap();
                assert_eq!((request.method, request.query("offset"), body), want, "{text}");
            }
            for cut in 0..text.len() {
                assert_eq!(Request::first(&text.as_bytes()[..cut]), Ok(None), "{text}, {cut}");
            }
        };
        check("PUT /x HTTP/1.1\r\nhost: h\r\n\r\n", (Method::Put, None, ""));
        let post = "POST /x HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\n\r\nabc";
        check(post, (Method::Post, None, "abc"));
        check(&post.replace("content-length", "Content-Length"), (Method::Post, None, "abc"));
        let get = "GET /x?live=sse&offset=1_2&cursor=5 HTTP/1.1\r\n\r\n";
        check(get, (Method::Get, Some("1_2"), ""));
        check("DELETE /x?offset= HTTP/1.1\r\n\r\n", (Method::Other, Some(""), ""));
    }

    #[test]
    fn what_is_none() {
        for bad in ["\0", "GET\r\n\r\n", "POST / HTTP/1.1\r\ncontent-length: x\r\n\r\n"] {
            assert_eq!(Request::first(bad.as_bytes()), Err(Malformed), "{bad}");
        }
        let long = format!("GET / HTTP/1.1\r\na: {}", "b".repeat(MAX_HEAD_BYTES));
        assert_eq!(Request::first(long.as_bytes()), Err(Malformed));
    }
}

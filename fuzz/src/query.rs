//! Query strings, of reads and of listings.

use bytes::Bytes;
use thalweg_proto::http1::{HeadStatus, parse_head};
use thalweg_proto::limits::MAX_LIST_LIMIT;
use thalweg_proto::offset::ReadFrom;
use thalweg_proto::request::{ParseContext, Request, parse};

pub fn check(data: &[u8]) {
    let context = ParseContext { base_path: "/v1/stream".to_owned(), public_base: None };
    for target in ["a", "__ds/streams"] {
        let line = format!("GET /v1/stream/{target}?");
        let head = [line.as_bytes(), data, b" HTTP/1.1\r\nhost: a\r\n\r\n"].concat();
        let Ok(HeadStatus::Complete(head, _)) = parse_head(&head) else { continue };
        match parse(&head, Bytes::new(), &context) {
            Ok(Request::Read(read)) => {
                if let ReadFrom::At(offset) = read.from {
                    assert_eq!(ReadFrom::parse(&offset.to_string()), Some(read.from));
                }
            }
            Ok(Request::List(list)) => assert!((1..=MAX_LIST_LIMIT).contains(&list.limit)),
            Ok(other) => panic!("{other:?}"),
            Err(problem) => assert!(problem.status.is_client_error(), "{problem:?}"),
        }
    }
}

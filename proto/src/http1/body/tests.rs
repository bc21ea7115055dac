use proptest::prelude::*;

use super::*;

const LIMIT: u64 = 1000;

fn decoder(length: BodyLength) -> BodyDecoder {
    BodyDecoder::new(length, LIMIT).unwrap()
}

/// Feeds the parts one after the other: the body, and what is left of the input once it is done.
fn run<'a>(
    mut decoder: BodyDecoder,
    parts: impl IntoIterator<Item = &'a [u8]>,
    directly: bool,
) -> Result<(BytesMut, Option<BytesMut>), BodyError> {
    let (mut input, mut out) = (BytesMut::new(), BytesMut::new());
    let mut progress = Progress::More;
    for part in parts {
        let direct = directly && input.is_empty();
        let taken = if direct { decoder.decode_data(part, &mut out) } else { 0 };
        input.extend_from_slice(&part[taken..]);
        progress = decoder.decode(&mut input, &mut out)?;
    }
    assert_eq!(decoder.is_done(), progress == Progress::Done);
    assert_eq!(decoder.finish().is_ok(), progress == Progress::Done);
    Ok((out, (progress == Progress::Done).then_some(input)))
}

fn check(length: BodyLength, wire: &str, want: Result<(&str, Option<&str>), (u16, &str)>) {
    let want = want.map_err(|(status, code)| (status, code.to_owned()));
    let at_once = vec![wire.as_bytes()];
    let one_by_one = wire.as_bytes().chunks(1).collect::<Vec<_>>();
    let ways = [(&at_once, false), (&at_once, true), (&one_by_one, false), (&one_by_one, true)];
    for (parts, directly) in ways {
        let got = run(decoder(length), parts.iter().copied(), directly);
        let got = match &got {
            Ok((body, rest)) => Ok((
                std::str::from_utf8(body).unwrap(),
                rest.as_ref().map(|rest| std::str::from_utf8(rest).unwrap()),
            )),
            Err(error) => Err((error.status.as_u16(), error.code.to_owned())),
        };
        assert_eq!(got, want, "{length:?} {:?}", &wire[..wire.len().min(60)]);
    }
}

#[test]
fn lengths() {
    check(BodyLength::None, "GET", Ok(("", Some("GET"))));
    check(BodyLength::Length(0), "GET", Ok(("", Some("GET"))));
    check(BodyLength::Length(3), "abcGET", Ok(("abc", Some("GET"))));
    check(BodyLength::Length(3), "ab", Ok(("ab", None)));
    assert!(BodyDecoder::new(BodyLength::Length(LIMIT), LIMIT).is_ok());
    let error = BodyDecoder::new(BodyLength::Length(LIMIT + 1), LIMIT).unwrap_err();
    assert_eq!((error.status.as_u16(), error.code), (413, "body-too-large"));
}

#[test]
fn chunks() {
    let check = |wire, want| check(BodyLength::Chunked, wire, want);
    check("0\r\n\r\nGET", Ok(("", Some("GET"))));
    check("3\r\nabc\r\n0\r\n\r\nGET", Ok(("abc", Some("GET"))));
    check("3\r\nabc\r\n00A\r\n0123456789\r\n0\r\n\r\n", Ok(("abc0123456789", Some(""))));
    check("1;a=b;c=\"d\"\r\nx\r\n1 ;e\r\ny\r\n0;f\r\n\r\n", Ok(("xy", Some(""))));
    check("1\r\nx\r\n0\r\nA: b\r\nC:\r\n\r\nGET", Ok(("x", Some("GET"))));
    check("3\r\nab", Ok(("ab", None)));
    check("3\r\nabc\r\n0\r\n", Ok(("abc", None)));
}

#[test]
fn hostile_chunks() {
    let check = |wire: &str, status, code| check(BodyLength::Chunked, wire, Err((status, code)));
    for bad in ["", "x", "-1", "+1", "0x1", " 1", "1 ", "1 2", "1,", "1;\u{1}", "fffffffffffffffff"]
    {
        check(&format!("{bad}\r\n"), 400, "malformed-chunk-size");
    }
    check("1\nx\r\n", 400, "bare-lf");
    check("1\rx", 400, "bare-cr");
    check("1;a\nb\r\n", 400, "bare-lf");
    check("1\r\nxy\r\n", 400, "malformed-chunk-end");
    check("1\r\nx\n", 400, "malformed-chunk-end");
    check("1\r\nx\r\r", 400, "malformed-chunk-end");
    check("0\r\n\n", 400, "bare-lf");
    check("0\r\nA\r\n\r\n", 400, "malformed-trailer");
    check("0\r\nA : b\r\n\r\n", 400, "malformed-trailer");
    check("0\r\n A: b\r\n\r\n", 400, "malformed-trailer");
    check("3e9\r\n", 413, "body-too-large");
    check("ffffffffffffffff\r\n", 413, "body-too-large");
    check(&format!("3e8\r\n{}\r\n1\r\n", "x".repeat(1000)), 413, "body-too-large");
    check(&format!("1;{}", "x".repeat(MAX_CHUNK_LINE_BYTES)), 400, "chunk-line-too-long");
    check(&format!("0\r\nA: {}", "x".repeat(MAX_TRAILER_BYTES)), 431, "trailers-too-large");
    check(&format!("0\r\n{}", "A: b\r\n".repeat(1000)), 431, "trailers-too-large");
}

#[test]
fn a_body_may_end_with_the_connection() {
    let mut decoder = BodyDecoder::until_close(4);
    let (mut input, mut out) = (BytesMut::from("abc"), BytesMut::new());
    assert_eq!(decoder.decode(&mut input, &mut out), Ok(Progress::More));
    let mut longer = decoder.clone();
    assert_eq!(decoder.finish(), Ok(()));
    assert!(decoder.is_done());
    assert_eq!(out, "abc");
    input.extend_from_slice(b"de");
    assert_eq!(longer.decode(&mut input, &mut out).unwrap_err().code, "body-too-large");
}

fn encode(chunks: &[Vec<u8>]) -> Vec<u8> {
    let mut wire = Vec::new();
    for chunk in chunks {
        wire.extend_from_slice(format!("{:x};e\r\n", chunk.len()).as_bytes());
        wire.extend_from_slice(chunk);
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(b"0\r\nA: b\r\n\r\nnext");
    wire
}

/// Cuts `wire` into pieces of the given lengths, over and over.
fn split<'a>(mut wire: &'a [u8], lengths: &[usize]) -> Vec<&'a [u8]> {
    let mut parts = Vec::new();
    for length in lengths.iter().cycle() {
        let (part, rest) = wire.split_at((*length).min(wire.len()));
        parts.push(part);
        wire = rest;
        if wire.is_empty() {
            break;
        }
    }
    parts
}

proptest! {
    #[test]
    fn any_split_decodes_to_the_same(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..10),
        lengths in prop::collection::vec(1usize..30, 1..10),
    ) {
        let wire = encode(&chunks);
        let (body, rest) = run(decoder(BodyLength::Chunked), split(&wire, &lengths), true).unwrap();
        prop_assert_eq!(&body[..], chunks.concat());
        prop_assert_eq!(rest.as_deref(), Some(b"next".as_slice()));
    }

    #[test]
    fn damaged_bodies_are_judged_alike_however_split(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..9), 0..5),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        lengths in prop::collection::vec(1usize..30, 1..10),
    ) {
        let mut wire = encode(&chunks);
        for (index, byte) in damage {
            let at = index.index(wire.len());
            wire[at] = byte;
        }
        let at_once = run(decoder(BodyLength::Chunked), [wire.as_slice()], false);
        prop_assert_eq!(at_once, run(decoder(BodyLength::Chunked), split(&wire, &lengths), true));
    }

    #[test]
    fn no_bytes_make_it_panic(wire: Vec<u8>, length in 0..=LIMIT) {
        let _ = run(decoder(BodyLength::Chunked), [wire.as_slice()], false);
        let _ = run(decoder(BodyLength::Length(length)), [wire.as_slice()], true);
    }
}

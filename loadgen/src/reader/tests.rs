use super::*;

const RUN: u64 = 9;
const MESSAGES: u32 = 8;
const NOW_NS: u64 = 1_000;

fn event(data: &str, offset: &str) -> String {
    format!(
        "event: data\ndata:[{data}]\n\n\
         event: control\ndata:{{\"streamNextOffset\":\"{offset}\",\"streamCursor\":\"1\"}}\n\n"
    )
}

fn message(run: u64, sequence: u32) -> String {
    let stamp = Stamp { run, source: 0, sequence, intended_ns: u64::from(sequence) };
    String::from_utf8(stamp.message(60)).unwrap()
}

fn chunked(events: &[String]) -> Vec<u8> {
    let mut out = HEAD.to_owned() + "transfer-encoding: chunked\r\n\r\n";
    for event in events {
        out.push_str(&format!("{:x}\r\n{event}\r\n", event.len()));
    }
    (out + "0\r\n\r\n").into_bytes()
}

const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n";

/// Feeds an answer in pieces of `size` bytes.
fn feed(reader: &mut Reader, answer: &[u8], size: usize) -> Result<Tally, ReaderError> {
    let mut tally = Tally::new(RUN, MESSAGES);
    for piece in answer.chunks(size) {
        reader.receive(piece, NOW_NS, &mut tally)?;
    }
    Ok(tally)
}

/// `[delivered, duplicated, reordered, damaged, foreign]` after an answer with these sequence
/// numbers, however it is cut; and which sequence was the slowest.
fn check(sequences: &[&[u32]], want: [u64; 5], received: u32) {
    let events: Vec<_> = sequences
        .iter()
        .map(|batch| {
            let batch: Vec<_> = batch.iter().map(|sequence| message(RUN, *sequence)).collect();
            event(&batch.join(","), "next")
        })
        .collect();
    let answer = chunked(&events);
    for size in [1, 2, 3, 7, 64, answer.len()] {
        let mut reader = Reader::new("now");
        let tally = feed(&mut reader, &answer, size).unwrap();
        let Tally { delivered, duplicated, reordered, damaged, foreign, .. } = tally;
        assert_eq!([delivered, duplicated, reordered, damaged, foreign], want, "{sequences:?}");
        assert_eq!((reader.received(), tally.delivery.len()), (received, want[0]));
        assert!(reader.is_live() && reader.is_ended() && !reader.is_closed());
        assert_eq!(reader.offset, "next");
    }
}

#[test]
fn order_gaps_and_repeats() {
    check(&[&[0, 1, 2], &[3], &[4, 5, 6, 7]], [8, 0, 0, 0, 0], 8);
    check(&[&[0, 1], &[1, 2]], [3, 1, 0, 0, 0], 3);
    check(&[&[0, 3], &[4]], [3, 0, 0, 0, 0], 3);
    check(&[&[0, 3], &[1, 2]], [4, 0, 2, 0, 0], 4);
    check(&[&[5, 0, 2, 2, 4]], [4, 1, 3, 0, 0], 4);
    check(&[&[1, 0, 0]], [2, 1, 1, 0, 0], 2);
    check(&[&[0, MESSAGES]], [1, 0, 0, 1, 0], 1);
}

#[test]
fn other_runs_and_damage() {
    let batch = [message(RUN, 0), message(RUN + 1, 7), "{\"m\":\"9.1.1.z\"}".to_owned()];
    let tally = feed(&mut Reader::new("now"), &chunked(&[event(&batch.join(","), "a")]), 5);
    let tally = tally.unwrap();
    assert_eq!((tally.delivered, tally.foreign, tally.damaged), (1, 1, 1));
    assert_eq!(tally.last_reader(1).len(), 1);
}

#[test]
fn latency_is_from_the_intended_time() {
    let answer = chunked(&[event(&message(RUN, 7), "a")]);
    let tally = feed(&mut Reader::new("now"), &answer, 1).unwrap();
    assert_eq!(tally.delivery.max(), NOW_NS - 7);
}

#[test]
fn an_answer_that_ends_is_taken_up_again() {
    let mut reader = Reader::new("now");
    let first = feed(&mut reader, &chunked(&[event(&message(RUN, 0), "0_7")]), 9).unwrap();
    assert!(reader.is_ended());
    let target = Target::parse("http://127.0.0.1:1/s").unwrap();
    let request = String::from_utf8(reader.request(&target)).unwrap();
    assert!(request.starts_with("GET /s?offset=0_7&live=sse HTTP/1.1\r\n"), "{request}");
    reader.begin_response();
    let second = feed(&mut reader, &chunked(&[event(&message(RUN, 1), "0_9")]), 9).unwrap();
    assert_eq!((first.delivered, second.delivered, second.reordered), (1, 1, 0));
    assert_eq!(reader.received(), 2);
}

#[test]
fn closure_and_ends() {
    let mut reader = Reader::new("-1");
    let control = "event: control\ndata:{\"streamNextOffset\":\"a\",\"streamClosed\":true}\n\n";
    feed(&mut reader, &chunked(&[control.to_owned()]), 1).unwrap();
    assert!(reader.is_closed());

    let mut until_close = Reader::new("-1");
    let answer = format!("{HEAD}\r\n{}", event(&message(RUN, 0), "a"));
    feed(&mut until_close, answer.as_bytes(), 1).unwrap();
    assert!(!until_close.is_ended());
    until_close.finish().unwrap();
    assert!(until_close.is_ended());

    let cut = chunked(&[event(&message(RUN, 0), "a")]);
    for length in [0, 10, cut.len() - 1] {
        let mut reader = Reader::new("-1");
        feed(&mut reader, &cut[..length], 16).unwrap();
        assert!(reader.finish().is_err(), "{length}");
    }
}

#[test]
fn refusals() {
    let check = |answer: &str, want: &str| {
        let error = feed(&mut Reader::new("now"), answer.as_bytes(), 3).unwrap_err();
        assert!(error.to_string().contains(want), "{error}");
    };
    check("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", "404");
    check("HTTP/1.1 200 OK\r\nstream-sse-data-encoding: base64\r\n\r\n", "base64");
    check("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n", "malformed");
    check("SSH-2.0-x\r\n\r\n", "malformed");
}

//! The cases, sent to the server itself: at once, and in pieces.

use super::case::{self, Case};
use crate::support::{Client, Server};

#[test]
fn cases_are_answered_as_their_files_say() {
    let mut server = Server::start(&[]);
    let mut wrong = Vec::new();
    for (number, case) in case::all().iter().enumerate() {
        for pieces in [1, 30] {
            let id = format!("c{number}-{pieces}");
            if let Err(what) = check(&server, case, &id, pieces) {
                wrong.push(format!("{} in {pieces} pieces: {what}", case.name));
            }
        }
    }
    assert!(server.is_alive());
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

fn check(server: &Server, case: &Case, id: &str, pieces: usize) -> Result<(), String> {
    let (stream, marker) = (case::stream(id), case::marker_stream(id));
    for stream in [&stream, &marker] {
        server.put(stream, "text/plain", "").expect_status(201);
    }
    let bytes = case.bytes(id);
    let mut client = server.connect();
    for piece in bytes.chunks(bytes.len().div_ceil(pieces)) {
        // It may answer and close before it has seen everything.
        if !client.try_send(piece) {
            break;
        }
    }
    client.finish();
    let (answers, closes) = answers(&mut client, case)?;
    if (&answers, closes) != (&case.answers, case.closes) {
        let want = (&case.answers, case.closes);
        return Err(format!("{answers:?}, closes: {closes}, instead of {want:?}"));
    }
    let run = server.get(&marker).expect_status(200).text();
    if run != if case.marker { "!" } else { "" } {
        return Err(format!("the marker's stream has {run:?}"));
    }
    let refused = !matches!(case.answers.first(), Some((200..=299, _)));
    match server.get(&stream) {
        read if read.status == 404 && stream_is_deleted(case) => {}
        read if refused && !read.text().is_empty() => {
            return Err(format!("refused, but stored {:?}", read.text()));
        }
        read => assert_eq!(read.status, 200, "{}", case.name),
    }
    Ok(())
}

fn stream_is_deleted(case: &Case) -> bool {
    case.name == "delete-with-body"
}

/// All final answers, with the codes of refusals, and whether the last one closes.
fn answers(client: &mut Client, case: &Case) -> Result<(Vec<(u16, String)>, bool), String> {
    let mut found = Vec::new();
    let mut closes = true;
    loop {
        let method = if case.is_head() && found.is_empty() { "HEAD" } else { "GET" };
        match client.try_answer_to(method)? {
            Some(interim) if interim.status < 200 => {}
            Some(answer) => {
                closes = answer.field("connection") == Some("close");
                found.push((answer.status, answer.code()));
            }
            None => return Ok((found, closes)),
        }
    }
}

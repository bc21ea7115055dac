//! Cases as text: a title, what it is about, the rule, the answer, the bytes.
//!
//! ```text
//! ## name
//! # What is odd about it
//! rule: 9112 6.3                          the RFC and its section
//! want: 204, 400 bare-lf; closes; marker  answers; closes or stays; whether the marker is run
//! > a line and its CRLF
//! >- a line without one; \r \n \t \0 \\ \xNN are bytes
//! {marker}                                the request that must not be run by mistake
//! ```
//!
//! In lines `{stream}` is the path of a stream of the case, `{get}`, `{post}` and `{chunks}` are
//! the beginnings of requests for it, `{marker-line}`, `{marker-length}`, `{marker-length+N}` and
//! `{marker-hex}` are about the marker, and `{repeat N text}` repeats.

use crate::support::BASE;

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) about: String,
    /// The RFC and its section.
    pub(super) rule: String,
    /// Status, and the code of a refusal.
    pub(super) answers: Vec<(u16, String)>,
    /// The connection ends after the last answer.
    pub(super) closes: bool,
    /// The marker is run.
    pub(super) marker: bool,
    lines: Vec<String>,
}

/// The files, with what they are about.
const FILES: [(&str, &str); 6] = [
    ("Content-Length", include_str!("cases/1-length.txt")),
    ("Transfer-Encoding", include_str!("cases/2-transfer-encoding.txt")),
    ("Chunks", include_str!("cases/3-chunks.txt")),
    ("Request lines and fields", include_str!("cases/4-lines.txt")),
    ("Host and targets", include_str!("cases/5-targets.txt")),
    ("Connections", include_str!("cases/6-connections.txt")),
];

/// All of them, by what they are about.
pub(super) fn groups() -> Vec<(&'static str, Vec<Case>)> {
    FILES.iter().map(|(title, text)| (*title, read(text))).collect()
}

/// All of them.
pub(super) fn all() -> Vec<Case> {
    groups().into_iter().flat_map(|(_, cases)| cases).collect()
}

fn read(text: &str) -> Vec<Case> {
    let blocks = text.strip_prefix("## ").expect("a title").split("\n## ");
    blocks.map(read_case).collect()
}

fn read_case(block: &str) -> Case {
    let mut lines = block.lines();
    let mut next = |prefix: &str| {
        let line = lines.next().unwrap_or_default();
        let rest = line.strip_prefix(prefix);
        rest.unwrap_or_else(|| panic!("{line:?} instead of {prefix:?} in {block}")).to_owned()
    };
    let (name, about, rule, want) = (next(""), next("# "), next("rule: "), next("want: "));
    let mut want = want.split("; ");
    let answers = want.next().unwrap_or_default().split(", ").filter(|one| *one != "none");
    let answers = answers.map(|one| {
        let (status, code) = one.split_once(' ').unwrap_or((one, ""));
        (status.parse().unwrap_or_else(|_| panic!("status {status:?} in {block}")), code.into())
    });
    let answers = answers.collect();
    let closes = match want.next() {
        Some("closes") => true,
        Some("stays") => false,
        other => panic!("{other:?} in {block}"),
    };
    let marker = want.next() == Some("marker");
    let lines = lines.filter(|line| !line.is_empty()).map(str::to_owned).collect();
    Case { name, about, rule, answers, closes, marker, lines }
}

impl Case {
    /// The bytes, for streams that begin with `id`.
    pub(super) fn bytes(&self, id: &str) -> Vec<u8> {
        let mut out = Vec::new();
        for line in &self.lines {
            if line == "{marker}" {
                out.extend(marker(id).into_bytes());
            } else if let Some(text) = line.strip_prefix(">- ") {
                out.extend(unescape(&expand(text, id)));
            } else {
                let text = line.strip_prefix('>').unwrap_or_else(|| panic!("{line:?}"));
                out.extend(unescape(&expand(text.strip_prefix(' ').unwrap_or(text), id)));
                out.extend(b"\r\n");
            }
        }
        out
    }

    /// Whether its first answer has no body whatever its fields say.
    pub(super) fn is_head(&self) -> bool {
        self.lines[0].starts_with("> HEAD ")
    }
}

/// The stream that a case is about.
pub(super) fn stream(id: &str) -> String {
    format!("{id}-a")
}

/// The stream that the marker is appended to.
pub(super) fn marker_stream(id: &str) -> String {
    format!("{id}-m")
}

fn marker(id: &str) -> String {
    let stream = marker_stream(id);
    format!(
        "POST {BASE}/{stream} HTTP/1.1\r\nHost: t\r\nContent-Type: text/plain\r\n\
         Content-Length: 1\r\n\r\n!"
    )
}

fn expand(text: &str, id: &str) -> String {
    let Some((before, rest)) = text.split_once('{') else { return text.to_owned() };
    let (name, after) = rest.split_once('}').unwrap_or_else(|| panic!("no end in {text:?}"));
    let stream = format!("{BASE}/{}", stream(id));
    let post = format!("POST {stream} HTTP/1.1\r\nHost: t\r\nContent-Type: text/plain");
    let marker = marker(id);
    let value = match name.split_once([' ', '+']) {
        None => match name {
            "stream" => stream,
            "get" => format!("GET {stream} HTTP/1.1\r\nHost: t"),
            "post" => post,
            "chunks" => format!("{post}\r\nTransfer-Encoding: chunked\r\n"),
            "marker-line" => marker.lines().next().unwrap_or_default().to_owned(),
            "marker-length" => marker.len().to_string(),
            "marker-hex" => format!("{:x}", marker.len()),
            _ => panic!("{name:?} in {text:?}"),
        },
        Some(("marker-length", more)) => {
            (marker.len() + more.parse::<usize>().expect("a number")).to_string()
        }
        Some(("repeat", what)) => {
            let (count, what) = what.split_once(' ').expect("a count and a text");
            what.repeat(count.parse().expect("a count"))
        }
        Some(_) => panic!("{name:?} in {text:?}"),
    };
    format!("{before}{value}{}", expand(after, id))
}

fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'\\' {
            out.push(*first);
            continue;
        }
        let escape = rest.first().unwrap_or_else(|| panic!("half an escape in {text:?}"));
        let taken = if *escape == b'x' { 3 } else { 1 };
        out.push(match escape {
            b'r' => b'\r',
            b'n' => b'\n',
            b't' => b'\t',
            b'0' => 0,
            b'\\' => b'\\',
            b'x' => {
                let digits = std::str::from_utf8(&rest[1..3]).expect("digits");
                u8::from_str_radix(digits, 16).expect("digits")
            }
            _ => panic!("escape in {text:?}"),
        });
        rest = &rest[taken..];
    }
    out
}

#[test]
fn cases_are_read() {
    let cases = all();
    assert!(cases.len() >= 150, "{}", cases.len());
    let mut names: Vec<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), cases.len(), "two cases have one name");
    let find = |name: &str| cases.iter().find(|case| case.name == name).expect(name);
    let case = find("chunk-extension-cr");
    assert_eq!((case.answers.clone(), case.closes), (vec![(400, "bare-cr".to_owned())], true));
    let text = String::from_utf8(case.bytes("c")).expect("text");
    let head = "POST /v1/stream/c-a HTTP/1.1\r\nHost: t\r\nContent-Type: text/plain\r\n\
                Transfer-Encoding: chunked\r\n\r\n1;a\rb\r\nx\r\n0\r\n\r\nPOST /v1/stream/c-m ";
    assert!(text.starts_with(head) && text.ends_with("\r\n\r\n!"), "{text:?}");
    assert!(find("length").marker && !find("cl-te").marker);
    assert!(find("length-too-long").answers.is_empty());
}

//! One request as a row of JMeter's log.
//!
//! Invariant: a row is valid CSV by RFC 4180, is no longer than [`MAX_ROW`], and its last field
//! is a number without quotes. Formatting it allocates nothing once the buffer has grown.

use super::HEADER;
use super::pages::PAGE;

/// One request, for [`super::JtlBuffer::push`].
#[derive(Clone, Copy, Debug)]
pub struct JtlRow<'a> {
    /// Intended start, milliseconds since 1970.
    pub time_stamp_ms: u64,
    /// Intended start to the end of the answer, nanoseconds. Written twice: as whole
    /// milliseconds, rounded down as JMeter does, and as whole microseconds in our own column.
    pub elapsed_ns: u64,
    /// The step's label.
    pub label: &'a str,
    /// The answer's status, or what there was instead.
    pub response_code: ResponseCode<'a>,
    /// The answer's reason phrase, or what went wrong with the connection.
    pub response_message: &'a str,
    /// The group's name.
    pub group: &'a str,
    /// The group's number in the plan, from 1.
    pub group_number: u32,
    /// The user's number in its group, from 1.
    pub user: u32,
    /// What the answer's body was taken for.
    pub data_type: DataType,
    /// Whether it was as it should be.
    pub success: bool,
    /// The assertion's message if it was not.
    pub failure_message: &'a str,
    /// Bytes of the answer, head included.
    pub bytes: u64,
    /// Bytes of the request, head included.
    pub sent_bytes: u64,
    /// Users of the group.
    pub group_threads: u32,
    /// Users of all groups.
    pub all_threads: u32,
    /// What was asked.
    pub url: &'a str,
    /// Intended start to the first byte of the answer, nanoseconds.
    pub latency_ns: u64,
    /// Time within it that was not spent on it, nanoseconds: pauses of a transaction.
    pub idle_ns: u64,
    /// Time to connect, nanoseconds; 0 if it was not necessary.
    pub connect_ns: u64,
}

/// The column `responseCode`.
#[derive(Clone, Copy, Debug)]
pub enum ResponseCode<'a> {
    /// A status.
    Status(u16),
    /// Anything else, such as `connect` or `timeout`.
    Text(&'a str),
}

/// The column `dataType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataType {
    /// There was no body.
    None,
    /// Text.
    Text,
    /// Bytes.
    Binary,
}

/// Bytes of a row at most, its line end included. The header and one row fit into a page, so the
/// first row that needs filling up before a boundary is never the header.
pub(super) const MAX_ROW: usize = PAGE - 256;

/// Texts of a row that would be too long are cut to so many bytes.
const CUT: Caps = Caps { name: 160, code: 64, message: 320, url: 640 };
const UNCUT: Caps = Caps { name: MAX_ROW, code: MAX_ROW, message: MAX_ROW, url: MAX_ROW };

/// All numbers of a row, each with its comma, and what else has a fixed length.
const REST: usize = 14 * 21 + 16;
// Label and thread name, code, both messages, URL; quoting at most doubles a text.
const _: () =
    assert!(2 * (2 * CUT.name + CUT.code + 2 * CUT.message + CUT.url) + 6 * 3 + REST <= MAX_ROW);
const _: () = assert!(HEADER.len() + MAX_ROW <= PAGE);

/// How long texts may be.
#[derive(Clone, Copy)]
struct Caps {
    name: usize,
    code: usize,
    message: usize,
    url: usize,
}

impl JtlRow<'_> {
    /// Adds it to `out`, with its line end.
    pub(super) fn format(&self, out: &mut Vec<u8>) {
        let begin = out.len();
        self.format_within(UNCUT, out);
        if out.len() - begin > MAX_ROW {
            out.truncate(begin);
            self.format_within(CUT, out);
        }
    }

    fn format_within(&self, caps: Caps, out: &mut Vec<u8>) {
        number(self.time_stamp_ms, out);
        field_number(self.elapsed_ns / NS_PER_MS, out);
        field_text(self.label, caps.name, out);
        match self.response_code {
            ResponseCode::Status(status) => field_number(u64::from(status), out),
            ResponseCode::Text(text) => field_text(text, caps.code, out),
        }
        field_text(self.response_message, caps.message, out);
        self.thread_name(caps.name, out);
        out.extend_from_slice(match self.data_type {
            DataType::None => b",",
            DataType::Text => b",text",
            DataType::Binary => b",bin",
        });
        out.extend_from_slice(if self.success { b",true" } else { b",false" });
        field_text(self.failure_message, caps.message, out);
        field_number(self.bytes, out);
        field_number(self.sent_bytes, out);
        field_number(u64::from(self.group_threads), out);
        field_number(u64::from(self.all_threads), out);
        field_text(self.url, caps.url, out);
        field_number(self.latency_ns / NS_PER_MS, out);
        field_number(self.idle_ns / NS_PER_MS, out);
        field_number(self.connect_ns / NS_PER_MS, out);
        field_number(self.elapsed_ns / NS_PER_US, out);
        out.push(b'\n');
    }

    /// `readers 1-17`: JMeter takes the group's name from what stands before the numbers.
    fn thread_name(&self, cap: usize, out: &mut Vec<u8>) {
        out.push(b',');
        let quoted = needs_quotes(self.group);
        if quoted {
            out.push(b'"');
        }
        text(self.group, cap, out);
        out.push(b' ');
        number(u64::from(self.group_number), out);
        out.push(b'-');
        number(u64::from(self.user), out);
        if quoted {
            out.push(b'"');
        }
    }
}

fn field_number(value: u64, out: &mut Vec<u8>) {
    out.push(b',');
    number(value, out);
}

fn number(mut value: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

fn field_text(value: &str, cap: usize, out: &mut Vec<u8>) {
    out.push(b',');
    if needs_quotes(value) {
        out.push(b'"');
        text(value, cap, out);
        out.push(b'"');
    } else {
        text(value, cap, out);
    }
}

/// The text with quotes doubled, at most `cap` bytes of it.
fn text(value: &str, cap: usize, out: &mut Vec<u8>) {
    let cut = value.len() > cap;
    let end = if cut { value.floor_char_boundary(cap - CUT_MARK.len()) } else { value.len() };
    let mut rest = &value.as_bytes()[..end];
    while let Some(quote) = memchr::memchr(b'"', rest) {
        out.extend_from_slice(&rest[..=quote]);
        out.push(b'"');
        rest = &rest[quote + 1..];
    }
    out.extend_from_slice(rest);
    if cut {
        out.extend_from_slice(CUT_MARK);
    }
}

fn needs_quotes(value: &str) -> bool {
    let bytes = value.as_bytes();
    memchr::memchr3(b',', b'"', b'\n', bytes).is_some() || memchr::memchr(b'\r', bytes).is_some()
}

const CUT_MARK: &[u8] = b"...";
const NS_PER_MS: u64 = 1_000_000;
const NS_PER_US: u64 = 1_000;

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(in crate::output::jtl) const ROW: JtlRow<'static> = JtlRow {
        time_stamp_ms: 1_760_000_000_123,
        elapsed_ns: 12_999_999,
        label: "publish",
        response_code: ResponseCode::Status(204),
        response_message: "No Content",
        group: "publishers",
        group_number: 2,
        user: 17,
        data_type: DataType::None,
        success: true,
        failure_message: "",
        bytes: 180,
        sent_bytes: 340,
        group_threads: 20,
        all_threads: 30,
        url: "http://127.0.0.1:4437/v1/stream/board",
        latency_ns: 11_000_000,
        idle_ns: 0,
        connect_ns: 1_500_000,
    };

    fn parse(bytes: &[u8]) -> Vec<String> {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(bytes);
        let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
        assert_eq!(rows.len(), 1, "{}", String::from_utf8_lossy(bytes));
        rows[0].iter().map(str::to_owned).collect()
    }

    #[test]
    fn rows() {
        let check = |row: JtlRow<'_>, expected: &str| {
            let mut out = Vec::new();
            row.format(&mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        };
        check(
            ROW,
            "1760000000123,12,publish,204,No Content,publishers 2-17,,true,,180,340,20,30,\
             http://127.0.0.1:4437/v1/stream/board,11,0,1,12999\n",
        );
        check(
            JtlRow {
                response_code: ResponseCode::Text("time,out"),
                group: "a \"b\"",
                data_type: DataType::Binary,
                success: false,
                failure_message: "wanted\n1",
                ..ROW
            },
            "1760000000123,12,publish,\"time,out\",No Content,\"a \"\"b\"\" 2-17\",bin,false,\
             \"wanted\n1\",180,340,20,30,http://127.0.0.1:4437/v1/stream/board,11,0,1,12999\n",
        );
    }

    #[test]
    fn the_header_names_each_column() {
        let mut out = Vec::new();
        ROW.format(&mut out);
        assert_eq!(parse(HEADER.as_bytes()).len(), parse(&out).len());
    }

    #[test]
    fn texts_of_a_row_that_is_too_long_are_cut() {
        let long = "\"é".repeat(5000);
        let texts = JtlRow {
            time_stamp_ms: u64::MAX,
            elapsed_ns: u64::MAX,
            label: &long,
            response_code: ResponseCode::Text(&long),
            response_message: &long,
            group: &long,
            failure_message: &long,
            url: &long,
            ..ROW
        };
        let mut out = Vec::new();
        texts.format(&mut out);
        assert!(out.len() <= MAX_ROW, "{}", out.len());
        let fields = parse(&out);
        assert!(fields[2].ends_with("...") && fields[2].len() <= CUT.name, "{}", fields[2]);
        assert!(fields[5].ends_with("... 2-17"), "{}", fields[5]);
    }

    proptest! {
        #[test]
        fn every_text_survives(label in ".{0,40}", message in "[\"\n\r,a\u{0}-\u{1f}]{0,40}") {
            let mut out = Vec::new();
            JtlRow { label: &label, failure_message: &message, group: &label, ..ROW }
                .format(&mut out);
            let fields = parse(&out);
            prop_assert_eq!(&fields[2], &label);
            prop_assert_eq!(&fields[8], &message);
            prop_assert_eq!(&fields[5], &format!("{label} 2-17"));
            prop_assert_eq!(&fields[17], "12999");
        }
    }
}

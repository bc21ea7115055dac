//! From when until when a certificate is valid: the one thing of it that the TLS library does not
//! tell a server about its own (RFC 5280 section 4.1). Only for warnings: what cannot be read is
//! not said.

use thalweg_proto::time::Timestamp;

/// Seconds since 1970.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Validity {
    pub(super) from: u64,
    pub(super) until: u64,
}

/// Reads it out of a certificate in DER.
pub(super) fn of(certificate: &[u8]) -> Option<Validity> {
    let (_, certificate, _) = element(certificate)?;
    let (_, mut fields, _) = element(certificate)?;
    let (tag, _, after) = element(fields)?;
    if tag == VERSION {
        fields = after;
    }
    // The serial number, the algorithm, the issuer.
    for _ in 0..3 {
        fields = element(fields)?.2;
    }
    let (_, validity, _) = element(fields)?;
    let (from_tag, from, rest) = element(validity)?;
    let (until_tag, until, _) = element(rest)?;
    Some(Validity { from: time(from_tag, from)?, until: time(until_tag, until)? })
}

/// The tag and the content of the first element, and what follows it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, first], rest) = der.split_first_chunk::<2>()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// `YYMMDDHHMMSSZ`, in this century and the one before, or `YYYYMMDDHHMMSSZ`.
fn time(tag: u8, text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    let year = match tag {
        UTC_TIME => {
            let year: u32 = text.get(..2)?.parse().ok()?;
            if year < 50 { 2000 + year } else { 1900 + year }
        }
        GENERALIZED_TIME => text.get(..4)?.parse().ok()?,
        _ => return None,
    };
    let rest = text.get(if tag == UTC_TIME { 2 } else { 4 }..)?;
    if rest.len() != "MMDDHHMMSSZ".len() || !rest.is_ascii() {
        return None;
    }
    let part = |at: usize| &rest[at..at + 2];
    let written = format!("{year:04}-{}-{}T{}:{}:{}Z", part(0), part(2), part(4), part(6), part(8));
    Timestamp::parse_rfc3339(&written).map(Timestamp::seconds)
}

const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

#[cfg(test)]
mod tests {
    use super::*;

    fn wrap(tag: u8, content: &[&[u8]]) -> Vec<u8> {
        let content = content.concat();
        let mut out = vec![tag];
        match u8::try_from(content.len()) {
            Ok(length @ ..0x80) => out.push(length),
            _ => out.extend([0x82, (content.len() >> 8) as u8, content.len() as u8]),
        }
        out.extend(content);
        out
    }

    fn certificate(version: bool, from: (u8, &str), until: (u8, &str)) -> Vec<u8> {
        let time = |(tag, text): (u8, &str)| wrap(tag, &[text.as_bytes()]);
        let version = if version { wrap(VERSION, &[&[2, 1, 2]]) } else { Vec::new() };
        let validity = wrap(0x30, &[&time(from), &time(until)]);
        let filler = wrap(0x30, &[&[0; 300]]);
        let body = wrap(0x30, &[&version, &[2, 1, 7], &filler, &filler, &validity, &filler]);
        wrap(0x30, &[&body, &filler])
    }

    #[test]
    fn times() {
        let from = (UTC_TIME, "700101000001Z");
        let until = (GENERALIZED_TIME, "20300102030405Z");
        let want = Some(Validity { from: 1, until: 1_893_553_445 });
        assert_eq!(of(&certificate(true, from, until)), want);
        assert_eq!(of(&certificate(false, from, until)), want);
        assert_eq!(of(&certificate(true, from, (UTC_TIME, "xx0102030405Z"))), None);
        assert_eq!(of(&certificate(true, from, (4, "300102030405Z"))), None);
    }

    #[test]
    fn damage_is_not_a_panic() {
        let whole = certificate(true, (UTC_TIME, "250101000001Z"), (UTC_TIME, "300101000001Z"));
        for end in 0..whole.len() {
            let _ = of(&whole[..end]);
        }
        for at in 0..whole.len() {
            for byte in [0, 0x80, 0x84, 0xff] {
                let mut damaged = whole.clone();
                damaged[at] = byte;
                let _ = of(&damaged);
            }
        }
    }
}

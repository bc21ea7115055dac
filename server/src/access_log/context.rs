//! Where a request belongs in a distributed trace, as the client says it (W3C Trace Context,
//! `traceparent`).

/// See the module.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TraceContext {
    /// The trace.
    pub trace_id: [u8; 16],
    /// The client's span.
    pub parent: [u8; 8],
    /// Whether the client records it.
    pub sampled: bool,
}

impl TraceContext {
    /// Reads `VERSION-TRACE-PARENT-FLAGS` in lower-case hexadecimal digits. `None` if it is not
    /// that: the standard says that a wrong one is ignored.
    #[must_use]
    pub fn parse(text: &str) -> Option<TraceContext> {
        let mut parts = text.split('-');
        let [version] = hex::<1>(parts.next()?)?;
        let (trace_id, parent) = (hex(parts.next()?)?, hex(parts.next()?)?);
        let [flags] = hex::<1>(parts.next()?)?;
        let rest = parts.next().is_some();
        let valid = version != u8::MAX && (version != 0 || !rest);
        let named = trace_id != [0; 16] && parent != [0; 8];
        (valid && named).then_some(TraceContext { trace_id, parent, sampled: flags & 1 != 0 })
    }
}

/// Bytes as lower-case hexadecimal digits.
#[must_use]
pub(super) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hex<const BYTES: usize>(text: &str) -> Option<[u8; BYTES]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; BYTES];
    if text.len() != 2 * BYTES {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_ignored() {
        let trace = "0af7651916cd43dd8448eb211c80319c";
        let parent = "b7ad6b7169203331";
        let check = |text: &str, want: Option<bool>| {
            assert_eq!(TraceContext::parse(text).map(|found| found.sampled), want, "{text}");
        };
        check(&format!("00-{trace}-{parent}-01"), Some(true));
        check(&format!("00-{trace}-{parent}-00"), Some(false));
        check(&format!("00-{trace}-{parent}-03"), Some(true));
        check(&format!("01-{trace}-{parent}-01-more"), Some(true));
        check(&format!("00-{trace}-{parent}-01-more"), None);
        check(&format!("ff-{trace}-{parent}-01"), None);
        check(&format!("00-{}-{parent}-01", "0".repeat(32)), None);
        check(&format!("00-{trace}-{}-01", "0".repeat(16)), None);
        check(&format!("00-{}-{parent}-01", trace.to_uppercase()), None);
        check(&format!("00-{trace}-{parent}"), None);
        check(&format!("00-{trace}0-{parent}-01"), None);
        check("", None);
        check("é-é-é-é", None);
        let found = TraceContext::parse(&format!("00-{trace}-{parent}-01")).expect("valid");
        assert_eq!((to_hex(&found.trace_id), to_hex(&found.parent)), (trace.into(), parent.into()));
    }
}

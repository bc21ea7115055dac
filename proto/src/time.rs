//! Wall-clock instants as plain numbers. Nothing here reads a clock: `now` is always an argument.

use std::fmt;

/// Milliseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// The instant `ms` milliseconds later, saturating.
    #[must_use]
    pub fn plus_ms(self, ms: u64) -> Timestamp {
        Timestamp(self.0.saturating_add(ms))
    }

    /// Milliseconds since `earlier`; zero if `earlier` is later.
    #[must_use]
    pub fn ms_since(self, earlier: Timestamp) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Whole seconds since the Unix epoch.
    #[must_use]
    pub fn seconds(self) -> u64 {
        self.0 / 1000
    }

    /// Parses an RFC 3339 timestamp with any zone offset. Instants before 1970 are refused.
    #[must_use]
    pub fn parse_rfc3339(text: &str) -> Option<Timestamp> {
        // jiff accepts more than RFC 3339 (a missing zone is refused, a space or `[zone]` is not).
        let bytes = text.as_bytes();
        let shaped = bytes.len() >= 20
            && bytes[4] == b'-'
            && bytes[7] == b'-'
            && matches!(bytes[10], b'T' | b't')
            && bytes[13] == b':'
            && bytes[16] == b':'
            && !text.contains('[');
        if !shaped {
            return None;
        }
        let instant: jiff::Timestamp = text.parse().ok()?;
        u64::try_from(instant.as_millisecond()).ok().map(Timestamp)
    }

    /// RFC 3339 in UTC with milliseconds, as JavaScript's `toISOString` writes it.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        let ms = i64::try_from(self.0).unwrap_or(i64::MAX);
        match jiff::Timestamp::from_millisecond(ms) {
            Ok(instant) => format!("{instant:.3}"),
            // Beyond year 9999: as far as RFC 3339 goes.
            Err(_) => "9999-12-31T23:59:59.999Z".to_owned(),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_rfc3339())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3339_in_and_out() {
        let check = |text: &str, want: Option<&str>| {
            let got = Timestamp::parse_rfc3339(text).map(Timestamp::to_rfc3339);
            assert_eq!(got.as_deref(), want, "{text}");
        };
        check("2026-05-09T00:00:00.000Z", Some("2026-05-09T00:00:00.000Z"));
        check("2026-05-09T02:00:00+02:00", Some("2026-05-09T00:00:00.000Z"));
        check("2026-05-09t00:00:00.5z", Some("2026-05-09T00:00:00.500Z"));
        check("2026-05-09", None);
        check("not-a-timestamp", None);
        check("2026-13-09T00:00:00Z", None);
        check("1969-12-31T23:59:59Z", None);
        check("2026-05-09T00:00:00", None);
        check("2026-05-09T00:00:00Z[UTC]", None);
    }
}

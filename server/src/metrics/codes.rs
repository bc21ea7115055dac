//! Counters by the error codes of HTTP/2 (RFC 9113 section 7).

use super::Counter;

/// The codes in order, and whatever else.
const NAMES: [&str; 15] = [
    "no_error",
    "protocol_error",
    "internal_error",
    "flow_control_error",
    "settings_timeout",
    "stream_closed",
    "frame_size_error",
    "refused_stream",
    "cancel",
    "compression_error",
    "connect_error",
    "enhance_your_calm",
    "inadequate_security",
    "http_1_1_required",
    "other",
];

/// One counter for each code.
#[derive(Default)]
pub struct ByCode([Counter; NAMES.len()]);

impl ByCode {
    /// One more with this code.
    pub fn increment(&self, code: u32) {
        self.0[(code as usize).min(NAMES.len() - 1)].increment();
    }

    /// The codes that have been there.
    pub fn counted(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = NAMES.into_iter().zip(&self.0);
        counts.map(|(name, counter)| (name, counter.get())).filter(|(_, count)| *count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_names() {
        let codes = ByCode::default();
        [0xb, 0xb, 1, 13, 14, u32::MAX].into_iter().for_each(|code| codes.increment(code));
        let want = [
            ("protocol_error", 1),
            ("enhance_your_calm", 2),
            ("http_1_1_required", 1),
            ("other", 2),
        ];
        assert_eq!(codes.counted().collect::<Vec<_>>(), want);
    }
}

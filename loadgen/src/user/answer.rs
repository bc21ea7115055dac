//! An answer as assertions and extractions see it.

use std::borrow::Cow;
use std::cell::OnceCell;

use thalweg_proto::http1::Fields;

/// An answer.
///
/// Invariant: its body is taken as text and as JSON at most once, and only if somebody asks.
#[derive(Debug)]
pub struct Answer<'a> {
    status: u16,
    fields: &'a Fields,
    body: &'a [u8],
    elapsed_ns: u64,
    text: OnceCell<Cow<'a, str>>,
    json: OnceCell<Result<serde_json::Value, String>>,
}

impl<'a> Answer<'a> {
    /// `elapsed_ns` is from the intended start to the end of the answer.
    #[must_use]
    pub fn new(status: u16, fields: &'a Fields, body: &'a [u8], elapsed_ns: u64) -> Answer<'a> {
        let (text, json) = (OnceCell::new(), OnceCell::new());
        Answer { status, fields, body, elapsed_ns, text, json }
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The fields of its head.
    #[must_use]
    pub fn fields(&self) -> &'a Fields {
        self.fields
    }

    /// Its body, without framing.
    #[must_use]
    pub fn body(&self) -> &'a [u8] {
        self.body
    }

    /// From the intended start to the end of the answer.
    #[must_use]
    pub fn elapsed_ns(&self) -> u64 {
        self.elapsed_ns
    }

    /// Its body; bytes that are not UTF-8 become U+FFFD.
    pub(super) fn text(&self) -> &str {
        self.text.get_or_init(|| String::from_utf8_lossy(self.body))
    }

    /// Its body as JSON, or what is wrong with it.
    pub(super) fn json(&self) -> Result<&serde_json::Value, &str> {
        let parsed = self
            .json
            .get_or_init(|| serde_json::from_slice(self.body).map_err(|error| error.to_string()));
        parsed.as_ref().map_err(String::as_str)
    }
}

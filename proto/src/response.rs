//! Responses as data: a status, fields, a body of shared pieces. The codec writes them.

use bytes::Bytes;
use http::StatusCode;
use smallvec::{SmallVec, smallvec};

use crate::offset::{Offset, TOKEN_LEN};

/// The value of a response field, kept so that the common ones need no allocation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FieldValue {
    /// A constant.
    Static(&'static str),
    /// An offset token.
    Token([u8; TOKEN_LEN]),
    /// A decimal number.
    Number(u64),
    /// Anything else. Contains no CR, LF or NUL: it was checked at the edge or made here.
    Text(Box<str>),
}

impl From<&'static str> for FieldValue {
    fn from(text: &'static str) -> FieldValue {
        FieldValue::Static(text)
    }
}

impl From<String> for FieldValue {
    fn from(text: String) -> FieldValue {
        FieldValue::Text(text.into())
    }
}

impl From<u64> for FieldValue {
    fn from(number: u64) -> FieldValue {
        FieldValue::Number(number)
    }
}

impl From<Offset> for FieldValue {
    fn from(offset: Offset) -> FieldValue {
        FieldValue::Token(offset.token())
    }
}

/// The pieces of a body, sent one after the other and never copied together.
pub type Pieces = SmallVec<[Bytes; 4]>;

/// A complete response. The codec adds `Content-Length` (from the body; never on 204 and 304),
/// `Date`, `Connection`, the security fields of section 12.7 and CORS.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// Field names in lower case, with their values.
    pub fields: SmallVec<[(&'static str, FieldValue); 10]>,
    /// The body.
    pub body: Pieces,
    /// The code of the problem document that this is, for logs and metrics; not sent by itself.
    pub problem: Option<&'static str>,
}

impl Response {
    /// A response without fields and body.
    #[must_use]
    pub fn new(status: StatusCode) -> Response {
        Response { status, fields: SmallVec::new(), body: SmallVec::new(), problem: None }
    }

    /// Adds a field.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<FieldValue>) -> Response {
        self.fields.push((name, value.into()));
        self
    }

    /// Adds a field if there is a value.
    #[must_use]
    pub fn with_some(self, name: &'static str, value: Option<impl Into<FieldValue>>) -> Response {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Sets the body to one piece.
    #[must_use]
    pub fn with_body(
        mut self,
        content_type: impl Into<FieldValue>,
        body: impl Into<Bytes>,
    ) -> Response {
        self.body = smallvec![body.into()];
        self.with("content-type", content_type)
    }

    /// Bytes of the body.
    #[must_use]
    pub fn body_len(&self) -> usize {
        self.body.iter().map(Bytes::len).sum()
    }

    /// The first value of a field, as text. For tests and logs.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<String> {
        self.fields.iter().find(|(key, _)| *key == name).map(|(_, value)| match value {
            FieldValue::Static(text) => (*text).to_owned(),
            FieldValue::Token(token) => String::from_utf8_lossy(token).into_owned(),
            FieldValue::Number(number) => number.to_string(),
            FieldValue::Text(text) => text.to_string(),
        })
    }
}

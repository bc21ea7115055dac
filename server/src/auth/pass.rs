//! What somebody shows, and what is kept of it while a live read goes on, so that it can be judged
//! again when keys, tokens or rules change.

use std::sync::Arc;

use http::Method;
use thalweg_proto::headers;
use thalweg_proto::http1::RequestHead;
use thalweg_proto::path::StreamPath;
use thalweg_proto::request::Resource;
use thalweg_proto::time::Timestamp;

use super::signed::Signed;
use super::{Authority, Cache, Identity};

/// Everything about a request that a decision looks at.
#[derive(Clone, Copy)]
pub struct Shown<'a> {
    pub(super) method: &'a Method,
    pub(super) path: &'a str,
    pub(super) query: Option<&'a str>,
    pub(super) authorization: Option<&'a str>,
    pub(super) certificate: Option<&'a Arc<Identity>>,
}

/// What a live reader has shown. Small: there are as many as there are readers.
#[derive(Debug)]
pub struct Pass {
    authorization: Option<Box<str>>,
    /// Path and query of a signed URL.
    signed: Option<(Box<str>, Box<str>)>,
    certificate: Option<Arc<Identity>>,
}

/// Whether a live reader may go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// It may, until then.
    Until(Option<Timestamp>),
    /// It may not any more.
    Ended,
}

impl<'a> Shown<'a> {
    /// What a request shows, over a connection whose client has this certificate.
    #[must_use]
    pub fn of(head: &'a RequestHead, certificate: Option<&'a Arc<Identity>>) -> Shown<'a> {
        Shown {
            method: &head.method,
            path: head.path(),
            query: head.query(),
            authorization: head.fields.get(headers::AUTHORIZATION),
            certificate,
        }
    }

    /// What is worth keeping; `None`: nothing was shown.
    #[must_use]
    pub fn keep(&self) -> Option<Box<Pass>> {
        let signed = self.query.filter(|query| Signed::of(query).is_some());
        let pass = match self.authorization {
            Some(credentials) => {
                Pass { authorization: Some(credentials.into()), signed: None, certificate: None }
            }
            None => Pass {
                authorization: None,
                signed: signed.map(|query| (self.path.into(), query.into())),
                certificate: self.certificate.cloned(),
            },
        };
        let is_empty =
            pass.authorization.is_none() && pass.signed.is_none() && pass.certificate.is_none();
        (!is_empty).then(|| Box::new(pass))
    }
}

impl Authority {
    /// Whether a live reader of a stream, who has shown this, may go on.
    #[must_use]
    pub fn judge(
        &self,
        path: &StreamPath,
        pass: Option<&Pass>,
        cache: &Cache,
        now: Timestamp,
    ) -> Standing {
        let signed = pass.and_then(|pass| pass.signed.as_ref());
        let shown = Shown {
            method: &Method::GET,
            path: signed.map_or("", |(path, _)| path),
            query: signed.map(|(_, query)| &**query),
            authorization: pass.and_then(|pass| pass.authorization.as_deref()),
            certificate: pass.and_then(|pass| pass.certificate.as_ref()),
        };
        match self.admit(&shown, &Resource::Stream(path.clone()), cache, now) {
            Ok(grant) => Standing::Until(grant.and_then(|grant| grant.expires)),
            Err(_) => Standing::Ended,
        }
    }
}

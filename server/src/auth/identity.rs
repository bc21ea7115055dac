//! Who a client is by its certificate, as far as rules can name it: common name, DNS names, URIs,
//! e-mail addresses (RFC 5280 sections 4.1.2.6 and 4.2.1.6).
//!
//! Invariant: made of a certificate that TLS has verified, and of no other. Deliberately absent:
//! what it may do, which [`super::certificates`] says at each request anew.

use thalweg_proto::time::Timestamp;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    /// The common name, if there is exactly one.
    pub(super) cn: Option<Box<str>>,
    /// DNS names, in lower case.
    pub(super) dns: Box<[Box<str>]>,
    /// URIs.
    pub(super) uris: Box<[Box<str>]>,
    /// E-mail addresses, in lower case.
    pub(super) emails: Box<[Box<str>]>,
    /// Until when the certificate is valid.
    pub(super) until: Timestamp,
}

impl Identity {
    /// Reads a verified certificate in DER; `None` if it cannot be read.
    #[must_use]
    pub fn of(certificate: &[u8]) -> Option<Identity> {
        let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
        let mut names = certificate.subject().iter_common_name();
        let cn = match (names.next(), names.next()) {
            (Some(name), None) => name.as_str().ok().map(Box::from),
            _ => None,
        };
        let (mut dns, mut uris, mut emails) = (Vec::new(), Vec::new(), Vec::new());
        let alternatives = certificate.subject_alternative_name().ok().flatten();
        for name in alternatives.iter().flat_map(|extension| &extension.value.general_names) {
            match name {
                GeneralName::DNSName(name) => dns.push(name.to_ascii_lowercase().into()),
                GeneralName::URI(uri) => uris.push(Box::from(*uri)),
                GeneralName::RFC822Name(name) => emails.push(name.to_ascii_lowercase().into()),
                _ => {}
            }
        }
        let until = certificate.validity().not_after.timestamp();
        Some(Identity {
            cn,
            dns: dns.into(),
            uris: uris.into(),
            emails: emails.into(),
            until: Timestamp(u64::try_from(until).unwrap_or_default().saturating_mul(1000)),
        })
    }
}

//! From when until when a certificate is valid: the one thing of it that the TLS library does not
//! tell a server about its own. Only for warnings and metrics: what cannot be read is not said.

use x509_parser::prelude::{FromDer, X509Certificate};

/// Seconds since 1970.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Validity {
    pub(super) from: u64,
    pub(super) until: u64,
}

/// Reads it out of a certificate in DER.
pub(super) fn of(certificate: &[u8]) -> Option<Validity> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let validity = certificate.validity();
    let seconds = |time: i64| u64::try_from(time).unwrap_or_default();
    Some(Validity {
        from: seconds(validity.not_before.timestamp()),
        until: seconds(validity.not_after.timestamp()),
    })
}

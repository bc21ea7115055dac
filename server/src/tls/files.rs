//! From the files of `[tls]` to certificates with their keys.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, RootCertStore};

use super::error::TlsError;
use super::validity::{self, Validity};
use crate::config::{CertFiles, ClientAuth, ClientAuthorities, TlsConfig};

/// The files as they were at one moment, to see whether they have changed.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Contents(Vec<Option<Vec<u8>>>);

impl Contents {
    /// What can be read of the files.
    pub(super) fn read(config: &TlsConfig) -> Contents {
        let pairs = config.certs.iter().flat_map(|files| [&files.cert, &files.key]);
        let all = pairs.chain(config.client_ca.iter().map(|authorities| &authorities.file));
        Contents(all.map(|file| std::fs::read(file).ok()).collect())
    }
}

/// Reads a certificate with its key. What is only doubtful about it is logged.
pub(super) fn certificate(
    files: &CertFiles,
    provider: &CryptoProvider,
) -> Result<Arc<CertifiedKey>, TlsError> {
    let cert = files.cert.clone();
    let chain = certificates(&cert)?;
    let bad = |error: rustls::Error| TlsError::BadCertificate {
        file: cert.clone(),
        reason: error.to_string(),
    };
    let first =
        chain.first().ok_or_else(|| TlsError::NoCertificate { file: cert.clone(), key: false })?;
    ParsedCertificate::try_from(first).map_err(bad)?;
    warn_of_dates(&cert, first);
    let key = private_key(&files.key)?;
    let key = provider
        .key_provider
        .load_private_key(key)
        .map_err(|error| TlsError::BadKey { file: files.key.clone(), reason: error.to_string() })?;
    let pair = CertifiedKey::new(chain, key);
    match pair.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => {
            Ok(Arc::new(pair))
        }
        Err(rustls::Error::InconsistentKeys(_)) => {
            Err(TlsError::Mismatch { cert, key: files.key.clone() })
        }
        Err(error) => Err(bad(error)),
    }
}

/// What checks client certificates.
pub(super) fn client_verifier(
    authorities: &ClientAuthorities,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn rustls::server::danger::ClientCertVerifier>, TlsError> {
    let file = authorities.file.clone();
    let bad = |reason: String| TlsError::BadCertificate { file: file.clone(), reason };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&file)? {
        roots.add(certificate).map_err(|error| bad(error.to_string()))?;
    }
    let builder =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    let builder = match authorities.auth {
        ClientAuth::Required => builder,
        ClientAuth::Optional => builder.allow_unauthenticated(),
    };
    builder.build().map_err(|error| bad(error.to_string()))
}

/// All certificates in a file; at least one.
fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(file)?;
    let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let chain = parsed.map_err(|error| malformed(file, &error))?;
    if chain.is_empty() {
        let key = PrivateKeyDer::from_pem_slice(&text).is_ok();
        return Err(TlsError::NoCertificate { file: file.to_owned(), key });
    }
    Ok(chain)
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    match PrivateKeyDer::from_pem_slice(&read(file)?) {
        Ok(key) => Ok(key),
        Err(pem::Error::NoItemsFound) => Err(TlsError::NoKey { file: file.to_owned() }),
        Err(error) => Err(malformed(file, &error)),
    }
}

fn read(file: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(file).map_err(|source| TlsError::Unreadable { file: file.to_owned(), source })
}

fn malformed(file: &Path, error: &pem::Error) -> TlsError {
    TlsError::Malformed { file: file.to_owned(), reason: error.to_string() }
}

/// Clients will refuse a certificate out of its time; it may be somebody's wish all the same.
fn warn_of_dates(file: &Path, certificate: &CertificateDer<'_>) {
    let now = UnixTime::now().as_secs();
    let file = file.display();
    match validity::of(certificate) {
        Some(Validity { until, .. }) if until < now => {
            tracing::warn!(%file, days = (now - until) / DAY, "the certificate has expired");
        }
        Some(Validity { from, .. }) if from > now => {
            tracing::warn!(%file, days = (from - now) / DAY, "the certificate is not valid yet");
        }
        Some(Validity { until, .. }) if until - now < SOON => {
            tracing::warn!(%file, days = (until - now) / DAY, "the certificate expires soon");
        }
        _ => {}
    }
}

const DAY: u64 = 24 * 3600;
/// A certificate that is renewed by itself has more time left than this.
const SOON: u64 = 7 * DAY;

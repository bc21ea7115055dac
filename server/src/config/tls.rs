//! `[tls]`: which files hold certificates, keys and the authorities of clients. The files are read
//! by [`crate::tls`], not here.

use std::fmt;
use std::path::{Path, PathBuf};

use super::error::ConfigError;
use super::limits::MAX_CERTIFICATES;
use super::print::quoted;
use super::raw::{RawConfig, RawValue};
use super::resolve::{field, refuse};
use super::value::{self, ClientAuth, Expected};

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TlsConfig {
    /// At least one. The first one is for clients that name no host, or one that none is for.
    pub certs: Vec<CertFiles>,
    /// Whose client certificates are accepted; `None`: clients are not asked for one.
    pub client_ca: Option<ClientAuthorities>,
}

/// A certificate and its key, in PEM.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CertFiles {
    /// The certificate, then the chain up to its authority.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// The authorities of client certificates.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientAuthorities {
    /// Their certificates, in PEM.
    pub file: PathBuf,
    /// Whether a client needs a certificate.
    pub auth: ClientAuth,
}

pub(super) fn resolve(raw: &RawConfig) -> Result<Option<TlsConfig>, ConfigError> {
    let certs = field("tls.cert", &raw.tls_cert, files)?.unwrap_or_default();
    let keys = field("tls.key", &raw.tls_key, files)?.unwrap_or_default();
    if certs.len() != keys.len() {
        let (field, raw, expected) = if keys.len() < certs.len() {
            ("tls.key", &raw.tls_key, format!("a key for each of {} in tls.cert", certs.len()))
        } else {
            (
                "tls.cert",
                &raw.tls_cert,
                format!("a certificate for each of {} in tls.key", keys.len()),
            )
        };
        return Err(refuse(field, &shown(raw), expected));
    }
    let auth: Option<ClientAuth> = field("tls.client_auth", &raw.tls_client_auth, value::word)?;
    let file =
        field("tls.client_ca", &raw.tls_client_ca, |raw| value::text(raw).map(PathBuf::from))?;
    let needs = |field, raw: &Option<RawValue>, what: &str| {
        Err(refuse(field, &shown(raw), format!("{what} beside it")))
    };
    let client_ca = match (file, auth) {
        (Some(_), _) if certs.is_empty() => {
            return needs("tls.client_ca", &raw.tls_client_ca, "tls.cert and tls.key");
        }
        (None, Some(_)) => {
            return needs("tls.client_auth", &raw.tls_client_auth, "tls.client_ca");
        }
        (Some(file), auth) => {
            Some(ClientAuthorities { file, auth: auth.unwrap_or(ClientAuth::Required) })
        }
        (None, None) => None,
    };
    let certs: Vec<_> =
        certs.into_iter().zip(keys).map(|(cert, key)| CertFiles { cert, key }).collect();
    Ok((!certs.is_empty()).then_some(TlsConfig { certs, client_ca }))
}

fn shown(raw: &Option<RawValue>) -> String {
    raw.as_ref().map_or_else(|| "nothing".to_owned(), ToString::to_string)
}

/// One file, or a list of them.
fn files(raw: &RawValue) -> Result<Vec<PathBuf>, Expected> {
    let one = |item: &RawValue| value::text(item).map(PathBuf::from).ok();
    let files: Option<Vec<PathBuf>> = match raw {
        RawValue::List(items) => items.iter().map(one).collect(),
        item => one(item).map(|file| vec![file]),
    };
    files
        .filter(|files| (1..=MAX_CERTIFICATES).contains(&files.len()))
        .ok_or_else(|| format!("a file, or a list of 1 to {MAX_CERTIFICATES} files"))
}

impl fmt::Display for TlsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |pick: fn(&CertFiles) -> &Path| {
            let files: Vec<_> =
                self.certs.iter().map(|files| quoted(pick(files).display())).collect();
            files.join(", ")
        };
        writeln!(f, "[tls]")?;
        writeln!(f, "cert = [{}]", list(|files| &files.cert))?;
        writeln!(f, "key = [{}]", list(|files| &files.key))?;
        if let Some(authorities) = &self.client_ca {
            writeln!(f, "client_ca = {}", quoted(authorities.file.display()))?;
            writeln!(f, "client_auth = {}", quoted(authorities.auth))?;
        }
        Ok(())
    }
}

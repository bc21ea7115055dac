//! `[auth]`: where credentials are checked from.

use std::path::PathBuf;

use jsonwebtoken::Algorithm;

use super::Config;
use super::error::ConfigError;
use super::print::quoted;
use super::raw::{RawConfig, RawValue};
use super::resolve::{field, refuse};
use super::tls::TlsConfig;
use super::value::{self, ClientAuth, Expected};
use crate::auth::Scope;

/// `[auth]`. Off unless something of it is set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuthConfig {
    /// File of static tokens.
    pub tokens: Option<PathBuf>,
    /// File of keys for signed URLs.
    pub signing_keys: Option<PathBuf>,
    /// File of rules for client certificates.
    pub certificates: Option<PathBuf>,
    /// Scopes of those without credentials.
    pub anonymous: Vec<String>,
    /// File or URL of the keys of JWTs.
    pub jwt_keys: Option<String>,
    /// Algorithms that are accepted.
    pub jwt_algorithms: Vec<String>,
    /// `iss`; there if `jwt_keys` is.
    pub jwt_issuer: Option<String>,
    /// `aud`; there if `jwt_keys` is.
    pub jwt_audience: Option<String>,
    /// Whether a public address may be served without access control.
    pub insecure: bool,
}

impl AuthConfig {
    /// Whether there is access control.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.tokens.is_some()
            || self.signing_keys.is_some()
            || self.jwt_keys.is_some()
            || self.certificates.is_some()
    }

    /// Where keys of JWTs are fetched from; `None`: nowhere, or they are in a file.
    #[must_use]
    pub fn jwks_url(&self) -> Option<&str> {
        let is_url = |keys: &&str| keys.starts_with("https://") || keys.starts_with("http://");
        self.jwt_keys.as_deref().filter(is_url)
    }
}

pub(super) fn auth(raw: &RawConfig) -> Result<AuthConfig, ConfigError> {
    let path = |raw: &RawValue| value::text(raw).map(PathBuf::from);
    let text = |raw: &RawValue| value::text(raw).map(str::to_owned);
    Ok(AuthConfig {
        tokens: field("auth.tokens", &raw.auth_tokens, path)?,
        signing_keys: field("auth.signing_keys", &raw.auth_signing_keys, path)?,
        certificates: field("auth.certificates", &raw.auth_certificates, path)?,
        anonymous: field("auth.anonymous", &raw.auth_anonymous, scopes)?.unwrap_or_default(),
        jwt_keys: field("auth.jwt_keys", &raw.auth_jwt_keys, jwt_keys)?,
        jwt_algorithms: field("auth.jwt_algorithms", &raw.auth_jwt_algorithms, algorithms)?
            .unwrap_or_else(|| DEFAULT_ALGORITHMS.map(str::to_owned).to_vec()),
        jwt_issuer: field("auth.jwt_issuer", &raw.auth_jwt_issuer, text)?,
        jwt_audience: field("auth.jwt_audience", &raw.auth_jwt_audience, text)?,
        insecure: field("auth.insecure", &raw.auth_insecure, boolean)?.unwrap_or(false),
    })
}

/// What the keys mean together.
pub(super) fn check(config: &Config) -> Result<(), ConfigError> {
    let Config { auth, listen, tls, .. } = config;
    let client_auth = client_auth(tls.as_ref());
    if let Some(file) = &auth.certificates
        && client_auth.is_none()
    {
        let expected = "tls.client_ca beside it: nobody else checks certificates".to_owned();
        return Err(refuse("auth.certificates", &quoted(file.display()), expected));
    }
    let needed = [("auth.jwt_issuer", &auth.jwt_issuer), ("auth.jwt_audience", &auth.jwt_audience)];
    for (name, value) in needed {
        if auth.jwt_keys.is_some() && value.is_none() {
            let expected = "a value, because auth.jwt_keys is set".to_owned();
            return Err(refuse(name, &"\"\"", expected));
        }
    }
    if !auth.anonymous.is_empty() && !auth.is_on() {
        let expected = "none without auth.tokens, auth.jwt_keys, auth.signing_keys or \
                        auth.certificates"
            .to_owned();
        return Err(refuse("auth.anonymous", &format!("{:?}", auth.anonymous), expected));
    }
    let public = listen.iter().find(|address| !address.ip().is_loopback());
    if let Some(address) = public
        && !config.has_access_control()
        && !auth.insecure
    {
        let expected = "a loopback address, because there is no access control: set auth.tokens, \
                        auth.jwt_keys, auth.signing_keys or auth.certificates (docs/access.md), \
                        or tls.client_ca if whoever has a certificate may do everything, or \
                        --insecure if whoever reaches this address may"
            .to_owned();
        return Err(refuse("listen", address, expected));
    }
    Ok(())
}

impl Config {
    /// Whether anybody is asked who they are: for credentials, or for a certificate in each
    /// handshake.
    #[must_use]
    pub fn has_access_control(&self) -> bool {
        self.auth.is_on() || client_auth(self.tls.as_ref()) == Some(ClientAuth::Required)
    }
}

/// Whether clients are asked for certificates.
fn client_auth(tls: Option<&TlsConfig>) -> Option<ClientAuth> {
    tls.and_then(|tls| tls.client_ca.as_ref()).map(|authorities| authorities.auth)
}

fn list(raw: &RawValue) -> Option<Vec<String>> {
    let text = |raw: &RawValue| value::text(raw).ok().map(str::to_owned);
    match raw {
        RawValue::List(items) => items.iter().map(text).collect(),
        item => text(item).map(|text| vec![text]),
    }
}

fn scopes(raw: &RawValue) -> Result<Vec<String>, Expected> {
    let listed =
        list(raw).ok_or_else(|| "a list of scopes such as [\"read:public/**\"]".to_owned())?;
    listed.iter().try_for_each(|scope| Scope::parse(scope).map(drop))?;
    Ok(listed)
}

fn algorithms(raw: &RawValue) -> Result<Vec<String>, Expected> {
    let listed = list(raw).filter(|names| !names.is_empty());
    let known = listed.filter(|names| names.iter().all(|name| name.parse::<Algorithm>().is_ok()));
    known.ok_or_else(|| {
        "a list out of ES256, ES384, EdDSA, RS256, RS384, RS512, PS256, PS384, PS512, HS256, HS384, \
         HS512"
            .to_owned()
    })
}

fn jwt_keys(raw: &RawValue) -> Result<String, Expected> {
    let loopback = ["http://127.0.0.1", "http://[::1]", "http://localhost"];
    let text = value::text(raw)?;
    if text.starts_with("http://") && !loopback.iter().any(|prefix| text.starts_with(prefix)) {
        return Err("a file, or an https URL: whoever can change the keys on their way can make \
                    tokens"
            .to_owned());
    }
    Ok(text.to_owned())
}

fn boolean(raw: &RawValue) -> Result<bool, Expected> {
    match raw {
        RawValue::Text(text) | RawValue::Other(text) if text == "true" => Ok(true),
        RawValue::Text(text) | RawValue::Other(text) if text == "false" => Ok(false),
        _ => Err("true or false".to_owned()),
    }
}

/// Public keys only: with a shared secret, everybody who can check a token can make one.
const DEFAULT_ALGORITHMS: [&str; 3] = ["EdDSA", "ES256", "RS256"];

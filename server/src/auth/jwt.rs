//! JSON Web Tokens of somebody else (RFC 7519): their signatures, their issuer and audience, their
//! time, and the scopes they carry.
//!
//! Invariant: only algorithms of the list are looked at, and a key only with an algorithm of its
//! own kind. Times are compared here, because the library would read the clock.

use std::collections::HashSet;
use std::sync::Arc;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::jwk::{JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use thalweg_proto::time::Timestamp;
use tokio::sync::Notify;

use super::provider;
use super::scope::Scope;
use super::{Grant, Refusal};

/// How far an issuer's clock may be ahead.
const LEEWAY_SECONDS: u64 = 60;
/// Keys beyond these are not looked at.
const MAX_KEYS: usize = 64;

/// What is accepted, and the keys to check it with.
#[derive(Clone)]
pub(super) struct Jwt {
    pub(super) rules: Rules,
    keys: Arc<[Key]>,
    /// Told when a token names a key that is not there.
    pub(super) unknown_key: Arc<Notify>,
}

/// What is accepted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Rules {
    /// The algorithms.
    pub(super) algorithms: Vec<Algorithm>,
    /// `iss`.
    pub(super) issuer: String,
    /// `aud`.
    pub(super) audience: String,
}

struct Key {
    id: Option<String>,
    algorithm: Option<Algorithm>,
    key: DecodingKey,
}

#[derive(Deserialize)]
struct Claims {
    exp: f64,
    nbf: Option<f64>,
    sub: Option<String>,
    scope: Option<String>,
}

impl Jwt {
    /// With the keys of a JWK set. Keys of other kinds and uses are left out.
    pub(super) fn new(rules: Rules, keys: &JwkSet, unknown_key: Arc<Notify>) -> Jwt {
        provider::install();
        let keys = keys.keys.iter().filter_map(|jwk| {
            let common = &jwk.common;
            let signs = matches!(common.public_key_use, None | Some(PublicKeyUse::Signature));
            let algorithm = common.key_algorithm.map(Algorithm::try_from);
            // One for encryption, for instance.
            let algorithm = algorithm.transpose().ok().filter(|_| signs)?;
            let key = DecodingKey::from_jwk(jwk).ok()?;
            Some(Key { id: common.key_id.clone(), algorithm, key })
        });
        Jwt { rules, keys: keys.take(MAX_KEYS).collect(), unknown_key }
    }

    /// What a token grants.
    pub(super) fn verify(&self, token: &str, now: Timestamp) -> Result<Grant, Refusal> {
        let header = decode_header(token).map_err(|_| Refusal::Invalid)?;
        if !self.rules.algorithms.contains(&header.alg) {
            return Err(Refusal::Invalid);
        }
        let fitting = self.keys.iter().filter(|key| {
            key.key.family() == header.alg.family()
                && key.algorithm.is_none_or(|algorithm| algorithm == header.alg)
                && (header.kid.is_none() || key.id.is_none() || key.id == header.kid)
        });
        let validation = self.validation(header.alg);
        let mut refusal = Refusal::Invalid;
        let mut tried = false;
        for key in fitting {
            tried = true;
            match decode::<Claims>(token, &key.key, &validation) {
                Ok(decoded) => return grant(&decoded.claims, now),
                Err(error) => match error.kind() {
                    ErrorKind::InvalidIssuer | ErrorKind::InvalidAudience => {
                        refusal = Refusal::Audience;
                    }
                    _ => {}
                },
            }
        }
        if !tried {
            // It may have been published since.
            self.unknown_key.notify_one();
        }
        Err(refusal)
    }

    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.required_spec_claims = HashSet::from(["exp", "iss", "aud"].map(str::to_owned));
        validation.set_issuer(&[&self.rules.issuer]);
        validation.set_audience(&[&self.rules.audience]);
        validation
    }
}

fn grant(claims: &Claims, now: Timestamp) -> Result<Grant, Refusal> {
    let millis = |seconds: f64| (seconds.max(0.0) * 1000.0) as u64;
    let begins = claims.nbf.map(millis).unwrap_or_default();
    if begins > now.0 + LEEWAY_SECONDS * 1000 {
        return Err(Refusal::Expired);
    }
    // Other services' scopes may be among them.
    let scopes = claims.scope.as_deref().unwrap_or_default().split_ascii_whitespace();
    let scopes = scopes.filter_map(|scope| Scope::parse(scope).ok()).collect();
    let name = format!("jwt:{}", claims.sub.as_deref().unwrap_or("-"));
    Ok(Grant::new(name, scopes, Some(Timestamp(millis(claims.exp)))))
}

impl std::fmt::Debug for Jwt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Jwt").field("rules", &self.rules).field("keys", &self.keys.len()).finish()
    }
}

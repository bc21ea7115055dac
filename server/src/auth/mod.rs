//! Access control: who asks, and may they?
//!
//! An [`Authority`] holds everything that a decision needs and never changes; the cores share it,
//! and get another one when keys or files change. A decision looks at a request's head and the time
//! and waits for nothing. Off, it costs one look at a cell.
//!
//! Deliberately absent: clocks, files and sockets (`load` has the last two), and identities: a
//! name is for logs and for whoever counts.

mod cache;
pub mod certificates;
mod identity;
mod jwt;
mod load;
mod pass;
mod provider;
mod refusal;
mod scope;
mod signed;
pub mod tokens;

use std::sync::Arc;

use http::Method;
use thalweg_proto::path::StreamPath;
use thalweg_proto::problem::Problem;
use thalweg_proto::request::{Request, Resource};
use thalweg_proto::time::Timestamp;

pub use cache::Cache;
pub use identity::Identity;
pub use load::{Keeper, Next};
pub use pass::{Pass, Shown, Standing};
pub use refusal::Refusal;
pub use scope::{Action, Scope};
pub use signed::SigningKeys;

use certificates::Certificates;
use jwt::Jwt;
use signed::{Signed, Unsigned};
use tokens::Tokens;

/// See the module.
#[derive(Debug, Default)]
pub struct Authority {
    tokens: Tokens,
    jwt: Option<Jwt>,
    signing: Option<SigningKeys>,
    certificates: Certificates,
    /// What is allowed without credentials.
    anonymous: Vec<Scope>,
}

/// What somebody may do. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Grant {
    /// Who, for logs.
    pub name: Arc<str>,
    scopes: Arc<[Scope]>,
    /// Until when.
    pub expires: Option<Timestamp>,
    /// A signed URL: exactly what was signed.
    signed: bool,
}

impl Grant {
    fn new(name: String, scopes: Vec<Scope>, expires: Option<Timestamp>) -> Grant {
        Grant { name: name.into(), scopes: scopes.into(), expires, signed: false }
    }

    /// Whoever has the limits of a token. A signed URL is for one stream, which has limits of its
    /// own.
    #[must_use]
    pub fn principal(&self) -> Option<&str> {
        (!self.signed && &*self.name != ANONYMOUS).then_some(&*self.name)
    }

    /// Whether it allows an action on a stream.
    #[must_use]
    pub fn allows(&self, action: Action, path: &StreamPath) -> bool {
        self.scopes.iter().any(|scope| scope.allows(action, path))
    }

    fn allows_resource(&self, action: Action, resource: &Resource) -> bool {
        match resource {
            _ if self.signed => !matches!(action, Action::Admin),
            Resource::Stream(path) => self.allows(action, path),
            _ => self.scopes.iter().any(|scope| scope.allows_everywhere(action)),
        }
    }
}

impl Authority {
    /// Whether a request may be made, as far as its head says: `resource` is what it names.
    /// `Ok(None)`: it needs no permission.
    pub fn admit(
        &self,
        shown: &Shown<'_>,
        resource: &Resource,
        cache: &Cache,
        now: Timestamp,
    ) -> Result<Option<Grant>, Refusal> {
        let Some(action) = needed(shown.method, resource) else { return Ok(None) };
        let grant = self.identify(shown, cache, now)?;
        if grant.expires.is_some_and(|expires| expires <= now) {
            return Err(Refusal::Expired);
        }
        if !grant.allows_resource(action, resource) {
            return Err(Refusal::Scope { action, anonymous: &*grant.name == ANONYMOUS });
        }
        Ok(Some(grant))
    }

    /// Whoever sends the request.
    fn identify(&self, shown: &Shown<'_>, cache: &Cache, now: Timestamp) -> Result<Grant, Refusal> {
        if let Some(credentials) = shown.authorization {
            let token = bearer(credentials).ok_or(Refusal::NoBearer)?;
            if let Some(grant) = self.tokens.find(token) {
                return Ok(grant.clone());
            }
            let jwt = self.jwt.as_ref().ok_or(Refusal::Invalid)?;
            return cache.get_or(token, || jwt.verify(token, now));
        }
        if let (Some(keys), Some(signed)) = (&self.signing, shown.query.and_then(Signed::of)) {
            let checked = keys.check(shown.method, shown.path, &signed, now.seconds());
            let expires = checked.map_err(|error| match error {
                Unsigned::Invalid => Refusal::Signature,
                Unsigned::Expired => Refusal::SignatureExpired,
            })?;
            let mut grant = Grant::new(
                "signed-url".to_owned(),
                Vec::new(),
                Some(Timestamp(expires.saturating_mul(1000))),
            );
            grant.signed = true;
            return Ok(grant);
        }
        let known = shown.certificate.and_then(|identity| self.certificates.find(identity));
        if let Some(grant) = known {
            return Ok(grant);
        }
        if self.anonymous.is_empty() {
            return Err(Refusal::Missing);
        }
        Ok(Grant::new(ANONYMOUS.to_owned(), self.anonymous.clone(), None))
    }
}

/// Who makes a fork reads its source too.
pub fn check_fork(grant: &Grant, request: &Request) -> Result<(), Problem> {
    let Request::Create(create) = request else { return Ok(()) };
    let Some(fork) = &create.fork else { return Ok(()) };
    if grant.signed || !grant.allows(Action::Read, &fork.source) {
        let anonymous = &*grant.name == ANONYMOUS;
        return Err(Refusal::Scope { action: Action::Read, anonymous }.into());
    }
    Ok(())
}

/// What a request needs; `None`: nothing.
fn needed(method: &Method, resource: &Resource) -> Option<Action> {
    match (resource, method) {
        (_, &Method::OPTIONS) => None,
        (Resource::Stream(_), method) => Some(match *method {
            Method::PUT => Action::Create,
            Method::POST => Action::Append,
            Method::DELETE => Action::Delete,
            _ => Action::Read,
        }),
        (Resource::Listing, _) => Some(Action::Admin),
        // Public keys; and those of whom their wake's own token is asked.
        (Resource::Control(tail), method) => {
            let by_wake_token = ["/callback", "/ack", "/release"];
            let has_own = *method == Method::POST
                && by_wake_token.iter().any(|action| tail.ends_with(action));
            (&**tail != "jwks.json" && !has_own).then_some(Action::Admin)
        }
        // It is refused anyway.
        (Resource::Nothing, _) => None,
    }
}

/// The token of `Authorization: Bearer TOKEN`.
fn bearer(credentials: &str) -> Option<&str> {
    let (scheme, token) = credentials.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// Compares in constant time.
fn same(a: &[u8; 32], b: &[u8; 32]) -> bool {
    let differing = a.iter().zip(b).fold(0, |differing, (a, b)| differing | (a ^ b));
    std::hint::black_box(differing) == 0
}

/// The name of those who say nothing.
const ANONYMOUS: &str = "anonymous";

#[cfg(test)]
mod tests;

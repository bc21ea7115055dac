//! From files and a URL to an [`Authority`], at the start, at SIGHUP, and when an issuer of tokens
//! publishes other keys.
//!
//! Invariant: what cannot be read changes nothing; the cores go on with what they have.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jsonwebtoken::Algorithm;
use jsonwebtoken::jwk::JwkSet;
use tokio::sync::Notify;

use super::Authority;
use super::jwt::{Jwt, Rules};
use super::scope::Scope;
use super::signed::SigningKeys;
use super::tokens::Tokens;
use crate::config::AuthConfig;
use crate::config::limits::{JWKS_MAX_BYTES, JWKS_REFRESH, JWKS_RETRY, JWKS_TIMEOUT};
use crate::mailbox::Post;
use crate::mailbox::message::{Message, Note};

/// Keeps the cores' authority up to date. Cheap to clone.
#[derive(Clone)]
pub struct Keeper(Arc<Inner>);

struct Inner {
    config: AuthConfig,
    /// As they were published last.
    published: Mutex<JwkSet>,
    unknown_key: Arc<Notify>,
}

/// Reads everything for the first time. `None`: there is no access control.
pub fn load(config: &AuthConfig) -> Result<Option<(Arc<Authority>, Keeper)>, String> {
    if !config.is_on() {
        return Ok(None);
    }
    let keeper = Keeper(Arc::new(Inner {
        config: config.clone(),
        published: Mutex::new(JwkSet { keys: Vec::new() }),
        unknown_key: Arc::default(),
    }));
    Ok(Some((Arc::new(keeper.0.build()?), keeper)))
}

impl Keeper {
    /// Reads the files again, and tells the cores.
    pub fn reload(&self, post: &Post) -> Result<(), String> {
        let authority = Arc::new(self.0.build()?);
        for core in 0..post.cores() {
            post.send_from_outside(core, Message::Tell(Note::Authority(Arc::clone(&authority))));
        }
        Ok(())
    }

    /// Fetches published keys from now on, if they are at a URL.
    pub fn watch(&self, post: &Post) -> std::io::Result<()> {
        let Some(url) = self.0.config.jwt_keys.clone().filter(|keys| is_url(keys)) else {
            return Ok(());
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (keeper, post) = (self.clone(), post.clone());
        let run = move || runtime.block_on(keeper.fetch_for_ever(&url, &post));
        std::thread::Builder::new().name("jwks".to_owned()).spawn(run).map(drop)
    }

    async fn fetch_for_ever(&self, url: &str, post: &Post) {
        // The process may have one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .timeout(JWKS_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build();
        let client = match client {
            Ok(client) => client,
            Err(error) => return tracing::error!(%error, "published keys cannot be fetched"),
        };
        loop {
            let pause = match self.fetch(&client, url, post).await {
                Ok(()) => JWKS_REFRESH,
                Err(error) => {
                    tracing::warn!(
                        url,
                        error,
                        "published keys could not be fetched; the old ones stay"
                    );
                    JWKS_RETRY
                }
            };
            // Never more often than this, whatever tokens name.
            tokio::time::sleep(JWKS_RETRY).await;
            let rest = pause.saturating_sub(JWKS_RETRY).max(Duration::from_millis(1));
            let _ = tokio::time::timeout(rest, self.0.unknown_key.notified()).await;
        }
    }

    async fn fetch(&self, client: &reqwest::Client, url: &str, post: &Post) -> Result<(), String> {
        let words = |error: reqwest::Error| error.without_url().to_string();
        let answer = client.get(url).send().await.map_err(words)?;
        let mut answer = answer.error_for_status().map_err(words)?;
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(words)? {
            body.extend_from_slice(&chunk);
            if body.len() > JWKS_MAX_BYTES {
                return Err(format!("more than {JWKS_MAX_BYTES} bytes"));
            }
        }
        let keys: JwkSet = serde_json::from_slice(&body).map_err(|error| error.to_string())?;
        let changed = {
            let mut published = self.0.published.lock().unwrap_or_else(PoisonError::into_inner);
            let changed = published.keys != keys.keys;
            *published = keys;
            changed
        };
        if changed {
            tracing::info!(url, "published keys have changed");
            self.reload(post)?;
        }
        Ok(())
    }
}

impl Inner {
    fn build(&self) -> Result<Authority, String> {
        let config = &self.config;
        let tokens = config.tokens.as_deref().map(|path| of_file(path, false, Tokens::parse));
        let signing = config.signing_keys.as_deref();
        let signing = signing.map(|path| of_file(path, true, SigningKeys::parse));
        let anonymous: Result<Vec<Scope>, String> =
            config.anonymous.iter().map(|scope| Scope::parse(scope)).collect();
        Ok(Authority {
            tokens: tokens.transpose()?.unwrap_or_default(),
            jwt: self.jwt()?,
            signing: signing.transpose()?,
            anonymous: anonymous?,
        })
    }

    fn jwt(&self) -> Result<Option<Jwt>, String> {
        let Some(keys) = &self.config.jwt_keys else { return Ok(None) };
        let parse = |text: &str| -> Result<JwkSet, String> {
            serde_json::from_str(text).map_err(|error| format!("not a JWK set: {error}"))
        };
        let keys = if is_url(keys) {
            self.published.lock().unwrap_or_else(PoisonError::into_inner).clone()
        } else {
            of_file(Path::new(keys), false, parse)?
        };
        let algorithms: Result<Vec<Algorithm>, _> =
            self.config.jwt_algorithms.iter().map(|name| name.parse()).collect();
        let rules = Rules {
            algorithms: algorithms.map_err(|_| "an algorithm is not known".to_owned())?,
            issuer: self.config.jwt_issuer.clone().unwrap_or_default(),
            audience: self.config.jwt_audience.clone().unwrap_or_default(),
        };
        Ok(Some(Jwt::new(rules, &keys, Arc::clone(&self.unknown_key))))
    }
}

/// Whether keys are fetched rather than read.
pub(crate) fn is_url(keys: &str) -> bool {
    keys.starts_with("https://") || keys.starts_with("http://")
}

fn of_file<T>(
    path: &Path,
    secret: bool,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<T, String> {
    use std::os::unix::fs::PermissionsExt;
    let of_path = |error: String| format!("{}: {error}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| of_path(error.to_string()))?;
    let mode = std::fs::metadata(path).map(|facts| facts.permissions().mode()).unwrap_or(0);
    if secret && mode & 0o077 != 0 {
        tracing::warn!(path = %path.display(), "a file of secret keys is readable by others");
    }
    parse(&text).map_err(of_path)
}

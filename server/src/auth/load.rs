//! From files and a URL to an [`Authority`], at the start, at SIGHUP, and when an issuer of tokens
//! publishes other keys.
//!
//! Invariant: what cannot be read changes nothing; the cores go on with what they have.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jsonwebtoken::Algorithm;
use jsonwebtoken::jwk::JwkSet;
use tokio::sync::Notify;

use super::Authority;
use super::certificates::Certificates;
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
    /// Held while the cores are told: what they are told last is what holds.
    state: Mutex<State>,
    /// Rung when a token names a key that is not there, and when the URL of keys is another one.
    look: Arc<Notify>,
    /// There is a thread that fetches.
    fetches: AtomicBool,
}

struct State {
    config: AuthConfig,
    /// As they were published last at the URL of the configuration.
    published: JwkSet,
}

/// What another configuration leads to, once it is in use.
pub struct Next {
    config: AuthConfig,
    authority: Option<Arc<Authority>>,
}

impl Keeper {
    /// Reads everything for the first time. Without access control there is no authority.
    pub fn start(config: &AuthConfig) -> Result<(Keeper, Option<Arc<Authority>>), String> {
        let published = JwkSet { keys: Vec::new() };
        let look = Arc::new(Notify::new());
        let authority = build(config, &published, &look)?;
        let state = Mutex::new(State { config: config.clone(), published });
        let keeper = Keeper(Arc::new(Inner { state, look, fetches: AtomicBool::new(false) }));
        Ok((keeper, authority))
    }

    /// Reads the files that a configuration names. Nothing is changed yet.
    pub fn prepare(&self, config: &AuthConfig) -> Result<Next, String> {
        let published = self.lock().published_for(config);
        let authority = build(config, &published, &self.0.look)?;
        Ok(Next { config: config.clone(), authority })
    }

    /// From now on this holds, on all cores.
    pub fn adopt(&self, next: Next, post: &Post) -> std::io::Result<()> {
        let mut state = self.lock();
        state.published = state.published_for(&next.config);
        // Keys may have been fetched since.
        let newer = build(&next.config, &state.published, &self.0.look);
        state.config = next.config;
        tell(post, newer.unwrap_or(next.authority).as_ref());
        drop(state);
        self.0.look.notify_one();
        self.watch(post)
    }

    /// Fetches published keys from now on, if they are at a URL.
    pub fn watch(&self, post: &Post) -> std::io::Result<()> {
        if self.lock().config.jwks_url().is_none() || self.0.fetches.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (keeper, post) = (self.clone(), post.clone());
        let run = move || runtime.block_on(keeper.fetch_for_ever(&post));
        std::thread::Builder::new().name("jwks".to_owned()).spawn(run).map(drop)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn fetch_for_ever(&self, post: &Post) {
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
            let url = self.lock().config.jwks_url().map(str::to_owned);
            let Some(url) = url else {
                self.0.look.notified().await;
                continue;
            };
            let pause = match self.fetch(&client, &url, post).await {
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
            let _ = tokio::time::timeout(rest, self.0.look.notified()).await;
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
        let mut state = self.lock();
        if state.config.jwks_url() != Some(url) || state.published.keys == keys.keys {
            return Ok(());
        }
        tracing::info!(url, "published keys have changed");
        let authority = build(&state.config, &keys, &self.0.look)?;
        state.published = keys;
        tell(post, authority.as_ref());
        Ok(())
    }
}

impl State {
    /// The keys that are known for a configuration.
    fn published_for(&self, config: &AuthConfig) -> JwkSet {
        let same = self.config.jwks_url() == config.jwks_url();
        if same { self.published.clone() } else { JwkSet { keys: Vec::new() } }
    }
}

fn tell(post: &Post, authority: Option<&Arc<Authority>>) {
    for core in 0..post.cores() {
        let note = Note::Authority(authority.cloned());
        post.send_from_outside(core, Message::Tell(note));
    }
}

/// From files and published keys to an authority; `None` without access control.
fn build(
    config: &AuthConfig,
    published: &JwkSet,
    look: &Arc<Notify>,
) -> Result<Option<Arc<Authority>>, String> {
    if !config.is_on() {
        return Ok(None);
    }
    let tokens = config.tokens.as_deref().map(|path| of_file(path, false, Tokens::parse));
    let certificates = config.certificates.as_deref();
    let certificates = certificates.map(|path| of_file(path, false, Certificates::parse));
    let signing = config.signing_keys.as_deref();
    let signing = signing.map(|path| of_file(path, true, SigningKeys::parse));
    let anonymous: Result<Vec<Scope>, String> =
        config.anonymous.iter().map(|scope| Scope::parse(scope)).collect();
    Ok(Some(Arc::new(Authority {
        tokens: tokens.transpose()?.unwrap_or_default(),
        jwt: jwt(config, published, look)?,
        signing: signing.transpose()?,
        certificates: certificates.transpose()?.unwrap_or_default(),
        anonymous: anonymous?,
    })))
}

fn jwt(config: &AuthConfig, published: &JwkSet, look: &Arc<Notify>) -> Result<Option<Jwt>, String> {
    let Some(keys) = &config.jwt_keys else { return Ok(None) };
    let parse = |text: &str| -> Result<JwkSet, String> {
        serde_json::from_str(text).map_err(|error| format!("not a JWK set: {error}"))
    };
    let keys = match config.jwks_url() {
        Some(_) => published.clone(),
        None => of_file(Path::new(keys), false, parse)?,
    };
    let algorithms: Result<Vec<Algorithm>, _> =
        config.jwt_algorithms.iter().map(|name| name.parse()).collect();
    let rules = Rules {
        algorithms: algorithms.map_err(|_| "an algorithm is not known".to_owned())?,
        issuer: config.jwt_issuer.clone().unwrap_or_default(),
        audience: config.jwt_audience.clone().unwrap_or_default(),
    };
    Ok(Some(Jwt::new(rules, &keys, Arc::clone(look))))
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

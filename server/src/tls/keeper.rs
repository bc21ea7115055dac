//! The keeper: owns what new connections are set up with, and replaces it when the files change
//! or when it is told to.
//!
//! Invariant: what does not load whole changes nothing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, Weak};
use std::thread;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::server::{NoClientAuth, ServerSessionMemoryCache};

use super::PROTOCOLS;
use super::choose::Choice;
use super::error::TlsError;
use super::files::{self, Contents};
use super::validity;
use crate::config::TlsConfig;
use crate::config::limits::{TLS_FILES_PAUSE, TLS_SESSIONS};

/// See the module.
pub struct Keeper {
    files: TlsConfig,
    current: RwLock<Loaded>,
    reload: SyncSender<()>,
    /// The last attempt to load the files came to nothing.
    reload_failed: AtomicBool,
}

/// What the files hold.
struct Loaded {
    config: Arc<ServerConfig>,
    /// Of each certificate's file, until when it is valid, in seconds since 1970.
    expiries: Vec<(String, u64)>,
}

impl Keeper {
    /// Loads the files, and looks after them from now on.
    pub fn start(files: &TlsConfig) -> Result<Arc<Keeper>, TlsError> {
        // Before loading: a change after this is one that the thread sees.
        let contents = Contents::read(files);
        let current = RwLock::new(load(files)?);
        // One reload that waits stands for all.
        let (reload, told) = mpsc::sync_channel(1);
        let reload_failed = AtomicBool::new(false);
        let keeper = Arc::new(Keeper { files: files.clone(), current, reload, reload_failed });
        let watched = Arc::downgrade(&keeper);
        thread::Builder::new()
            .name("tls-files".to_owned())
            .spawn(move || watch(&watched, &told, contents))
            .map_err(|error| TlsError::SetUp(error.to_string()))?;
        Ok(keeper)
    }

    /// For a connection that begins now.
    #[must_use]
    pub fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.loaded().config)
    }

    /// The files of certificates, and until when each is valid, in seconds since 1970.
    #[must_use]
    pub fn expiries(&self) -> Vec<(String, u64)> {
        self.loaded().expiries.clone()
    }

    /// Whether the files could not be used when they were last loaded: older ones are in use.
    #[must_use]
    pub fn reload_failed(&self) -> bool {
        self.reload_failed.load(Ordering::Relaxed)
    }

    fn loaded(&self) -> RwLockReadGuard<'_, Loaded> {
        self.current.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for the files to be loaded again, soon.
    pub fn reload(&self) {
        // Full: one is on its way already.
        let _ = self.reload.try_send(());
    }

    fn replace(&self) {
        let loaded = load(&self.files);
        self.reload_failed.store(loaded.is_err(), Ordering::Relaxed);
        match loaded {
            Ok(loaded) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = loaded;
                tracing::info!("certificates loaded again; new connections use them");
            }
            Err(error) => {
                tracing::error!(%error, "certificates not loaded again; the old ones stay in use");
            }
        }
    }
}

/// Loads when told to, and when the files have changed and stay as they are for a moment: a
/// certificate and its key are two files, and nobody replaces both at once.
fn watch(keeper: &Weak<Keeper>, told: &Receiver<()>, loaded: Contents) {
    let mut loaded = loaded;
    let mut last = loaded.clone();
    loop {
        let signal = told.recv_timeout(TLS_FILES_PAUSE);
        let Some(keeper) = keeper.upgrade() else { return };
        let now = Contents::read(&keeper.files);
        let is_told = match signal {
            Ok(()) => true,
            Err(RecvTimeoutError::Timeout) => false,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        if is_told || now != loaded && now == last {
            loaded = now.clone();
            keeper.replace();
        }
        last = now;
    }
}

fn load(files: &TlsConfig) -> Result<Loaded, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let set_up = |error: rustls::Error| TlsError::SetUp(error.to_string());
    let mut certificates = Vec::with_capacity(files.certs.len());
    let mut expiries = Vec::with_capacity(files.certs.len());
    for pair in &files.certs {
        let certificate = files::certificate(pair, &provider)?;
        let until = certificate.end_entity_cert().ok().and_then(|first| validity::of(first));
        expiries.extend(until.map(|validity| (pair.cert.display().to_string(), validity.until)));
        certificates.push(certificate);
    }
    let choice = Arc::new(Choice(certificates));
    let verifier = match &files.client_ca {
        Some(authorities) => files::client_verifier(authorities, &provider)?,
        None => Arc::new(NoClientAuth),
    };
    let builder = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(set_up)?;
    let mut config = builder.with_client_cert_verifier(verifier).with_cert_resolver(choice);
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    // A ticket of before the reload is void: the authorities of clients may have changed.
    config.ticketer = ring::Ticketer::new().map_err(set_up)?;
    config.session_storage = ServerSessionMemoryCache::new(TLS_SESSIONS);
    Ok(Loaded { config: Arc::new(config), expiries })
}

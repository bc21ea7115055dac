//! The keeper: owns what new connections are set up with, and replaces it when the files change
//! or when it is told to.
//!
//! Invariant: what does not load whole changes nothing.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::thread;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::server::{NoClientAuth, ServerSessionMemoryCache};

use super::PROTOCOLS;
use super::choose::Choice;
use super::error::TlsError;
use super::files::{self, Contents};
use crate::config::TlsConfig;
use crate::config::limits::{TLS_FILES_PAUSE, TLS_SESSIONS};

/// See the module.
pub struct Keeper {
    files: TlsConfig,
    current: RwLock<Arc<ServerConfig>>,
    reload: SyncSender<()>,
}

impl Keeper {
    /// Loads the files, and looks after them from now on.
    pub fn start(files: &TlsConfig) -> Result<Arc<Keeper>, TlsError> {
        // Before loading: a change after this is one that the thread sees.
        let contents = Contents::read(files);
        let current = RwLock::new(load(files)?);
        // One reload that waits stands for all.
        let (reload, told) = mpsc::sync_channel(1);
        let keeper = Arc::new(Keeper { files: files.clone(), current, reload });
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
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Asks for the files to be loaded again, soon.
    pub fn reload(&self) {
        // Full: one is on its way already.
        let _ = self.reload.try_send(());
    }

    fn replace(&self) {
        match load(&self.files) {
            Ok(config) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = config;
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

fn load(files: &TlsConfig) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let set_up = |error: rustls::Error| TlsError::SetUp(error.to_string());
    let certificates: Result<Vec<_>, _> =
        files.certs.iter().map(|pair| files::certificate(pair, &provider)).collect();
    let choice = Arc::new(Choice(certificates?));
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
    Ok(Arc::new(config))
}

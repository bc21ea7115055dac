//! Whether the server lives and can be used: `/healthz` and `/readyz` on both listeners.
//!
//! Shared by all threads and written when something changes, never where requests pass.
//! Deliberately absent: a look at the disk. Those who write to it say what came of it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use http::StatusCode;
use serde_json::json;

use crate::config::Durability;
use crate::rt::Driver;

/// See the module.
pub struct Health {
    phase: AtomicU8,
    durability: Durability,
    driver: OnceLock<Driver>,
    disk_full: Box<[AtomicBool]>,
}

/// Where a server is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Phase {
    /// It reads what is stored.
    Starting,
    /// It serves.
    Serving,
    /// It was told to stop.
    Draining,
}

impl Health {
    /// Of a server that starts.
    #[must_use]
    pub fn new(durability: Durability, cores: usize) -> Health {
        Health {
            phase: AtomicU8::new(Phase::Starting as u8),
            durability,
            driver: OnceLock::new(),
            disk_full: (0..cores).map(|_| AtomicBool::new(false)).collect(),
        }
    }

    /// The server has got so far.
    pub fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// The kernel interface is known.
    pub fn runs_on(&self, driver: Driver) {
        // A server chooses once.
        let _ = self.driver.set(driver);
    }

    /// Whether a core can make room for what it is to store.
    pub fn set_disk_full(&self, core: usize, full: bool) {
        if let Some(of_core) = self.disk_full.get(core) {
            of_core.store(full, Ordering::Relaxed);
        }
    }

    /// What speaks against sending requests here, each with a code and a sentence.
    #[must_use]
    pub fn reasons(&self) -> Vec<(&'static str, String)> {
        let mut reasons = Vec::new();
        match self.phase.load(Ordering::Relaxed) {
            phase if phase == Phase::Starting as u8 => {
                reasons.push(("starting", "what is stored is being read".to_owned()));
            }
            phase if phase == Phase::Draining as u8 => {
                reasons.push(("draining", "the server is stopping".to_owned()));
            }
            _ => {}
        }
        let full = |(_, full): &(usize, &AtomicBool)| full.load(Ordering::Relaxed);
        for (core, _) in self.disk_full.iter().enumerate().filter(full) {
            reasons.push(("disk-full", format!("core {core} can make no segment to write to")));
        }
        reasons
    }

    /// Status and JSON body for a path; `None` if it is no health path. `core`: who answers.
    #[must_use]
    pub fn answer(&self, path: &str, core: Option<usize>) -> Option<(StatusCode, String)> {
        let reasons = self.reasons();
        let (state, status) = match (path, reasons.first()) {
            ("/healthz", _) => ("alive", StatusCode::OK),
            ("/readyz", None) => ("ready", StatusCode::OK),
            ("/readyz", Some((code, _))) => (*code, StatusCode::SERVICE_UNAVAILABLE),
            _ => return None,
        };
        let mut body = json!({
            "state": state,
            "version": env!("CARGO_PKG_VERSION"),
            "durability": self.durability.to_string(),
            "io": self.driver.get().map(|driver| driver.name()),
        });
        if path == "/readyz" {
            let sentences: Vec<String> =
                reasons.iter().map(|(code, sentence)| format!("{code}: {sentence}")).collect();
            body["reasons"] = sentences.into();
        }
        if let Some(core) = core {
            body["core"] = core.into();
        }
        Some((status, body.to_string()))
    }

    /// The level, for metrics.
    #[must_use]
    pub fn durability(&self) -> Durability {
        self.durability
    }

    /// The kernel interface, once it is chosen.
    #[must_use]
    pub fn driver(&self) -> Option<Driver> {
        self.driver.get().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_between_recovery_and_drain_while_the_disk_takes_something() {
        let health = Health::new(Durability::Sync, 2);
        let check = |want: u16, state: &str, reasons: usize| {
            let (status, body) = health.answer("/readyz", Some(1)).unwrap();
            let body: serde_json::Value = serde_json::from_str(&body).unwrap();
            assert_eq!((status.as_u16(), &body["state"]), (want, &state.into()), "{body}");
            assert_eq!(body["reasons"].as_array().unwrap().len(), reasons, "{body}");
            assert_eq!(body["durability"], "sync");
            let (status, body) = health.answer("/healthz", None).unwrap();
            assert!(status == 200 && body.contains("alive"), "{body}");
        };
        check(503, "starting", 1);
        health.runs_on(Driver::Epoll);
        health.enter(Phase::Serving);
        check(200, "ready", 0);
        health.set_disk_full(1, true);
        health.set_disk_full(7, true);
        check(503, "disk-full", 1);
        health.enter(Phase::Draining);
        check(503, "draining", 2);
        assert!(health.answer("/readyz/", None).is_none());
    }
}

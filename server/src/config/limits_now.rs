//! What of the configuration can change while a core runs.

use std::cell::Cell;

use super::{Config, LimitsConfig, LiveConfig, Share};
use crate::access_log::Target;

/// As it is now, on one core. Asked each time that it is needed.
pub struct Limits(Cell<Now>);

#[derive(Clone, Copy)]
struct Now {
    limits: LimitsConfig,
    live: LiveConfig,
    /// Which requests the access log shows; `None`: it is off.
    access: Option<Share>,
    /// Of which requests spans are exported; `None`: of none.
    spans: Option<Share>,
}

impl Limits {
    /// Of a configuration.
    #[must_use]
    pub fn of(config: &Config) -> Limits {
        Limits(Cell::new(Now::of(config)))
    }

    /// Takes those of another one.
    pub fn set(&self, config: &Config) {
        self.0.set(Now::of(config));
    }

    /// `[limits]`
    #[must_use]
    #[inline]
    pub fn get(&self) -> LimitsConfig {
        self.0.get().limits
    }

    /// `[live]`
    #[must_use]
    #[inline]
    pub fn live(&self) -> LiveConfig {
        self.0.get().live
    }

    /// Which requests the access log shows; `None`: it is off.
    #[must_use]
    #[inline]
    pub fn access(&self) -> Option<Share> {
        self.0.get().access
    }

    /// Of which requests spans are exported; `None`: of none.
    #[must_use]
    #[inline]
    pub fn spans(&self) -> Option<Share> {
        self.0.get().spans
    }

    /// Whether anything is written down about single requests.
    #[must_use]
    #[inline]
    pub fn observes(&self) -> bool {
        let now = self.0.get();
        now.access.is_some() || now.spans.is_some()
    }
}

impl Now {
    fn of(config: &Config) -> Now {
        let log = &config.log;
        Now {
            limits: config.limits,
            live: config.live,
            access: (log.access != Target::Off).then_some(log.access_sample),
            spans: config.telemetry.as_ref().and_then(super::TelemetryConfig::spans),
        }
    }
}

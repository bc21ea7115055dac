//! What the cores of a server share with those who watch it.
//!
//! Deliberately absent: anything that a request waits for.

use std::sync::Arc;

use crate::access_log::AccessLog;
use crate::auth::Authority;
use crate::config::Durability;
use crate::health::Health;
use crate::limits::Newest;
use crate::telemetry::Telemetry;
use crate::tls::Keeper;

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct Shared {
    /// Whether the server can be used.
    pub health: Arc<Health>,
    /// Where answered requests are noted.
    pub access_log: AccessLog,
    /// Where spans of requests go, and what became of them.
    pub telemetry: Telemetry,
    /// Who decides at the start who may do what; `None`: everybody may do everything.
    pub authority: Option<Arc<Authority>>,
    /// Rates and quotas.
    pub limiting: Newest,
    /// The certificates.
    pub tls: Option<Arc<Keeper>>,
}

impl Shared {
    /// Of a server that starts.
    #[must_use]
    pub fn new(durability: Durability, cores: usize) -> Shared {
        let health = Arc::new(Health::new(durability, cores));
        Shared {
            health,
            access_log: AccessLog::default(),
            telemetry: Telemetry::default(),
            authority: None,
            tls: None,
            limiting: Newest::default(),
        }
    }
}

//! What one client, one token or one stream may do in a second, and what the streams of a pattern
//! may hold.
//!
//! All cores count together, in atomic numbers without locks: a client that spreads its
//! connections gets nothing more. Nothing of this exists while nothing is limited. Deliberately
//! absent: clocks, and waiting; a request over a limit is refused at once.

mod over;
mod quota;
mod rate;
mod rates;
mod table;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use thalweg_proto::path::StreamPath;
use thalweg_proto::problem::Problem;

use crate::auth::Grant;
use crate::config::Config;

pub use quota::{Members, Quota, Quotas};
pub use rate::Rate;
pub use rates::{Bill, Limit, Rates};

/// What is limited on a server. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Limiting {
    /// How much in how much time; `None`: nothing is limited.
    pub rates: Option<Arc<Rates>>,
    /// How much altogether.
    pub quotas: Arc<Quotas>,
}

impl Limiting {
    /// As another configuration has it. What goes on being limited goes on being counted.
    #[must_use]
    pub fn next(&self, config: &Config) -> Limiting {
        Limiting {
            rates: Rates::next(self.rates.as_deref(), &config.rates).map(Arc::new),
            quotas: Quotas::next(&self.quotas, &config.quotas),
        }
    }
}

/// The newest one, for those who start and watch. Requests do not look here.
#[derive(Clone, Default)]
pub struct Newest(Arc<Mutex<Limiting>>);

impl Newest {
    /// As it is now.
    #[must_use]
    pub fn get(&self) -> Limiting {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes over what a configuration says, and returns it.
    #[must_use]
    pub fn update(&self, config: &Config) -> Limiting {
        let mut newest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *newest = newest.next(config);
        newest.clone()
    }
}

/// The rates of one core's requests. Each question costs one look while there are none.
#[derive(Default)]
pub struct Gate(RefCell<Option<Arc<Rates>>>);

impl Gate {
    /// With these.
    #[must_use]
    pub fn new(rates: Option<Arc<Rates>>) -> Gate {
        Gate(RefCell::new(rates))
    }

    /// From now on these.
    pub fn set(&self, rates: Option<Arc<Rates>>) {
        *self.0.borrow_mut() = rates;
    }

    /// Whether there are any.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.0.borrow().is_some()
    }

    /// Whether a client may make one more connection.
    pub fn connects(
        &self,
        client: SocketAddr,
        now: impl FnOnce() -> Instant,
    ) -> Result<(), Problem> {
        match &*self.0.borrow() {
            None => Ok(()),
            Some(rates) => rates.connects(client.ip(), now()),
        }
    }

    /// A request arrives from a client, with a body of so many bytes, before it is known who asks
    /// for what.
    pub fn arrives(
        &self,
        client: Option<SocketAddr>,
        bytes: usize,
        now: impl FnOnce() -> Instant,
    ) -> Result<Option<Bill>, Problem> {
        match &*self.0.borrow() {
            None => Ok(None),
            Some(rates) => rates.arrives(client.map(|client| client.ip()), bytes, now()).map(Some),
        }
    }

    /// It is known who asks for which stream.
    pub fn asks(
        &self,
        bill: &mut Option<Bill>,
        grant: Option<&Grant>,
        stream: Option<&StreamPath>,
        bytes: usize,
    ) -> Result<(), Problem> {
        let rates = self.0.borrow();
        let (Some(rates), Some(bill)) = (&*rates, bill) else { return Ok(()) };
        rates.asks(bill, grant.and_then(Grant::principal), stream, bytes)
    }

    /// Whether it is too early for what a head announces; nothing is charged.
    pub fn looks(
        &self,
        client: Option<SocketAddr>,
        grant: Option<&Grant>,
        stream: impl FnOnce() -> Option<StreamPath>,
        now: impl FnOnce() -> Instant,
    ) -> Result<(), Problem> {
        let rates = self.0.borrow();
        let Some(rates) = &*rates else { return Ok(()) };
        let principal = grant.and_then(Grant::principal);
        rates.looks(client.map(|client| client.ip()), principal, stream().as_ref(), now())
    }

    /// An answer, or a page of a live one, has so many bytes.
    pub fn answers(&self, bill: Option<&Bill>, bytes: usize, now: impl FnOnce() -> Instant) {
        if let (Some(rates), Some(bill)) = (&*self.0.borrow(), bill) {
            rates.answers(bill, bytes, now());
        }
    }
}

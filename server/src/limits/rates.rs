//! The limits of rates, and what a request is charged to.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use thalweg_proto::path::StreamPath;
use thalweg_proto::problem::Problem;

use super::over::Over;
use super::rate::{Rate, Ticks, ticks};
use super::table::{Key, Keys, Table};

/// One of the limits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Limit {
    /// Requests from a client address.
    AddressRequests,
    /// Bytes to and from it.
    AddressBytes,
    /// New connections from it.
    AddressConnections,
    /// Requests of whoever has a token.
    TokenRequests,
    /// Their bytes.
    TokenBytes,
    /// Requests for a stream.
    StreamRequests,
    /// Their bytes.
    StreamBytes,
}

impl Limit {
    /// All of them, in order.
    pub const ALL: [Limit; 7] = [
        Limit::AddressRequests,
        Limit::AddressBytes,
        Limit::AddressConnections,
        Limit::TokenRequests,
        Limit::TokenBytes,
        Limit::StreamRequests,
        Limit::StreamBytes,
    ];

    /// Its key in `[limits.rate]`.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Limit::AddressRequests => "address_requests",
            Limit::AddressBytes => "address_bytes",
            Limit::AddressConnections => "address_connections",
            Limit::TokenRequests => "token_requests",
            Limit::TokenBytes => "token_bytes",
            Limit::StreamRequests => "stream_requests",
            Limit::StreamBytes => "stream_bytes",
        }
    }

    /// Whether it is in bytes.
    #[must_use]
    pub fn is_bytes(self) -> bool {
        matches!(self, Limit::AddressBytes | Limit::TokenBytes | Limit::StreamBytes)
    }
}

/// All limits that there are; at least one.
#[derive(Debug)]
pub struct Rates {
    limits: [Option<Buckets>; Limit::ALL.len()],
    keys: Keys,
    start: Instant,
}

#[derive(Clone, Debug)]
struct Buckets {
    rate: Rate,
    table: Arc<Table>,
}

/// Whom the bytes of a request and of its answer are charged to.
#[derive(Clone, Copy, Debug)]
pub struct Bill {
    /// When it arrived.
    now: Ticks,
    address: Option<Key>,
    token: Option<Key>,
    stream: Option<Key>,
}

impl Rates {
    /// As a configuration has them, by [`Limit`]; `None` if it has none. Buckets stay as full as
    /// they were.
    #[must_use]
    pub fn next(before: Option<&Rates>, rates: &[Option<Rate>; Limit::ALL.len()]) -> Option<Rates> {
        rates.iter().flatten().next()?;
        let limits = Limit::ALL.map(|limit| {
            let rate = rates[limit as usize]?;
            let known = before.and_then(|before| before.limits[limit as usize].as_ref());
            let table = known.map(|known| Arc::clone(&known.table)).unwrap_or_default();
            Some(Buckets { rate, table })
        });
        let (keys, start) = match before {
            Some(before) => (before.keys.clone(), before.start),
            None => (Keys::default(), crate::rt::instant()),
        };
        Some(Rates { limits, keys, start })
    }

    pub(super) fn connects(&self, client: IpAddr, now: Instant) -> Result<(), Problem> {
        self.take(Limit::AddressConnections, self.address(client), self.at(now))
    }

    pub(super) fn arrives(
        &self,
        client: Option<IpAddr>,
        bytes: usize,
        now: Instant,
    ) -> Result<Bill, Problem> {
        let address = client.map(|client| self.address(client));
        let now = self.at(now);
        self.enter(Limit::AddressRequests, Limit::AddressBytes, address, now)?;
        self.pay(Limit::AddressBytes, address, bytes, now);
        Ok(Bill { now, address, token: None, stream: None })
    }

    pub(super) fn asks(
        &self,
        bill: &mut Bill,
        principal: Option<&str>,
        stream: Option<&StreamPath>,
        bytes: usize,
    ) -> Result<(), Problem> {
        bill.token = principal.map(|principal| self.keys.of(principal));
        bill.stream = stream.map(|path| self.keys.of(path.as_str()));
        self.enter(Limit::TokenRequests, Limit::TokenBytes, bill.token, bill.now)?;
        self.enter(Limit::StreamRequests, Limit::StreamBytes, bill.stream, bill.now)?;
        self.pay(Limit::TokenBytes, bill.token, bytes, bill.now);
        self.pay(Limit::StreamBytes, bill.stream, bytes, bill.now);
        Ok(())
    }

    pub(super) fn looks(
        &self,
        client: Option<IpAddr>,
        principal: Option<&str>,
        stream: Option<&StreamPath>,
        now: Instant,
    ) -> Result<(), Problem> {
        let now = self.at(now);
        let address = client.map(|client| self.address(client));
        let token = principal.map(|principal| self.keys.of(principal));
        let stream = stream.map(|path| self.keys.of(path.as_str()));
        for (limit, key) in [
            (Limit::AddressRequests, address),
            (Limit::AddressBytes, address),
            (Limit::TokenRequests, token),
            (Limit::TokenBytes, token),
            (Limit::StreamRequests, stream),
            (Limit::StreamBytes, stream),
        ] {
            key.map_or(Ok(()), |key| self.look(limit, key, now))?;
        }
        Ok(())
    }

    pub(super) fn answers(&self, bill: &Bill, bytes: usize, now: Instant) {
        let now = self.at(now);
        self.pay(Limit::AddressBytes, bill.address, bytes, now);
        self.pay(Limit::TokenBytes, bill.token, bytes, now);
        self.pay(Limit::StreamBytes, bill.stream, bytes, now);
    }

    /// Bytes come or go. Whoever has none left waits afterwards.
    fn pay(&self, limit: Limit, key: Option<Key>, bytes: usize, now: Ticks) {
        let (Some(buckets), Some(key)) = (&self.limits[limit as usize], key) else { return };
        if bytes > 0 {
            let take = |full_at| Ok(buckets.rate.take(full_at, now, bytes as u64));
            let Ok(()) = buckets.table.change::<Infallible>(key, take);
        }
    }

    /// One request, if there are bytes left for it.
    fn enter(
        &self,
        requests: Limit,
        bytes: Limit,
        key: Option<Key>,
        now: Ticks,
    ) -> Result<(), Problem> {
        let Some(key) = key else { return Ok(()) };
        self.look(bytes, key, now)?;
        self.take(requests, key, now)
    }

    fn take(&self, limit: Limit, key: Key, now: Ticks) -> Result<(), Problem> {
        let Some(Buckets { rate, table }) = &self.limits[limit as usize] else { return Ok(()) };
        let take = |full_at| rate.look(full_at, now).map(|()| rate.take(full_at, now, 1));
        table.change(key, take).map_err(|wait| self.over(limit, *rate, wait))
    }

    fn look(&self, limit: Limit, key: Key, now: Ticks) -> Result<(), Problem> {
        let Some(Buckets { rate, table }) = &self.limits[limit as usize] else { return Ok(()) };
        rate.look(table.look(key), now).map_err(|wait| self.over(limit, *rate, wait))
    }

    #[cold]
    fn over(&self, limit: Limit, rate: Rate, wait: Duration) -> Problem {
        Over { limit, rate, wait }.into()
    }

    fn at(&self, now: Instant) -> Ticks {
        ticks(now.saturating_duration_since(self.start))
    }

    fn address(&self, address: IpAddr) -> Key {
        self.keys.of(&network(address))
    }
}

/// Whoever has an IPv6 address has the other 2^64 of its network too.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(units: u64) -> Option<Rate> {
        Some(Rate { units, per: Duration::from_secs(1), burst: units })
    }

    fn rates(of: &[(Limit, u64)]) -> [Option<Rate>; 7] {
        let mut rates = [None; 7];
        of.iter().for_each(|(limit, units)| rates[*limit as usize] = rate(*units));
        rates
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn code(result: Result<impl Sized, Problem>) -> &'static str {
        result.err().map_or("", |problem| problem.code)
    }

    #[test]
    fn addresses_are_networks() {
        let check = |a: &str, b: &str, same: bool| {
            assert_eq!(network(ip(a)) == network(ip(b)), same, "{a} {b}");
        };
        check("2001:db8::1", "2001:db8::ffff:1:2:3", true);
        check("2001:db8::1", "2001:db8:0:1::1", false);
        check("::ffff:192.0.2.1", "192.0.2.1", true);
        check("192.0.2.1", "192.0.2.2", false);
    }

    #[test]
    fn each_has_its_own_and_a_body_its_price() {
        let wanted = rates(&[
            (Limit::AddressRequests, 10),
            (Limit::TokenRequests, 4),
            (Limit::StreamRequests, 3),
            (Limit::StreamBytes, 100),
        ]);
        let rates = Rates::next(None, &wanted).expect("limits");
        let now = rates.start;
        let path = |text: &str| StreamPath::new(text).expect("a path");
        let ask = |client: &str, token: Option<&str>, stream: &str, bytes| {
            let mut bill = rates.arrives(Some(ip(client)), bytes, now)?;
            rates.asks(&mut bill, token, Some(&path(stream)), bytes)
        };
        for _ in 0..3 {
            assert_eq!(code(ask("192.0.2.1", Some("t"), "a", 1)), "");
        }
        assert_eq!(code(ask("192.0.2.1", Some("t"), "a", 1)), "rate-stream-requests");
        assert_eq!(code(ask("192.0.2.2", Some("t"), "b", 1)), "rate-token-requests");
        assert_eq!(code(ask("192.0.2.2", Some("u"), "b", 1000)), "");
        assert_eq!(code(ask("192.0.2.3", None, "b", 0)), "rate-stream-bytes");
        for _ in 0..6 {
            assert_eq!(code(rates.arrives(Some(ip("192.0.2.1")), 0, now)), "");
        }
        assert_eq!(code(rates.arrives(Some(ip("192.0.2.1")), 0, now)), "rate-address-requests");
        assert_eq!(code(rates.arrives(Some(ip("192.0.2.1")), 0, now + Duration::from_secs(1))), "");
        assert_eq!(code(rates.looks(None, Some("t"), None, now)), "rate-token-requests");
    }

    #[test]
    fn a_change_keeps_what_is_owed() {
        let slow = Rates::next(None, &rates(&[(Limit::AddressConnections, 2)])).expect("a limit");
        let now = slow.start;
        let client = ip("192.0.2.1");
        let passed = (0..9).filter(|_| slow.connects(client, now).is_ok()).count();
        assert_eq!(passed, 2);
        let more = rates(&[(Limit::AddressConnections, 2), (Limit::AddressRequests, 1)]);
        let next = Rates::next(Some(&slow), &more).expect("limits");
        assert_eq!(code(next.connects(client, now)), "rate-address-connections");
        assert_eq!(code(next.arrives(Some(client), 0, now)), "");
        assert!(Rates::next(Some(&next), &rates(&[])).is_none());
    }
}

//! The refusal of what is over a limit: 429, with what a client needs to try again in time.
//!
//! `RateLimit-Policy` and `RateLimit` are those of draft-ietf-httpapi-ratelimit-headers-11, with
//! the one limit that was reached. They are deliberately absent from other answers: a cache would
//! tell one client what another has left.

use std::time::Duration;

use http::StatusCode;
use thalweg_proto::headers;
use thalweg_proto::problem::Problem;

use super::{Limit, Rate};

/// See the module.
pub(super) struct Over {
    /// Which limit.
    pub(super) limit: Limit,
    /// How much it allows.
    pub(super) rate: Rate,
    /// When there is something left again.
    pub(super) wait: Duration,
}

/// How a limit is called.
struct Names {
    code: &'static str,
    /// In header fields.
    policy: &'static str,
    scope: &'static str,
    unit: &'static str,
    quota_unit: &'static str,
}

impl Limit {
    fn names(self) -> Names {
        let names = |code: &'static str, scope, unit, quota_unit| {
            let policy = code.trim_start_matches("rate-");
            Names { code, policy, scope, unit, quota_unit }
        };
        match self {
            Limit::AddressRequests => {
                names("rate-address-requests", "address", "requests", "requests")
            }
            Limit::AddressBytes => names("rate-address-bytes", "address", "bytes", "content-bytes"),
            Limit::AddressConnections => {
                names("rate-address-connections", "address", "connections", "connections")
            }
            Limit::TokenRequests => names("rate-token-requests", "token", "requests", "requests"),
            Limit::TokenBytes => names("rate-token-bytes", "token", "bytes", "content-bytes"),
            Limit::StreamRequests => {
                names("rate-stream-requests", "stream", "requests", "requests")
            }
            Limit::StreamBytes => names("rate-stream-bytes", "stream", "bytes", "content-bytes"),
        }
    }
}

impl From<Over> for Problem {
    fn from(over: Over) -> Problem {
        let Over { limit, rate, wait } = over;
        let Names { code, policy, scope, unit, quota_unit } = limit.names();
        // A client that comes back a moment too early would be refused again.
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        let seconds = seconds.max(1);
        let (quota, window) = rate.window();
        let whose = match scope {
            "address" => "from this address",
            "token" => "with this token",
            _ => "for this stream",
        };
        let detail = format!(
            "more {unit} {whose} than {quota} in {window} s; there is room again in {seconds} s"
        );
        Problem::new(StatusCode::TOO_MANY_REQUESTS, code, detail)
            .with(headers::RETRY_AFTER, seconds)
            .with(
                headers::RATELIMIT_POLICY,
                format!("\"{policy}\";q={quota};qu=\"{quota_unit}\";w={window}"),
            )
            .with(headers::RATELIMIT, format!("\"{policy}\";r=0;t={seconds}"))
            .with_member("scope", &scope)
            .with_member("limit", &unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said() {
        let check = |limit, (units, burst), wait_ms, policy: &str, now: &str| {
            let rate = Rate { units, per: Duration::from_secs(1), burst };
            let wait = Duration::from_millis(wait_ms);
            let response = Problem::from(Over { limit, rate, wait }).into_response();
            assert_eq!(response.status, 429);
            assert_eq!(response.field("ratelimit-policy").as_deref(), Some(policy));
            assert_eq!(response.field("ratelimit").as_deref(), Some(now));
            let retry = now.rsplit('=').next().map(str::to_owned);
            assert_eq!(response.field("retry-after"), retry);
        };
        check(
            Limit::AddressRequests,
            (100, 250),
            1,
            "\"address-requests\";q=250;qu=\"requests\";w=3",
            "\"address-requests\";r=0;t=1",
        );
        check(
            Limit::StreamBytes,
            (1024, 1024),
            2001,
            "\"stream-bytes\";q=1024;qu=\"content-bytes\";w=1",
            "\"stream-bytes\";r=0;t=3",
        );
    }

    #[test]
    fn codes_name_scope_and_unit() {
        for limit in Limit::ALL {
            let names = limit.names();
            assert_eq!(names.code, format!("rate-{}-{}", names.scope, names.unit));
        }
    }
}

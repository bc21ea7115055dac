//! `[limits.rate]`: what one address, one token or one stream may do in a second.

use std::fmt;
use std::time::Duration;

use clap::Args;

use super::error::ConfigError;
use super::limits::{RATE_FILL, RATE_UNITS};
use super::print::quoted;
use super::raw::{RawConfig, RawValue};
use super::resolve::field;
use super::value::{self, Expected, show_bytes};
use crate::limits::{Limit, Rate};

/// Each limit, in the order of [`Limit`]; `None`: it is off.
pub type RatesConfig = [Option<Rate>; Limit::ALL.len()];

/// The flags of the same.
#[derive(Args, Clone, Debug, Default)]
pub struct RateArgs {
    /// Requests from one client address, such as `100/s` or `100/s burst 500` [default: off]
    #[arg(long, value_name = "RATE")]
    pub rate_address_requests: Option<String>,

    /// Bytes to and from one client address, such as `1MiB/s burst 16MiB` [default: off]
    #[arg(long, value_name = "RATE")]
    pub rate_address_bytes: Option<String>,

    /// New connections from one client address [default: off]
    #[arg(long, value_name = "RATE")]
    pub rate_address_connections: Option<String>,

    /// Requests with one token [default: off]
    #[arg(long, value_name = "RATE")]
    pub rate_token_requests: Option<String>,

    /// Bytes of requests and answers with one token [default: off]
    #[arg(long, value_name = "RATE")]
    pub rate_token_bytes: Option<String>,

    /// Requests for one stream [default: off]
    #[arg(long, value_name = "RATE")]
    pub rate_stream_requests: Option<String>,

    /// Bytes of requests and answers for one stream [default: off]
    #[arg(long, value_name = "RATE")]
    pub rate_stream_bytes: Option<String>,
}

impl RateArgs {
    /// Puts the flags into a configuration.
    pub(super) fn put(&self, raw: &mut RawConfig) {
        let text = |flag: &Option<String>| flag.clone().map(RawValue::Text);
        raw.rate_address_requests = text(&self.rate_address_requests);
        raw.rate_address_bytes = text(&self.rate_address_bytes);
        raw.rate_address_connections = text(&self.rate_address_connections);
        raw.rate_token_requests = text(&self.rate_token_requests);
        raw.rate_token_bytes = text(&self.rate_token_bytes);
        raw.rate_stream_requests = text(&self.rate_stream_requests);
        raw.rate_stream_bytes = text(&self.rate_stream_bytes);
    }
}

pub(super) fn resolve(raw: &RawConfig) -> Result<RatesConfig, ConfigError> {
    let mut rates = [None; Limit::ALL.len()];
    for (limit, rate) in Limit::ALL.into_iter().zip(&mut rates) {
        let (name, raw) = match limit {
            Limit::AddressRequests => ("limits.rate.address_requests", &raw.rate_address_requests),
            Limit::AddressBytes => ("limits.rate.address_bytes", &raw.rate_address_bytes),
            Limit::AddressConnections => {
                ("limits.rate.address_connections", &raw.rate_address_connections)
            }
            Limit::TokenRequests => ("limits.rate.token_requests", &raw.rate_token_requests),
            Limit::TokenBytes => ("limits.rate.token_bytes", &raw.rate_token_bytes),
            Limit::StreamRequests => ("limits.rate.stream_requests", &raw.rate_stream_requests),
            Limit::StreamBytes => ("limits.rate.stream_bytes", &raw.rate_stream_bytes),
        };
        let parse = if limit.is_bytes() { of_bytes } else { of_number };
        *rate = field(name, raw, parse)?.flatten();
    }
    Ok(rates)
}

/// Writes the table.
pub(super) fn print(rates: &RatesConfig, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(f, "[limits.rate]")?;
    for (limit, rate) in Limit::ALL.into_iter().zip(rates) {
        let shown = rate.map_or_else(|| "off".to_owned(), |rate| show(rate, limit.is_bytes()));
        writeln!(f, "{} = {}", limit.key(), quoted(shown))?;
    }
    Ok(())
}

fn of_number(raw: &RawValue) -> Result<Option<Rate>, Expected> {
    let count = |text: &str| value::integer(&text.into());
    rate(raw, count).ok_or_else(|| {
        "\"off\", or a number for each s, m or h and how many may come at once, such as \"100/s\" or \
         \"100/s burst 500\"; at most a day's worth at once"
            .to_owned()
    })
}

fn of_bytes(raw: &RawValue) -> Result<Option<Rate>, Expected> {
    let size = |text: &str| value::bytes(&text.into());
    rate(raw, size).ok_or_else(|| {
        "\"off\", or a size for each s, m or h and how much may come at once, such as \"1MiB/s\" or \
         \"1MiB/s burst 16MiB\"; at most a day's worth at once"
            .to_owned()
    })
}

/// `None`: it makes no sense.
fn rate(raw: &RawValue, number: impl Fn(&str) -> Option<u64>) -> Option<Option<Rate>> {
    let RawValue::Text(text) = raw else { return None };
    if text == "off" {
        return Some(None);
    }
    let (rate, burst) = match text.split_once("burst") {
        Some((rate, burst)) => (rate.trim(), Some(burst.trim())),
        None => (text.trim(), None),
    };
    let (units, unit) = rate.split_once('/')?;
    let (_, seconds) = UNITS.iter().find(|(name, _)| *name == unit.trim())?;
    let units = number(units.trim())?;
    let burst = burst.map_or(Some(units), number)?;
    let rate = Rate { units, per: Duration::from_secs(*seconds), burst };
    let sound = RATE_UNITS.contains(&units) && burst > 0 && rate.fills_in(burst) <= RATE_FILL;
    sound.then_some(Some(rate))
}

fn show(rate: Rate, bytes: bool) -> String {
    let number = |number: u64| if bytes { show_bytes(number) } else { number.to_string() };
    let unit = UNITS.iter().find(|(_, seconds)| *seconds == rate.per.as_secs());
    let unit = unit.map_or("s", |(name, _)| name);
    format!("{}/{unit} burst {}", number(rate.units), number(rate.burst))
}

const UNITS: [(&str, u64); 3] = [("s", 1), ("m", 60), ("h", 3600)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_in_and_out() {
        let check = |text: &str, bytes: bool, want: Option<&str>| {
            let parse = if bytes { of_bytes } else { of_number };
            let shown = parse(&text.into()).ok().map(|rate| match rate {
                None => "off".to_owned(),
                Some(rate) => show(rate, bytes),
            });
            assert_eq!(shown.as_deref(), want, "{text}");
        };
        check("100/s", false, Some("100/s burst 100"));
        check("100/s burst 500", false, Some("100/s burst 500"));
        check("30 / m burst 1", false, Some("30/m burst 1"));
        check("1MiB/s burst 16MiB", true, Some("1MiB/s burst 16MiB"));
        check("1GiB/h", true, Some("1GiB/h burst 1GiB"));
        check("off", true, Some("off"));
        for bad in ["", "100", "0/s", "1/d", "-1/s", "1/s burst", "1/s burst 0", "1/s burst 86401"]
        {
            check(bad, false, None);
        }
        check("1MiB/s", false, None);
        check("1/s burst 86400", false, Some("1/s burst 86400"));
    }
}

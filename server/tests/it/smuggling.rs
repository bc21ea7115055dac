//! Requests on which two parsers could disagree (request smuggling, RFC 9112 section 11.2), and
//! malformed ones: what this server answers, and that nginx and haproxy in front of it cannot be
//! made to let a request through that they have not seen.
//!
//! The cases are data (`cases/*.txt`, read by `case`). `direct` sends them to the server, `proxies`
//! through the proxies; `page` keeps the table in `docs/hardening.md` as it is.

mod case;
mod direct;
mod judge;
mod page;
mod proxies;
mod proxy;

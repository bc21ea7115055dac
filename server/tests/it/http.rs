//! The protocol over HTTP/1.1 as clients see it: connections, caching, pages, live reads, forks,
//! expiry.

mod caching;
mod connections;
mod expiry;
mod forks;
mod live;
mod pages;
mod polls;

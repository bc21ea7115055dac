//! The real binary over real sockets: one test binary for the whole crate.

#![allow(clippy::needless_pass_by_value, reason = "test helpers read better by value")]

mod access;
mod cli;
mod crash;
mod extensions;
mod fanout;
mod faults;
mod hostile;
mod http;
mod http2;
mod limits;
mod load;
mod load_cross_check;
mod operations;
mod retention;
mod scale;
mod sealing;
mod smuggling;
mod startup;
mod storage;
mod subscriptions;
mod support;
mod tidy;
mod tls;

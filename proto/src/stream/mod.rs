//! The stream state machine: pure, without clock, sockets or files.
pub mod config;
pub mod record;

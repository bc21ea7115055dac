//! Results in files that other tools open.

mod error;
pub mod hdr;
pub mod jtl;

pub use error::ReadError;

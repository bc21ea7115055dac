//! Results in files that other tools open.

pub mod jtl;

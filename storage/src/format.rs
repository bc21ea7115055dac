//! Versions of the format: which one is written, which ones are read.
//!
//! Every file says its own version, so a directory may hold files of several: what an earlier
//! version wrote stays as it is until it is replaced. Records say what they are by kind and flags,
//! so a segment that version 1 began may go on with records that version 1 does not know; `FORMAT`
//! keeps version 1 away from it.

use crate::error::Damage;

/// The version of the format that this crate writes, and the newest that it reads.
pub const FORMAT_VERSION: u32 = 2;
/// The oldest version that it reads.
pub const OLDEST_FORMAT_VERSION: u32 = 1;

/// Refuses a version that this crate does not read; `what` names the file.
pub(crate) fn check_version(what: &'static str, found: u32) -> Result<(), Damage> {
    match found {
        OLDEST_FORMAT_VERSION..=FORMAT_VERSION => Ok(()),
        found if found > FORMAT_VERSION => Err(Damage::Newer { what, found }),
        found => Err(Damage::Field { what, found: found.into() }),
    }
}

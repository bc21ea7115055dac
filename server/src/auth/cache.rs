//! Tokens whose signatures were checked a moment ago, on one core: a check costs as much as an
//! append.
//!
//! Only the hash of a token is kept. A change of keys or files empties the cache.

use std::cell::RefCell;
use std::collections::HashMap;

use foldhash::fast::RandomState;
use ring::digest::{SHA256, digest};

use super::{Grant, Refusal};
use crate::config::limits::MAX_CACHED_TOKENS;

/// See the module.
#[derive(Default)]
pub struct Cache(RefCell<HashMap<[u8; 32], Grant, RandomState>>);

impl Cache {
    /// What was found out about a token before, or is found out now. Refusals are not kept.
    pub fn get_or(
        &self,
        token: &str,
        verify: impl FnOnce() -> Result<Grant, Refusal>,
    ) -> Result<Grant, Refusal> {
        let hash: [u8; 32] =
            digest(&SHA256, token.as_bytes()).as_ref().try_into().unwrap_or_default();
        if let Some(grant) = self.0.borrow().get(&hash) {
            return Ok(grant.clone());
        }
        let grant = verify()?;
        let mut known = self.0.borrow_mut();
        if known.len() >= MAX_CACHED_TOKENS {
            known.clear();
        }
        known.insert(hash, grant.clone());
        Ok(grant)
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.0.borrow_mut().clear();
    }
}

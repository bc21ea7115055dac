//! Wake tokens: compact JWTs (HS256) that prove that a callback, ack or release comes from the
//! worker that was woken (sections 7.3 and 12.9).
//!
//! Deliberately absent: cryptography and keys, which a [`TokenSigner`] brings, and algorithm
//! negotiation: the only header accepted is the one written here, byte for byte.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::refusal::Refusal;
use crate::time::Timestamp;

/// How long a token outlives the lease it was given with. Heartbeats prolong a lease without
/// handing out a new token, so this bounds how long one wake can be worked on. Fencing by
/// generation and wake id is what protects the cursor; the expiry bounds a leaked token's life.
pub const TOKEN_GRACE_MS: u64 = 24 * 3600 * 1000;

/// HMAC-SHA-256 under the server's key.
pub trait TokenSigner {
    /// The tag of `message`.
    fn sign(&self, message: &[u8]) -> [u8; 32];
    /// Whether `tag` is the tag of `message`, in constant time.
    fn verify(&self, message: &[u8], tag: &[u8]) -> bool;
}

/// What a token says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Claims {
    /// The subscription's id.
    pub sub: String,
    /// The generation it was given for.
    pub generation: u64,
    /// The wake it was given for.
    pub wake_id: String,
    /// Seconds since the Unix epoch from which it is refused.
    pub exp: u64,
}

/// `{"alg":"HS256","typ":"JWT"}` in base64url.
const HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";
/// Longer than any token given out: bounds the work for a forged one.
const MAX_TOKEN_BYTES: usize = 4_096;

impl Claims {
    /// The signed token.
    #[must_use]
    pub fn encode(&self, signer: &dyn TokenSigner) -> String {
        let claims = serde_json::to_vec(self).unwrap_or_default();
        let mut token = format!("{HEADER}.{}", URL_SAFE_NO_PAD.encode(claims));
        let tag = signer.sign(token.as_bytes());
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(tag, &mut token);
        token
    }

    /// Checks the signature, the subject and the expiry. Whether the wake is still current is for
    /// the caller to compare.
    pub fn verify(
        token: &str,
        subscription: &str,
        now: Timestamp,
        signer: &dyn TokenSigner,
    ) -> Result<Claims, Refusal> {
        let claims = Claims::authentic(token, signer).ok_or(Refusal::TokenInvalid)?;
        if claims.sub != subscription {
            return Err(Refusal::TokenInvalid);
        }
        if now.seconds() >= claims.exp {
            return Err(Refusal::TokenExpired);
        }
        Ok(claims)
    }

    fn authentic(token: &str, signer: &dyn TokenSigner) -> Option<Claims> {
        if token.len() > MAX_TOKEN_BYTES {
            return None;
        }
        let (message, tag) = token.rsplit_once('.')?;
        let (header, claims) = message.split_once('.')?;
        let tag = URL_SAFE_NO_PAD.decode(tag).ok()?;
        if header != HEADER || !signer.verify(message.as_bytes(), &tag) {
            return None;
        }
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Not a MAC: enough to tell one message and key from another.
    pub(in super::super) struct ToySigner(pub(in super::super) u64);

    impl TokenSigner for ToySigner {
        fn sign(&self, message: &[u8]) -> [u8; 32] {
            let mut hash = self.0 ^ 0xcbf2_9ce4_8422_2325;
            let mut tag = [0; 32];
            for (at, byte) in message.iter().chain([0; 32].iter()).enumerate() {
                hash = (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
                tag[at % 32] = (hash >> 32) as u8;
            }
            tag
        }

        fn verify(&self, message: &[u8], tag: &[u8]) -> bool {
            self.sign(message) == tag
        }
    }

    #[test]
    fn tokens_in_and_out() {
        let signer = ToySigner(7);
        let claims = Claims { sub: "s".into(), generation: 3, wake_id: "w_1".into(), exp: 1_000 };
        let token = claims.encode(&signer);
        let check = |token: &str, sub: &str, now_s: u64, want: Result<&Claims, Refusal>| {
            let got = Claims::verify(token, sub, Timestamp(now_s * 1000), &signer);
            assert_eq!(got.as_ref().map_err(Clone::clone), want, "{token}");
        };
        check(&token, "s", 999, Ok(&claims));
        check(&token, "s", 1_000, Err(Refusal::TokenExpired));
        check(&token, "other", 999, Err(Refusal::TokenInvalid));
        check(&claims.encode(&ToySigner(8)), "s", 999, Err(Refusal::TokenInvalid));
        check(&token[..token.len() - 2], "s", 999, Err(Refusal::TokenInvalid));
        check(&token.replace(HEADER, "eyJhbGciOiJub25lIn0"), "s", 1, Err(Refusal::TokenInvalid));
        for garbage in ["", ".", "..", "a.b.c", &"x".repeat(10_000)] {
            check(garbage, "s", 1, Err(Refusal::TokenInvalid));
        }
        let header = URL_SAFE_NO_PAD.decode(HEADER).unwrap();
        assert_eq!(header, br#"{"alg":"HS256","typ":"JWT"}"#);
    }
}

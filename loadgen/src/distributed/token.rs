//! The secret that controller and workers share.
//!
//! It is never sent: the worker sends a nonce, the controller answers with an HMAC over it.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SecureRandom;
use ring::{hmac, rand};

/// A shared secret.
#[derive(Clone)]
pub struct Token(hmac::Key);

impl Token {
    /// From the text of a file or a flag; white space around it does not belong to it. Nothing
    /// if nothing else is there.
    #[must_use]
    pub fn new(text: &str) -> Option<Token> {
        let text = text.trim();
        (!text.is_empty()).then(|| Token(hmac::Key::new(hmac::HMAC_SHA256, text.as_bytes())))
    }

    /// Shows that the secret is known, without telling it.
    pub(super) fn prove(&self, nonce: &str) -> String {
        STANDARD.encode(hmac::sign(&self.0, nonce.as_bytes()))
    }

    /// Compares in constant time.
    pub(super) fn accepts(&self, nonce: &str, proof: &str) -> bool {
        let proof = STANDARD.decode(proof).unwrap_or_default();
        hmac::verify(&self.0, nonce.as_bytes(), &proof).is_ok()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

/// Different for each connection; none if the system has no randomness.
pub(super) fn nonce() -> Option<String> {
    let mut bytes = [0; 32];
    rand::SystemRandom::new().fill(&mut bytes).ok()?;
    Some(STANDARD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proofs() {
        let token = Token::new(" secret\n").expect("not empty");
        let nonce = nonce().expect("randomness");
        let check = |secret: &str, of: &str, want: bool| {
            let proof = Token::new(secret).expect("not empty").prove(of);
            assert_eq!(token.accepts(&nonce, &proof), want, "{secret} {of}");
        };
        check("secret", &nonce, true);
        check("Secret", &nonce, false);
        check("secret", "another nonce", false);
        for bad in ["", "x", "AAAA", "\u{1F980}"] {
            assert!(!token.accepts(&nonce, bad), "{bad}");
        }
        assert!(Token::new(" \n").is_none());
        assert_eq!(format!("{token:?}"), "Token", "not the secret");
    }
}

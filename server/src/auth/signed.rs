//! Pre-signed URLs: whoever has one may make one kind of request to one path until it expires. For
//! browsers, which cannot always set fields, and for caches.
//!
//! The signature covers the method, the path as it is sent and the time; not the rest of the
//! query, so that a reader can go from offset to offset.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use ring::hmac;

/// The parameter that says until when, in seconds since 1970.
const EXPIRES: &str = "ds-expires";
/// The parameter with the signature.
const SIGNATURE: &str = "ds-signature";
/// Shorter keys could be guessed.
const MIN_KEY_CHARS: usize = 32;
/// What is signed begins with this, so that a signature means nothing elsewhere.
const CONTEXT: &str = "thalweg-url-1";

/// The keys: the first one signs, all of them are accepted, so that keys can be replaced.
#[derive(Clone)]
pub struct SigningKeys(Vec<hmac::Key>);

/// What a query says about a signature.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Signed<'a> {
    expires: &'a str,
    signature: &'a str,
}

/// Why a signature is not accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unsigned {
    /// It does not fit, or a part of it is missing.
    Invalid,
    /// It did.
    Expired,
}

impl SigningKeys {
    /// Reads a file with one key a line.
    pub fn parse(text: &str) -> Result<SigningKeys, String> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let keys: Vec<&str> = lines.filter(|line| !line.starts_with('#')).collect();
        if keys.is_empty() {
            return Err("it holds no key".to_owned());
        }
        if let Some(short) = keys.iter().position(|key| key.len() < MIN_KEY_CHARS) {
            return Err(format!(
                "key {} has fewer than {MIN_KEY_CHARS} characters; `openssl rand -base64 32` makes a \
                 good one",
                short + 1
            ));
        }
        let key = |text: &&str| hmac::Key::new(hmac::HMAC_SHA256, text.as_bytes());
        Ok(SigningKeys(keys.iter().map(key).collect()))
    }

    /// The query of a pre-signed URL.
    #[must_use]
    pub fn sign(&self, method: &Method, path: &str, expires: u64) -> String {
        let text = canonical(method, path, &expires.to_string());
        let signature = self.0.first().map(|key| hmac::sign(key, text.as_bytes()));
        let signature = signature.map(|tag| URL_SAFE_NO_PAD.encode(tag)).unwrap_or_default();
        format!("{EXPIRES}={expires}&{SIGNATURE}={signature}")
    }

    /// Until when, in seconds since 1970, a request is allowed. `now` in seconds too.
    pub fn check(
        &self,
        method: &Method,
        path: &str,
        signed: &Signed<'_>,
        now: u64,
    ) -> Result<u64, Unsigned> {
        let tag = URL_SAFE_NO_PAD.decode(signed.signature).map_err(|_| Unsigned::Invalid)?;
        // HEAD says less than GET does.
        let method = if *method == Method::HEAD { &Method::GET } else { method };
        let text = canonical(method, path, signed.expires);
        // Compares in constant time.
        let fits = |key: &hmac::Key| hmac::verify(key, text.as_bytes(), &tag).is_ok();
        if !self.0.iter().any(fits) {
            return Err(Unsigned::Invalid);
        }
        let expires: u64 = signed.expires.parse().map_err(|_| Unsigned::Invalid)?;
        if expires <= now { Err(Unsigned::Expired) } else { Ok(expires) }
    }
}

impl<'a> Signed<'a> {
    /// Finds a signature in a query; `None` if there is no trace of one.
    #[must_use]
    pub fn of(query: &'a str) -> Option<Signed<'a>> {
        let value = |name: &str| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
        };
        let signature = value(SIGNATURE)?;
        Some(Signed { expires: value(EXPIRES).unwrap_or_default(), signature })
    }
}

impl std::fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKeys({})", self.0.len())
    }
}

fn canonical(method: &Method, path: &str, expires: &str) -> String {
    format!("{CONTEXT}\n{method}\n{path}\n{expires}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_holds_for_one_method_one_path_and_a_time() {
        let old = "an older key of enough characters....";
        let new = "a newer key of enough characters.....";
        let keys = |text: &str| SigningKeys::parse(text).unwrap();
        let query = keys(old).sign(&Method::GET, "/v1/stream/a%20b", 1000);
        let both = keys(&format!("# rotated\n{new}\n\n{old}\n"));
        let check = |method: Method, path: &str, query: &str, now, want| {
            let signed = Signed::of(query).expect("signed");
            assert_eq!(both.check(&method, path, &signed, now), want, "{method} {path} {query}");
        };
        let path = "/v1/stream/a%20b";
        let with = format!("offset=-1&{query}&live=sse");
        check(Method::GET, path, &with, 999, Ok(1000));
        check(Method::HEAD, path, &query, 0, Ok(1000));
        check(Method::GET, path, &query, 1000, Err(Unsigned::Expired));
        check(Method::POST, path, &query, 0, Err(Unsigned::Invalid));
        check(Method::GET, "/v1/stream/a", &query, 0, Err(Unsigned::Invalid));
        let longer = query.replace("1000", "9000");
        check(Method::GET, path, &longer, 0, Err(Unsigned::Invalid));
        check(Method::GET, path, "ds-signature=", 0, Err(Unsigned::Invalid));
        check(Method::GET, path, "ds-signature=%zz&ds-expires=", 0, Err(Unsigned::Invalid));
        let signed = Signed::of(&query).unwrap();
        assert!(keys(new).check(&Method::GET, path, &signed, 0).is_err());
        assert_eq!(Signed::of("offset=-1"), None);
    }

    #[test]
    fn keys_that_could_be_guessed_are_refused() {
        assert!(SigningKeys::parse("\n# nothing\n").is_err());
        assert!(SigningKeys::parse("short").unwrap_err().contains("32"));
    }
}

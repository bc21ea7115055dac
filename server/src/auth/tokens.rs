//! Static bearer tokens: random texts that a client sends, of which only SHA-256 is stored.
//!
//! A hash without salt does, because tokens are made here with 256 bits of randomness. A token is
//! looked up by the beginning of its hash, which says nothing about the token, and then compared
//! in constant time.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp as Moment;
use ring::digest::{SHA256, digest};
use serde::Deserialize;
use thalweg_proto::time::Timestamp;

use super::scope::Scope;
use super::{Grant, same};

/// What every token begins with, so that scanners for leaked secrets can find it.
const PREFIX: &str = "tw_";
/// Shorter ones could be guessed.
pub const MIN_TOKEN_CHARS: usize = 32;

/// All static tokens.
#[derive(Clone, Debug, Default)]
pub struct Tokens(HashMap<[u8; 8], Vec<Token>>);

#[derive(Clone, Debug)]
struct Token {
    hash: [u8; 32],
    grant: Grant,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTokens {
    #[serde(default)]
    token: Vec<RawToken>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawToken {
    name: String,
    sha256: String,
    scopes: Vec<String>,
    expires: Option<toml::value::Datetime>,
}

impl Tokens {
    /// Reads a file of tokens.
    pub fn parse(text: &str) -> Result<Tokens, String> {
        let raw: RawTokens = toml::from_str(text).map_err(|error| error.to_string())?;
        let mut tokens = Tokens::default();
        for raw in raw.token {
            let of_token = |error: String| format!("token {:?}: {error}", raw.name);
            let hash = parse_hash(&raw.sha256).map_err(of_token)?;
            let scopes: Result<Vec<Scope>, String> =
                raw.scopes.iter().map(|scope| Scope::parse(scope)).collect();
            let expires = raw.expires.map(parse_time).transpose().map_err(of_token)?;
            let scopes = scopes.map_err(of_token)?;
            let grant = Grant::new(format!("token:{}", raw.name), scopes, expires);
            tokens.0.entry(beginning(&hash)).or_default().push(Token { hash, grant });
        }
        Ok(tokens)
    }

    /// What a token grants, if it is one of ours. Whether it has expired is for the caller.
    #[must_use]
    pub fn find(&self, token: &str) -> Option<&Grant> {
        let hash = hash_of(token);
        let candidates = self.0.get(&beginning(&hash))?;
        let found = candidates.iter().find(|candidate| same(&candidate.hash, &hash));
        found.map(|token| &token.grant)
    }
}

/// A new token.
#[must_use]
pub fn generate(random: [u8; 32]) -> String {
    format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random))
}

/// The entry of a token for the file.
#[must_use]
pub fn entry(name: &str, token: &str, scopes: &[String]) -> String {
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let hash: String = hash_of(token).iter().map(|byte| format!("{byte:02x}")).collect();
    let scopes: Vec<String> = scopes.iter().map(|scope| quoted(scope)).collect();
    format!(
        "[[token]]\nname = {}\nsha256 = \"{hash}\"\nscopes = [{}]\n",
        quoted(name),
        scopes.join(", ")
    )
}

fn hash_of(token: &str) -> [u8; 32] {
    let hash = digest(&SHA256, token.as_bytes());
    hash.as_ref().try_into().unwrap_or_default()
}

fn beginning(hash: &[u8; 32]) -> [u8; 8] {
    let mut beginning = [0; 8];
    beginning.copy_from_slice(&hash[..8]);
    beginning
}

fn parse_hash(text: &str) -> Result<[u8; 32], String> {
    let digits = text.as_bytes();
    let expected = || "sha256 must have 64 hexadecimal digits".to_owned();
    if digits.len() != 64 {
        return Err(expected());
    }
    let mut hash = [0; 32];
    for (byte, pair) in hash.iter_mut().zip(digits.chunks(2)) {
        let pair = std::str::from_utf8(pair).map_err(|_| expected())?;
        *byte = u8::from_str_radix(pair, 16).map_err(|_| expected())?;
    }
    Ok(hash)
}

fn parse_time(time: toml::value::Datetime) -> Result<Timestamp, String> {
    let moment: Moment = time.to_string().parse().map_err(|_| {
        format!("expires = {time}: expected a date and a time with an offset, such as 2027-01-31T00:00:00Z")
    })?;
    Ok(Timestamp(u64::try_from(moment.as_millisecond()).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::super::scope::Action;
    use super::*;
    use thalweg_proto::path::StreamPath;

    #[test]
    fn what_is_made_is_found_again() {
        let token = generate([7; 32]);
        assert!(token.len() > MIN_TOKEN_CHARS && token.starts_with(PREFIX), "{token}");
        let other = generate([8; 32]);
        let text = entry("a \"b\"", &token, &["read:**".to_owned()])
            + &entry("other", &other, &["append:x".to_owned()]);
        assert!(!text.contains(&token), "{text}");
        let tokens = Tokens::parse(&text).unwrap();
        let grant = tokens.find(&token).expect("it is there");
        let path = StreamPath::new("x").unwrap();
        assert_eq!(&*grant.name, "token:a \"b\"");
        assert!(grant.allows(Action::Read, &path) && !grant.allows(Action::Append, &path));
        assert!(tokens.find(&other).unwrap().allows(Action::Append, &path));
        assert!(tokens.find("").is_none() && tokens.find(&token[1..]).is_none());
    }

    #[test]
    fn mistakes_are_named() {
        let hash = "00".repeat(32);
        let check = |text: String, want: &str| {
            let error = Tokens::parse(&text).unwrap_err();
            assert!(error.contains(want), "{text}: {error}");
        };
        check("[[token]]\nname = 'a'".to_owned(), "sha256");
        check(format!("[[token]]\nname='a'\nsha256='{hash}'\nscopes=['x']"), "no colon");
        check("[[token]]\nname='a'\nsha256='00'\nscopes=[]".to_owned(), "64 hexadecimal");
        check(format!("[[token]]\nname='a'\nsha256='{hash}'\nscopes=[]\nfoo=1"), "foo");
        let dated =
            |date: &str| format!("[[token]]\nname='a'\nsha256='{hash}'\nscopes=[]\nexpires={date}");
        check(dated("2027-01-31"), "offset");
        let tokens = Tokens::parse(&dated("1970-01-01T00:00:01Z")).unwrap();
        assert_eq!(tokens.0[&[0; 8]][0].grant.expires, Some(Timestamp(1000)));
    }
}

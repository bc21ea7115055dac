//! The server's own keys: Ed25519 for webhook signatures (sections 6.5 and 12.10) and HMAC for
//! wake tokens (section 12.9).
//!
//! Both live as files of mode 0600 in `<data_dir>/keys/`, come to be on the first start, and are
//! either whole or absent after any crash. To rotate the webhook key, rename its file to another
//! name that ends in `.pk8` and restart: a new key is made, and the public half of the old one
//! stays in the JWK set until its file is removed. Absent: any way to read a private key back out.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use ring::{digest, hmac};
use serde_json::json;
use thalweg_proto::subscription::TokenSigner;

/// Directory below the data directory.
const KEYS_DIR: &str = "keys";
/// The active webhook signing key, PKCS#8 v2.
const SIGNING_KEY_FILE: &str = "webhook-signing-key.pk8";
/// The key of the wake tokens, 32 random bytes.
const TOKEN_KEY_FILE: &str = "wake-token-key.bin";
const TOKEN_KEY_BYTES: usize = 32;

/// Every key of a server.
#[derive(Debug)]
pub struct Keys {
    /// For webhook deliveries.
    pub webhook: WebhookKeys,
    /// For wake tokens.
    pub tokens: TokenKey,
}

/// The webhook signing key and the JWK set.
pub struct WebhookKeys {
    pair: Ed25519KeyPair,
    kid: Box<str>,
    jwks: Bytes,
}

/// The HMAC key of the wake tokens.
pub struct TokenKey(hmac::Key);

/// Why the keys cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A file or directory cannot be read or written.
    #[error("cannot use {path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not the key it should be.
    #[error("{path} does not hold {want}; restore it, or remove it to have a new key made")]
    Malformed {
        /// Which.
        path: PathBuf,
        /// What it should hold.
        want: &'static str,
    },
    /// The system has no random numbers.
    #[error("the system's random number generator failed")]
    NoRandomness,
}

impl Keys {
    /// Reads the keys below the data directory, making those that are missing.
    pub fn open(data_dir: &Path) -> Result<Keys, KeyError> {
        let dir = data_dir.join(KEYS_DIR);
        DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(at(&dir))?;
        let pkcs8 = read_or_create(&dir, SIGNING_KEY_FILE, new_signing_key)?;
        let pair = parse_signing_key(&dir.join(SIGNING_KEY_FILE), &pkcs8)?;
        let retired = retired_keys(&dir)?;
        let token_key = read_or_create(&dir, TOKEN_KEY_FILE, new_token_key)?;
        if token_key.len() != TOKEN_KEY_BYTES {
            let path = dir.join(TOKEN_KEY_FILE);
            return Err(KeyError::Malformed { path, want: "32 bytes" });
        }
        Ok(Keys { webhook: WebhookKeys::new(pair, &retired), tokens: TokenKey::new(&token_key) })
    }

    /// Keys that last as long as the process, for a server that stores nothing.
    pub fn ephemeral() -> Result<Keys, KeyError> {
        let pair = parse_signing_key(Path::new("a fresh key"), &new_signing_key()?)?;
        let tokens = TokenKey::new(&new_token_key()?);
        Ok(Keys { webhook: WebhookKeys::new(pair, &[]), tokens })
    }
}

impl WebhookKeys {
    fn new(pair: Ed25519KeyPair, retired: &[Box<str>]) -> WebhookKeys {
        let x = public_part(&pair);
        let published = std::iter::once(&x).chain(retired.iter().filter(|other| **other != x));
        let keys: Vec<_> = published.map(|x| jwk(x)).collect();
        let jwks = json!({ "keys": keys }).to_string().into();
        WebhookKeys { pair, kid: thumbprint(&x), jwks }
    }

    /// The id of the active key.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The body of `jwks.json`: the active key first, then retired ones.
    #[must_use]
    pub fn jwks(&self) -> Bytes {
        self.jwks.clone()
    }

    /// The value of `Webhook-Signature` for a body sent at `seconds` since the Unix epoch.
    #[must_use]
    pub fn signature_header(&self, seconds: u64, body: &[u8]) -> String {
        let mut message = format!("{seconds}.").into_bytes();
        message.extend_from_slice(body);
        let signature = URL_SAFE_NO_PAD.encode(self.pair.sign(&message));
        format!("t={seconds},kid={},ed25519={signature}", self.kid)
    }
}

impl TokenKey {
    fn new(key: &[u8]) -> TokenKey {
        TokenKey(hmac::Key::new(hmac::HMAC_SHA256, key))
    }
}

impl TokenSigner for TokenKey {
    fn sign(&self, message: &[u8]) -> [u8; 32] {
        let mut out = [0; 32];
        out.copy_from_slice(hmac::sign(&self.0, message).as_ref());
        out
    }

    fn verify(&self, message: &[u8], tag: &[u8]) -> bool {
        hmac::verify(&self.0, message, tag).is_ok()
    }
}

impl std::fmt::Debug for WebhookKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "WebhookKeys({})", self.kid)
    }
}

impl std::fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenKey")
    }
}

fn public_part(pair: &Ed25519KeyPair) -> Box<str> {
    URL_SAFE_NO_PAD.encode(pair.public_key()).into()
}

fn jwk(x: &str) -> serde_json::Value {
    json!({ "kty": "OKP", "crv": "Ed25519", "kid": thumbprint(x), "use": "sig", "alg": "EdDSA",
        "x": x })
}

/// RFC 7638: the hash of the required members, in lexicographic order, without spaces.
fn thumbprint(x: &str) -> Box<str> {
    let members = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    let hash = digest::digest(&digest::SHA256, members.as_bytes());
    format!("ds_{}", URL_SAFE_NO_PAD.encode(hash)).into()
}

fn new_signing_key() -> Result<Vec<u8>, KeyError> {
    let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new());
    Ok(pkcs8.map_err(|_| KeyError::NoRandomness)?.as_ref().to_vec())
}

fn new_token_key() -> Result<Vec<u8>, KeyError> {
    let mut key = vec![0; TOKEN_KEY_BYTES];
    SystemRandom::new().fill(&mut key).map_err(|_| KeyError::NoRandomness)?;
    Ok(key)
}

fn parse_signing_key(path: &Path, pkcs8: &[u8]) -> Result<Ed25519KeyPair, KeyError> {
    let want = "an Ed25519 key in PKCS#8";
    Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8)
        .map_err(|_| KeyError::Malformed { path: path.to_owned(), want })
}

/// The public parts of all other `*.pk8` files, in the order of their names.
fn retired_keys(dir: &Path) -> Result<Vec<Box<str>>, KeyError> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir).map_err(at(dir))? {
        let path = entry.map_err(at(dir))?.path();
        let is_active = path.file_name().is_some_and(|name| name == SIGNING_KEY_FILE);
        if !is_active && path.extension().is_some_and(|extension| extension == "pk8") {
            paths.push(path);
        }
    }
    paths.sort();
    let public = |path: &PathBuf| {
        let pkcs8 = fs::read(path).map_err(at(path))?;
        parse_signing_key(path, &pkcs8).map(|pair| public_part(&pair))
    };
    paths.iter().map(public).collect()
}

fn read_or_create(
    dir: &Path,
    name: &str,
    make: fn() -> Result<Vec<u8>, KeyError>,
) -> Result<Vec<u8>, KeyError> {
    let path = dir.join(name);
    match fs::read(&path) {
        Ok(content) => {
            let mode = fs::metadata(&path).map_err(at(&path))?.mode();
            if mode & 0o077 != 0 {
                tracing::warn!(path = %path.display(), "a private key is readable by others");
            }
            Ok(content)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let content = make()?;
            write_whole(dir, name, &content).map_err(at(&path))?;
            Ok(content)
        }
        Err(error) => Err(at(&path)(error)),
    }
}

/// After a crash the file is whole or absent: written beside, synced, renamed, and the directory
/// synced too, before anybody sees the key.
fn write_whole(dir: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    let beside = dir.join(format!("{name}.tmp"));
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&beside, dir.join(name))?;
    File::open(dir)?.sync_all()
}

fn at(path: &Path) -> impl Fn(io::Error) -> KeyError {
    move |source| KeyError::Io { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_made_once_and_rotated_by_renaming() {
        let data_dir = tempfile::tempdir().unwrap();
        let first = Keys::open(data_dir.path()).unwrap();
        let again = Keys::open(data_dir.path()).unwrap();
        assert_eq!(first.webhook.kid(), again.webhook.kid());
        assert_eq!(first.webhook.jwks(), again.webhook.jwks());
        assert!(again.tokens.verify(b"message", &first.tokens.sign(b"message")));
        assert!(!again.tokens.verify(b"message", &first.tokens.sign(b"other")));

        let dir = data_dir.path().join(KEYS_DIR);
        for entry in fs::read_dir(&dir).unwrap() {
            assert_eq!(entry.unwrap().metadata().unwrap().mode() & 0o777, 0o600);
        }
        fs::rename(dir.join(SIGNING_KEY_FILE), dir.join("webhook-signing-key-1.pk8")).unwrap();
        let rotated = Keys::open(data_dir.path()).unwrap();
        let jwks: serde_json::Value = serde_json::from_slice(&rotated.webhook.jwks()).unwrap();
        let kids: Vec<_> = jwks["keys"]
            .as_array()
            .unwrap()
            .iter()
            .map(|key| key["kid"].as_str().unwrap())
            .collect();
        assert_eq!(kids, [rotated.webhook.kid(), first.webhook.kid()]);
    }

    #[test]
    fn damaged_keys_are_refused() {
        let check = |name: &str, content: &[u8]| {
            let data_dir = tempfile::tempdir().unwrap();
            fs::create_dir(data_dir.path().join(KEYS_DIR)).unwrap();
            fs::write(data_dir.path().join(KEYS_DIR).join(name), content).unwrap();
            let error = Keys::open(data_dir.path()).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        };
        check(SIGNING_KEY_FILE, b"");
        check(SIGNING_KEY_FILE, b"nonsense");
        check(TOKEN_KEY_FILE, b"short");
        check("old.pk8", b"nonsense");
    }

    #[test]
    fn the_thumbprint_of_rfc_8037() {
        // Appendix A.3.
        let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        assert_eq!(&*thumbprint(x), "ds_kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }
}

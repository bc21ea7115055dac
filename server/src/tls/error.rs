//! Why certificates cannot be used: which file, what is wrong with it, what would be right.

use std::io;
use std::path::PathBuf;

/// See the module.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Missing, or not to be read.
    #[error("cannot read {}: {source}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// The operating system's words.
        source: io::Error,
    },
    /// There is no certificate in it.
    #[error(
        "{} has no PEM certificate (-----BEGIN CERTIFICATE-----){}", file.display(), instead(*key)
    )]
    NoCertificate {
        /// The file.
        file: PathBuf,
        /// There is a private key instead.
        key: bool,
    },
    /// There is no key in it.
    #[error(
        "{} has no PEM private key (-----BEGIN PRIVATE KEY-----); an encrypted one must be \
         decrypted before (`openssl pkey`)", file.display()
    )]
    NoKey {
        /// The file.
        file: PathBuf,
    },
    /// Not PEM, or not what PEM says it is.
    #[error("{} is not valid PEM: {reason}", file.display())]
    Malformed {
        /// The file.
        file: PathBuf,
        /// The parser's words.
        reason: String,
    },
    /// A certificate that TLS cannot use.
    #[error("{} has a certificate that cannot be used: {reason}", file.display())]
    BadCertificate {
        /// The file.
        file: PathBuf,
        /// The library's words.
        reason: String,
    },
    /// A key that TLS cannot use.
    #[error(
        "{} has a key that cannot be used: {reason}; RSA of 2048 bits or more, ECDSA P-256 or \
         P-384, or Ed25519 would be right", file.display()
    )]
    BadKey {
        /// The file.
        file: PathBuf,
        /// The library's words.
        reason: String,
    },
    /// Two files that do not belong together.
    #[error(
        "the key in {} is not the key of the first certificate in {}", key.display(), cert.display()
    )]
    Mismatch {
        /// The certificate.
        cert: PathBuf,
        /// The key.
        key: PathBuf,
    },
    /// Nothing that could be wrong with a file.
    #[error("TLS cannot be set up: {0}")]
    SetUp(String),
}

fn instead(key: bool) -> &'static str {
    if key { "; it holds a private key: are the two files swapped?" } else { "" }
}

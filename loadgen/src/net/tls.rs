//! TLS of the generator's connections, by rustls and without I/O: bytes in, bytes out.
//!
//! Invariant: a connection is trusted by the plan's authorities or the system's, unless the plan
//! says that anybody will do.
//!
//! Deliberately absent: client certificates.

use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use rustls_platform_verifier::BuilderVerifierExt as _;

use crate::LoadError;
use crate::plan::Transport;

/// One connection's TLS.
pub(crate) struct Tls(ClientConnection);

/// What connections to a server are set up with.
pub(crate) fn config(transport: &Transport) -> Result<Arc<ClientConfig>, LoadError> {
    let refused = |error: Error| LoadError::Refused(format!("TLS cannot be set up: {error}"));
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().map_err(refused)?;
    let builder = match &transport.ca {
        Some(file) => builder.with_root_certificates(authorities(file)?),
        None if transport.insecure_skip_verify => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody(Arc::clone(&provider)))),
        None => builder.with_platform_verifier().map_err(refused)?,
    };
    let mut config = builder.with_no_client_auth();
    // Only what the plan asks for, so that a run never measures the other one.
    config.alpn_protocols = vec![if transport.http2 { HTTP2.to_vec() } else { HTTP1.to_vec() }];
    Ok(Arc::new(config))
}

fn authorities(file: &Path) -> Result<RootCertStore, LoadError> {
    let wrong = |reason: String| LoadError::Refused(format!("ca {}: {reason}", file.display()));
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|e| wrong(e.to_string()))? {
        let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
        roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
    }
    match roots.is_empty() {
        true => Err(wrong("expected certificates in PEM".to_owned())),
        false => Ok(roots),
    }
}

impl Tls {
    /// A session that begins with what this side says.
    pub(crate) fn new(config: &Arc<ClientConfig>, name: &ServerName<'static>) -> io::Result<Tls> {
        let session = ClientConnection::new(Arc::clone(config), name.clone());
        let mut session = session.map_err(io::Error::other)?;
        // What is sent is whole requests, which are bounded elsewhere.
        session.set_buffer_limit(None);
        Ok(Tls(session))
    }

    /// Whether the handshake is not over.
    pub(crate) fn is_handshaking(&self) -> bool {
        self.0.is_handshaking()
    }

    /// Whether the server chose HTTP/2.
    pub(crate) fn is_http2(&self) -> bool {
        self.0.alpn_protocol() == Some(HTTP2)
    }

    /// Whether there is something to be sent.
    pub(crate) fn wants_write(&self) -> bool {
        self.0.wants_write()
    }

    /// Takes bytes of the server's in; what they say goes behind `plain`.
    pub(crate) fn take_in(&mut self, mut bytes: &[u8], plain: &mut Vec<u8>) -> io::Result<()> {
        while !bytes.is_empty() {
            if self.0.read_tls(&mut bytes)? == 0 {
                return Ok(());
            }
            let state = self.0.process_new_packets();
            let state = state.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            let begin = plain.len();
            plain.resize(begin + state.plaintext_bytes_to_read(), 0);
            self.0.reader().read_exact(&mut plain[begin..])?;
        }
        Ok(())
    }

    /// Encrypts bytes; they and what else is to be said go behind `out`.
    pub(crate) fn seal(&mut self, plain: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        self.0.writer().write_all(plain)?;
        while self.0.wants_write() {
            self.0.write_tls(out)?;
        }
        Ok(())
    }
}

/// Trusts whoever answers: that it holds the key of the certificate that it shows is all it proves.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

//! Certificates of an authority that lives as long as its test, and clients that trust it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType, date_time_ymd,
};
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ClientConnection, RootCertStore, SupportedProtocolVersion};

/// An authority.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
}

/// A certificate and its key, in PEM.
pub(crate) struct Pair {
    pub(crate) cert: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Authority {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Authority { issuer: Issuer::new(params, key), pem }
    }

    /// A certificate for these names.
    pub(crate) fn sign(&self, names: &[&str]) -> Pair {
        self.sign_until(names, 2099)
    }

    /// A certificate of somebody with a common name, and a URI if it is not empty.
    pub(crate) fn sign_as(&self, name: &str, uri: &str) -> Pair {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.distinguished_name.push(DnType::CommonName, name);
        if !uri.is_empty() {
            params.subject_alt_names.push(SanType::URI(uri.try_into().expect("a URI")));
        }
        let key = KeyPair::generate().expect("a key");
        let cert = params.signed_by(&key, &self.issuer).expect("a certificate");
        Pair { cert: cert.pem(), key: key.serialize_pem() }
    }

    /// A certificate that is valid up to the beginning of a year.
    pub(crate) fn sign_until(&self, names: &[&str], year: i32) -> Pair {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().expect("a key");
        let cert = params.signed_by(&key, &self.issuer).expect("a certificate");
        Pair { cert: cert.pem(), key: key.serialize_pem() }
    }

    /// What a client that trusts this authority connects with. `own`: it has a certificate.
    pub(crate) fn client(&self, own: Option<&Pair>) -> ClientConfig {
        self.client_of(own, rustls::DEFAULT_VERSIONS)
    }

    /// As [`Authority::client`], with these versions of TLS.
    pub(crate) fn client_of(
        &self,
        own: Option<&Pair>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(certificate(&self.pem)).expect("an authority");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .expect("versions")
            .with_root_certificates(roots);
        let mut config = match own {
            None => builder.with_no_client_auth(),
            Some(pair) => {
                let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).expect("a key");
                builder.with_client_auth_cert(vec![certificate(&pair.cert)], key).expect("a pair")
            }
        };
        config.resumption = Resumption::in_memory_sessions(8);
        config
    }
}

impl Pair {
    /// Writes both files, and says where they are.
    pub(crate) fn write(&self, dir: &Path, name: &str) -> (PathBuf, PathBuf) {
        let (cert, key) = (dir.join(format!("{name}.pem")), dir.join(format!("{name}.key")));
        fs::write(&cert, &self.cert).expect("written");
        fs::write(&key, &self.key).expect("written");
        (cert, key)
    }

    pub(crate) fn der(&self) -> CertificateDer<'static> {
        certificate(&self.cert)
    }
}

fn certificate(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate")
}

/// The client's side of a connection that asks for a name.
pub(crate) fn connection(config: &Arc<ClientConfig>, name: &str) -> ClientConnection {
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    ClientConnection::new(Arc::clone(config), name).expect("a connection")
}

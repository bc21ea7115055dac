//! TLS as clients and operators meet it.

mod access;
mod certificates;
mod connections;
mod reload;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::ClientConfig;
use tempfile::TempDir;

use crate::support::{Authority, Client, Pair, Server, connection};

/// A server with a certificate for `localhost`, and what is needed to talk to it.
pub(crate) struct Secure {
    pub(crate) server: Server,
    pub(crate) authority: Authority,
    pub(crate) pair: Pair,
    pub(crate) files: TempDir,
    pub(crate) config: Arc<ClientConfig>,
}

impl Secure {
    pub(crate) fn start(arguments: &[&str]) -> Secure {
        Secure::start_configured("", arguments)
    }

    pub(crate) fn start_configured(toml: &str, arguments: &[&str]) -> Secure {
        let authority = Authority::new("the test's authority");
        let pair = authority.sign(&["localhost"]);
        let files = tempfile::tempdir().expect("a directory");
        let (cert, key) = pair.write(files.path(), "server");
        fs::write(files.path().join("authority.pem"), &authority.pem).expect("written");
        let tls =
            [format!("--tls-cert={}", cert.display()), format!("--tls-key={}", key.display())];
        let mut arguments = arguments.to_vec();
        arguments.extend(tls.iter().map(String::as_str));
        let server = Server::start_configured(toml, &arguments);
        let config = Arc::new(authority.client(None));
        Secure { server, authority, pair, files, config }
    }

    pub(crate) fn connect(&self) -> Client {
        self.connect_with(&self.config)
    }

    pub(crate) fn connect_with(&self, config: &Arc<ClientConfig>) -> Client {
        Client::secure(self.server.address(), connection(config, "localhost"))
    }

    pub(crate) fn authority_file(&self) -> PathBuf {
        self.files.path().join("authority.pem")
    }
}

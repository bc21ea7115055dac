//! Our own server, as its users start it.

use std::path::{Path, PathBuf};
use std::process::Command;

use thalweg_loadgen::plan::Plan;

use super::{Contestant, Found, Launch, Place, Ready, Role, Streams};
use crate::Failure;
use crate::suite::SuiteName;

/// The binary with options.
#[derive(Clone, Debug)]
pub(crate) struct Thalweg {
    binary: PathBuf,
    name: String,
    durability: Durability,
    io: Option<&'static str>,
    tls: bool,
    http1: bool,
}

/// When it answers an append.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Durability {
    /// After the data is on the disk.
    Sync,
    /// Nothing is written.
    Memory,
}

impl Thalweg {
    /// The defaults: every append is synced.
    pub(crate) fn new(binary: &Path) -> Thalweg {
        let (binary, name) = (binary.to_owned(), "thalweg".to_owned());
        Thalweg { binary, name, durability: Durability::Sync, io: None, tls: false, http1: false }
    }

    /// The same, called `thalweg-memory` if nothing is written.
    pub(crate) fn durability(mut self, durability: Durability) -> Thalweg {
        self.durability = durability;
        if durability == Durability::Memory {
            self.name.push_str("-memory");
        }
        self
    }

    /// The same over TLS, called `thalweg-tls`.
    pub(crate) fn tls(mut self) -> Thalweg {
        self.tls = true;
        self.name.push_str("-tls");
        self
    }

    /// The same by HTTP/1.1 whatever the plan says, called `thalweg-http1`.
    pub(crate) fn http1(mut self) -> Thalweg {
        self.http1 = true;
        self.name.push_str("-http1");
        self
    }

    /// The same with `--io`, called `thalweg-` and that.
    pub(crate) fn io(mut self, driver: &'static str) -> Thalweg {
        self.io = Some(driver);
        self.name = format!("{}-{driver}", self.name);
        self
    }
}

impl Contestant for Thalweg {
    fn name(&self) -> &str {
        &self.name
    }

    fn role(&self) -> Role {
        Role::Thalweg
    }

    fn durability(&self) -> &str {
        match self.durability {
            Durability::Sync => "on disk before the answer (--durability sync)",
            Durability::Memory => "none (--durability memory)",
        }
    }

    fn find(&self) -> Found {
        let output = Command::new(&self.binary).arg("--version").output();
        match output {
            Ok(output) if output.status.success() => {
                let text = String::from_utf8_lossy(&output.stdout);
                Found::Here { version: text.lines().next().unwrap_or_default().to_owned() }
            }
            _ => Found::Absent {
                install: format!(
                    "cargo build --release, or --server PATH: there is none at {}",
                    self.binary.display()
                ),
            },
        }
    }

    fn launch(&self, place: &Place<'_>) -> Result<Launch, Failure> {
        let durability = match self.durability {
            Durability::Sync => "sync",
            Durability::Memory => "memory",
        };
        let mut command = Command::new(std::path::absolute(&self.binary)?);
        command
            .args(["serve", "--listen", &format!("127.0.0.1:{}", place.port)])
            .args(["--cores", &place.cores.to_string(), "--durability", durability])
            .arg("--data-dir")
            .arg(place.data_dir);
        if let Some(driver) = self.io {
            command.args(["--io", driver]);
        }
        if self.tls {
            let (cert, key) = certificate(place.data_dir)?;
            command.arg("--tls-cert").arg(cert).arg("--tls-key").arg(key);
        }
        let (ready, base_path) = (Ready::Get("/readyz".to_owned()), "/v1/stream".to_owned());
        Ok(Launch { command, ready, base_path, streams: Streams::Created })
    }

    fn suites(&self) -> &[SuiteName] {
        SuiteName::ALL
    }

    fn adapt(&self, plan: &mut Plan) -> Result<(), Failure> {
        if self.tls {
            plan.target = plan.target.replacen("http://", "https://", 1);
            plan.transport.insecure_skip_verify = true;
        }
        plan.transport.http2 &= !self.http1;
        Ok(())
    }
}

/// Files with a new certificate and its key, beside the data.
fn certificate(data_dir: &Path) -> Result<(PathBuf, PathBuf), Failure> {
    let dir = data_dir.parent().unwrap_or(data_dir);
    let (cert, key) = (dir.join("cert.pem"), dir.join("key.pem"));
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
    std::fs::write(&cert, made.cert.pem())?;
    std::fs::write(&key, made.signing_key.serialize_pem())?;
    Ok((cert, key))
}

//! A program of our own: this very binary, as another process.

use std::process::Command;

use super::{Contestant, Found, Launch, Place, Ready, Role, Streams};
use crate::Failure;
use crate::suite::SuiteName;

/// One of [`crate::programs`].
#[derive(Clone, Debug)]
pub(crate) struct Program {
    program: &'static str,
    role: Role,
    streams: Streams,
    options: Vec<String>,
}

impl Program {
    /// A floor that creates streams and appends to them, or says so.
    pub(crate) fn floor(program: &'static str) -> Program {
        Program { program, role: Role::Floor, streams: Streams::Created, options: Vec::new() }
    }

    /// A floor whose answer to every read is fixed.
    pub(crate) fn fixed(program: &'static str) -> Program {
        Program { streams: Streams::Fixed, ..Program::floor(program) }
    }
}

impl Contestant for Program {
    fn name(&self) -> &str {
        self.program
    }

    fn role(&self) -> Role {
        self.role
    }

    fn durability(&self) -> &str {
        crate::programs::durability(self.program)
    }

    fn find(&self) -> Found {
        Found::Here { version: format!("bench {}", env!("CARGO_PKG_VERSION")) }
    }

    fn launch(&self, place: &Place<'_>) -> Result<Launch, Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["program", self.program, "--port", &place.port.to_string()]);
        command.arg("--data-dir").arg(place.data_dir);
        command.args(["--page-bytes", &place.page_bytes.to_string()]).args(&self.options);
        let (base_path, streams) = ("/v1/stream".to_owned(), self.streams);
        Ok(Launch { command, ready: Ready::Connect, base_path, streams })
    }

    /// A suite names the programs that it needs.
    fn suites(&self) -> &[SuiteName] {
        &[]
    }
}

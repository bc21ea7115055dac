//! A program of our own: this very binary, as another process.

use std::process::Command;

use super::{Contestant, Found, Launch, Place, Ready, Role, Streams};
use crate::Failure;
use crate::suite::SuiteName;

/// One of [`crate::programs`].
#[derive(Clone, Debug)]
pub(crate) struct Program {
    name: String,
    program: &'static str,
    streams: Streams,
}

impl Program {
    /// A floor that creates streams and appends to them, or says so.
    pub(crate) fn floor(program: &'static str) -> Program {
        Program { name: program.to_owned(), program, streams: Streams::Created }
    }

    /// A floor whose answer to every read is fixed.
    pub(crate) fn fixed(program: &'static str) -> Program {
        Program { streams: Streams::Fixed, ..Program::floor(program) }
    }

    /// The same under another name, where it is a part of a floor.
    pub(crate) fn called(mut self, name: &str) -> Program {
        name.clone_into(&mut self.name);
        self
    }
}

impl Contestant for Program {
    fn name(&self) -> &str {
        &self.name
    }

    fn role(&self) -> Role {
        Role::Floor
    }

    fn durability(&self) -> &str {
        crate::programs::durability(self.program)
    }

    fn find(&self) -> Found {
        match crate::programs::by_name(self.program) {
            Some(_) => Found::Here { version: format!("bench {}", env!("CARGO_PKG_VERSION")) },
            None => Found::Absent { install: install(self.program) },
        }
    }

    fn launch(&self, place: &Place<'_>) -> Result<Launch, Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["program", self.program, "--port", &place.port.to_string()]);
        command.arg("--data-dir").arg(place.data_dir);
        command.args(["--page-bytes", &place.page_bytes.to_string()]);
        let (base_path, streams) = ("/v1/stream".to_owned(), self.streams);
        Ok(Launch { command, ready: Ready::Connect, base_path, streams })
    }

    /// A suite names the programs that it needs.
    fn suites(&self) -> &[SuiteName] {
        &[]
    }
}

/// Only programs of a feature can be missing, and they are called after it.
fn install(program: &str) -> String {
    let feature = program.rsplit('-').next().unwrap_or_default();
    format!("cargo run --release -p bench --features {feature}")
}

//! A small library, preloaded into a server: it leaves out a sync, or moves the clock.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use tempfile::NamedTempFile;

use super::machine::{run, skipped, text};

/// The library, compiled on first use; `None`, with a message, without a C compiler.
pub(super) fn library() -> Option<&'static Path> {
    static LIBRARY: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    match LIBRARY.get_or_init(compile) {
        Ok(path) => Some(path),
        Err(error) => {
            skipped(error);
            None
        }
    }
}

/// Under a name of its own first: another run of the tests may use the library at this moment.
fn compile() -> Result<PathBuf, String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/faults/shim.c");
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let library = directory.join("shim.so");
    let new = NamedTempFile::new_in(directory).map_err(|error| error.to_string())?;
    let output = text(new.path());
    run("cc", &["-shared", "-fPIC", "-O1", "-Wall", "-o", output, text(&source)])?;
    new.persist(&library).map_err(|error| error.to_string())?;
    Ok(library)
}

/// How far a server's wall clock is off.
pub(super) struct WallClock(NamedTempFile);

impl WallClock {
    /// Right, for now.
    pub(super) fn new() -> WallClock {
        let clock = WallClock(NamedTempFile::new().expect("a file"));
        clock.jump_to(0);
        clock
    }

    /// What the server's environment needs: the library, and this clock.
    pub(super) fn environment<'a>(&'a self, library: &'a Path) -> [(&'static str, &'a Path); 2] {
        [("LD_PRELOAD", library), ("THALWEG_SHIM_CLOCK", self.0.path())]
    }

    /// Off by so much from now on.
    pub(super) fn jump_to(&self, offset_ms: i64) {
        let file: File = OpenOptions::new().write(true).open(self.0.path()).expect("a file");
        file.write_all_at(&offset_ms.to_ne_bytes(), 0).expect("written");
    }
}

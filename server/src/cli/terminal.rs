//! What commands print besides their work: results to stdout, words to stderr.

use std::io::{self, ErrorKind, Write};

/// To stderr, a line. If it cannot take it, nobody could be told.
pub(super) fn tell(message: &str) {
    let _ = writeln!(io::stderr(), "thalweg: {message}");
}

/// To stdout. Who reads it may leave; that is no reason to fail. The error is words for the user.
pub(super) fn say(text: &str) -> Result<(), String> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(format!("stdout: {error}")),
        _ => Ok(()),
    }
}

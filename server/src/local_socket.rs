//! Unix sockets in directories with long names: a socket's path has room for 107 bytes only.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// Does something with a path to `name` in `dir` that is short, whatever `dir` is.
pub(crate) fn in_short_path<T>(
    dir: &Path,
    name: &str,
    work: impl FnOnce(&Path) -> io::Result<T>,
) -> io::Result<T> {
    let open = File::open(dir)?;
    work(&PathBuf::from(format!("/proc/self/fd/{}/{name}", open.as_raw_fd())))
}

//! Whether a server uses a data directory, found out without touching it.

use std::path::Path;

use thalweg_storage::DataDirLock;

use super::tell;

/// Says on stderr if a server runs on the directory: what is read changes meanwhile.
pub(super) fn warn(dir: &Path) {
    if let Some(pid) = DataDirLock::holder(dir) {
        tell(&format!(
            "a server (process {pid}) uses {}: its files change while they are read, so what is \
             found may not be damage; verify a backup instead, which \
             `thalweg storage backup` takes of a running server",
            dir.display()
        ));
    }
}

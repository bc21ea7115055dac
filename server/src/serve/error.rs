//! Why a server does not start, and what to do about it.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use thalweg_proto::path::StreamPath;
use thalweg_storage::RecoveryError;
use thalweg_storage::data_dir::DataDirError;

use crate::access_log::Target;
use crate::tls::TlsError;

/// See the module.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Somebody else listens there.
    #[error(
        "{address} is taken by another process; stop it, or choose another address with --listen \
         (`ss -ltnp` shows who listens)"
    )]
    PortTaken {
        /// The address.
        address: SocketAddr,
    },
    /// Not taken, but not to be had either.
    #[error(
        "cannot listen on {address}: {source}; check --listen against this machine's addresses"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The admin listener cannot be had.
    #[error(
        "the admin listener cannot listen on {address}: {source}; choose another address with \
         --admin, or --admin off"
    )]
    Admin {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// Tokens or keys cannot be read.
    #[error("access control: {0}")]
    Auth(String),
    /// Nothing can be sent to the collector.
    #[error("metrics cannot be exported: {0}")]
    Telemetry(io::Error),
    /// The access log cannot be written.
    #[error("the access log {target} cannot be opened: {source}; see --access-log")]
    AccessLog {
        /// Where it was to go.
        target: Target,
        /// Why.
        source: io::Error,
    },
    /// The data directory is not usable.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// It cannot be created or written.
    #[error(
        "data directory {} is not writable: {source}; change its owner or mode, or choose another \
         one with --data-dir", path.display()
    )]
    DataDirUnwritable {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The certificates are not usable.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// What is stored cannot be read back.
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
    /// What is stored about subscriptions cannot be read back.
    #[error("the stored subscriptions cannot be read: {0}")]
    Subscriptions(String),
    /// Two streams have one id.
    #[error(
        "stream `{path}` has the id {id} of another stream; the data directory is damaged: restore \
         it from a backup"
    )]
    DuplicateId {
        /// The id.
        id: u64,
        /// The second stream.
        path: StreamPath,
    },
    /// The control plane did not start.
    #[error("the control plane did not start: {0}")]
    Control(String),
    /// The kernel refuses a ring.
    #[error("io_uring is not available: {0}; {advice}", advice = io_uring_advice(.0))]
    IoUring(io::Error),
    /// No doorbells.
    #[error("cannot make the mailboxes between cores: {0}")]
    Mailbox(io::Error),
    /// No thread.
    #[error("cannot start a thread: {0}; check the process limit (`ulimit -u`)")]
    Thread(io::Error),
    /// A core's runtime did not start.
    #[error("core {core} did not start: {source}; {advice}", advice = io_uring_advice(source))]
    Core {
        /// Which.
        core: usize,
        /// Why.
        source: io::Error,
    },
    /// A core ended before it was ready.
    #[error("a core ended before it was ready; the log says why")]
    CoreEnded,
}

fn io_uring_advice(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EPERM) => {
            "it is forbidden here, by a seccomp profile (Docker's default one does) or by the \
             sysctl kernel.io_uring_disabled; allow it, or run with --io epoll"
        }
        Some(libc::ENOMEM) => {
            "the locked-memory limit is too low; raise it (`ulimit -l`, or LimitMEMLOCK= in a \
             systemd unit), or run with --io epoll"
        }
        Some(libc::ENOSYS) => "this kernel has no io_uring; run with --io epoll",
        Some(libc::EMFILE | libc::ENFILE) => {
            "the descriptor limit is too low; raise it (`ulimit -n`, or LimitNOFILE= in a systemd \
             unit)"
        }
        _ => "run with --io epoll if it stays so",
    }
}

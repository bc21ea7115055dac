//! The server's part in `thalweg storage backup`: a socket in the data directory, at which it
//! gives out a cut and then keeps the files that belong to it.
//!
//! ```text
//! client: backup\n  ->  checkpoint on every core, freeze, positions, thaw  ->  the cut, as JSON
//! client: links and copies files, which stay until it closes the connection
//! ```
//!
//! Invariants: a hold ends when its client ends, however it ends; a freeze ends after a bounded
//! time, whatever the cores do. One backup at a time. Whoever may open the socket may read the
//! data directory anyway.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use thalweg_storage::{Disk, Held, LayoutFile, LogPosition, RealDisk};

use crate::config::limits::{BACKUP_CHECKPOINT_TIMEOUT, BACKUP_FREEZE_TIMEOUT};
use crate::local_socket::in_short_path;
use crate::mailbox::Post;
use crate::mailbox::message::{Message, Note};

/// The socket's name in the data directory.
pub(crate) const SOCKET_NAME: &str = "control.sock";

/// How often the checkpoints are looked at.
const CHECKPOINT_PAUSE: Duration = Duration::from_millis(10);
/// How long a client may take to say what it wants.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a request.
const REQUEST_BYTES: u64 = 64;

/// What a connection's thread needs.
#[derive(Clone)]
struct Desk {
    layout: Arc<LayoutFile>,
    post: Post,
}

/// The socket; its name goes away with this.
pub(super) struct Backups(PathBuf);

/// Listens in the data directory. A server that cannot do that runs without online backups.
pub(super) fn start(
    data_dir: &Path,
    layout: Option<Arc<LayoutFile>>,
    post: &Post,
) -> Option<Backups> {
    let desk = Desk { layout: layout?, post: post.clone() };
    let path = data_dir.join(SOCKET_NAME);
    match listen(data_dir, &path).and_then(|listener| desk.run(listener)) {
        Ok(()) => Some(Backups(path)),
        Err(error) => {
            tracing::warn!(socket = %path.display(), %error, "no backups while the server runs");
            None
        }
    }
}

impl Drop for Backups {
    fn drop(&mut self) {
        // The next start removes it too.
        let _ = std::fs::remove_file(&self.0);
    }
}

fn listen(data_dir: &Path, path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = in_short_path(data_dir, SOCKET_NAME, |path| UnixListener::bind(path))?;
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o600))?;
    Ok(listener)
}

impl Desk {
    fn run(self, listener: UnixListener) -> io::Result<()> {
        let thread = std::thread::Builder::new().name("backups".to_owned());
        let accept = move || {
            for client in listener.incoming() {
                let desk = self.clone();
                let served = client.and_then(|client| {
                    let thread = std::thread::Builder::new().name("backup".to_owned());
                    thread.spawn(move || desk.serve(client))
                });
                if let Err(error) = served {
                    tracing::warn!(%error, "a backup could not be begun");
                    std::thread::sleep(CHECKPOINT_PAUSE);
                }
            }
        };
        thread.spawn(accept).map(|_| ())
    }

    fn serve(&self, client: UnixStream) {
        if let Err(error) = self.answer(client) {
            tracing::warn!(%error, "a backup's connection failed");
        }
    }

    fn answer(&self, mut client: UnixStream) -> io::Result<()> {
        client.set_read_timeout(Some(REQUEST_TIMEOUT))?;
        let mut request = String::new();
        BufReader::new((&client).take(REQUEST_BYTES)).read_line(&mut request)?;
        let cut = match request.trim_end() {
            "backup" => self.cut(),
            other => Err(format!("{other:?}: expected \"backup\"")),
        };
        let held = match cut {
            Ok((held, cut)) => {
                writeln!(client, "{cut}")?;
                held
            }
            Err(error) => return writeln!(client, "{}", serde_json::json!({ "error": error })),
        };
        tracing::info!("a backup begins; no space is given back until it ends");
        client.set_read_timeout(None)?;
        // Until the client closes, or is gone.
        let ended = client.read_to_end(&mut Vec::new());
        drop(held);
        tracing::info!("the backup has ended");
        ended.map(|_| ())
    }

    /// Holds the files and says up to where they are of one moment.
    fn cut(&self) -> Result<(Held, serde_json::Value), String> {
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let held = self.layout.file_hold().hold(&disk);
        let held = held.ok_or("another backup is under way")?;
        self.checkpoint();
        // Before the positions: a checkpoint that is installed knows nothing beyond them.
        let layout = self.layout.layout();
        let positions = self.positions()?;
        let cores = layout.cores.iter().zip(positions).map(|(core, position)| {
            serde_json::json!({
                "log": core.log.0,
                "checkpoint": core.newest,
                "segment": position.segment,
                "byte": position.file_offset,
                "record": position.lsn.0,
                "chain": position.chain,
            })
        });
        let cores: Vec<_> = cores.collect();
        let (generation, next_log) = (layout.generation, layout.next_log);
        let cut = serde_json::json!({
            "generation": generation, "next_log": next_log, "cores": cores,
        });
        Ok((held, cut))
    }

    /// A new checkpoint on every core, so that little log is needed. Without it, there is more.
    fn checkpoint(&self) {
        let before = self.layout.layout();
        self.tell_all(|| Note::CheckpointNow);
        let deadline = Instant::now() + BACKUP_CHECKPOINT_TIMEOUT;
        let is_done = || {
            let now = self.layout.layout();
            now.cores.iter().zip(&before.cores).all(|(now, before)| now.newest > before.newest)
        };
        while !is_done() && Instant::now() < deadline {
            std::thread::sleep(CHECKPOINT_PAUSE);
        }
    }

    /// Where all logs end, at one moment.
    fn positions(&self) -> Result<Vec<LogPosition>, String> {
        let _thaw = Thaw(self);
        let (reply, replies) = mpsc::channel();
        self.tell_all(|| Note::Freeze(reply.clone()));
        let deadline = Instant::now() + BACKUP_FREEZE_TIMEOUT;
        let mut positions = vec![None; self.post.cores()];
        while positions.iter().any(Option::is_none) {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok((core, position)) = replies.recv_timeout(left) else {
                return Err("the cores did not stop writing in time; try again".to_owned());
            };
            positions[core] = Some(position);
        }
        Ok(positions.into_iter().flatten().collect())
    }

    fn tell_all(&self, note: impl Fn() -> Note) {
        for core in 0..self.post.cores() {
            self.post.send_from_outside(core, Message::Tell(note()));
        }
    }
}

/// Lets the cores write again.
struct Thaw<'a>(&'a Desk);

impl Drop for Thaw<'_> {
    fn drop(&mut self) {
        self.0.tell_all(|| Note::Thaw);
    }
}

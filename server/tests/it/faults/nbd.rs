//! A disk whose flushes can fail while its reads and writes work.
//!
//! ```text
//! server -> ext4 -> loop device -> nbdfuse -> nbdkit -> file
//! ```
//!
//! nbdkit answers every request by a small shell script; the one for flushes fails as long as a
//! certain file exists.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::machine::{Mount, has, run, skipped, text};
use crate::support::wait_until;

const BYTES: u64 = 96 << 20;

/// See the module.
pub(super) struct FlushlessDisk {
    mount: Option<Mount>,
    nbdfuse: Child,
    directory: TempDir,
}

impl FlushlessDisk {
    /// A new disk with an empty file system; `None`, with a message, where that is not possible.
    pub(super) fn new() -> Option<FlushlessDisk> {
        if !has(&["nbdkit", "nbdfuse", "mkfs.ext4", "mount", "umount"]) {
            return None;
        }
        FlushlessDisk::make().map_err(|error| skipped(&error)).ok()
    }

    fn make() -> Result<FlushlessDisk, String> {
        let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
        let path = |name: &str| directory.path().join(name);
        let image = path("image");
        let made = File::create(&image).and_then(|file| file.set_len(BYTES));
        made.map_err(|error| error.to_string())?;
        run("mkfs.ext4", &["-q", "-F", text(&image)])?;
        File::create(path("disk")).map_err(|error| error.to_string())?;
        let image = text(&image);
        let flag = path("flushes-fail");
        let nbdfuse = Command::new("nbdfuse")
            .arg(path("disk"))
            .args(["--command", "nbdkit", "-s", "eval"])
            .arg(format!("get_size=echo {BYTES}"))
            .args(["can_write=exit 0", "can_flush=exit 0"])
            .arg(format!(
                "pread=dd if={image} skip=$4 count=$3 iflag=skip_bytes,count_bytes status=none"
            ))
            .arg(format!("pwrite=dd of={image} seek=$4 oflag=seek_bytes conv=notrunc status=none"))
            .arg(format!("flush=if test -e {}; then echo EIO >&2; exit 1; fi", text(&flag)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("nbdfuse: {error}"))?;
        let mut disk = FlushlessDisk { mount: None, nbdfuse, directory };
        let served = disk.directory.path().join("disk");
        let is_served = || fs::metadata(&served).is_ok_and(|file| file.len() == BYTES);
        wait_until("the disk or its end", || is_served() || disk.has_ended());
        if disk.has_ended() {
            return Err("nbdfuse does not work here".to_owned());
        }
        disk.mount()?;
        Ok(disk)
    }

    /// For the server's data.
    pub(super) fn data_dir(&self) -> PathBuf {
        self.directory.path().join("mounted/data")
    }

    /// From now on.
    pub(super) fn fail_flushes(&self) {
        File::create(self.flag()).expect("created");
    }

    /// Everything works again, and the file system is mounted anew. Nobody may use it.
    pub(super) fn restore(&mut self) {
        fs::remove_file(self.flag()).expect("removed");
        self.mount = None;
        self.mount().expect("mounted");
    }

    fn mount(&mut self) -> Result<(), String> {
        let path = |name: &str| self.directory.path().join(name);
        self.mount = Some(Mount::image(&path("disk"), path("mounted"))?);
        Ok(())
    }

    fn flag(&self) -> PathBuf {
        self.directory.path().join("flushes-fail")
    }

    fn has_ended(&mut self) -> bool {
        self.nbdfuse.try_wait().is_ok_and(|status| status.is_some())
    }
}

impl Drop for FlushlessDisk {
    fn drop(&mut self) {
        // While it works, so that it can be unmounted.
        let _ = fs::remove_file(self.flag());
        self.mount = None;
        // It unmounts itself on SIGTERM.
        let _ = kill_process(Pid::from_child(&self.nbdfuse), Signal::TERM);
        let _ = self.nbdfuse.wait();
    }
}

//! A service manager's view: sd_notify, its watchdog, the unit file.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;

use super::has;
use crate::support::{PATIENCE, Server};

/// The socket of a service manager.
struct Manager {
    socket: UnixDatagram,
    directory: tempfile::TempDir,
}

impl Manager {
    fn new() -> Manager {
        let directory = tempfile::tempdir().expect("a directory");
        let socket = UnixDatagram::bind(directory.path().join("notify")).expect("a socket");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        Manager { socket, directory }
    }

    fn path(&self) -> String {
        self.directory.path().join("notify").display().to_string()
    }

    fn next(&self) -> String {
        let mut buffer = [0; 4096];
        let length = self.socket.recv(&mut buffer).expect("a message");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    /// The next message but signs of life.
    fn next_state(&self) -> String {
        std::iter::repeat_with(|| self.next()).find(|message| message != "WATCHDOG=1").expect("one")
    }
}

#[test]
fn a_service_manager_is_told() {
    let manager = Manager::new();
    let environment = [("NOTIFY_SOCKET", manager.path()), ("WATCHDOG_USEC", "20000".to_owned())];
    let mut server = Server::start_with(&["--cores=2"], &environment);
    assert!(manager.next_state().starts_with("READY=1\n"));
    for _ in 0..3 {
        assert_eq!(manager.next(), "WATCHDOG=1");
    }
    server.signal(rustix::process::Signal::HUP);
    let reloading = manager.next_state();
    let (word, time) = reloading.split_once("\nMONOTONIC_USEC=").expect("a time");
    assert!(word == "RELOADING=1" && time.parse::<u64>().is_ok(), "{reloading}");
    assert!(manager.next_state().starts_with("READY=1\n"));
    server.put("a", "text/plain", "x").expect_status(201);
    server.terminate();
    assert!(manager.next_state().starts_with("STOPPING=1"));
    assert_eq!(server.exit().code(), Some(0));
}

#[test]
fn the_unit_file_is_valid() {
    if !has("systemd-analyze") {
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let unit = std::fs::read_to_string(root.join("configs/thalweg.service")).expect("the unit");
    for wanted in ["Type=notify", "WatchdogSec=", "ExecReload="] {
        assert!(unit.contains(wanted), "{wanted}");
    }
    // The check wants the program to be there.
    let installed = "/usr/local/bin/thalweg";
    assert!(unit.contains(installed));
    let unit = unit.replace(installed, env!("CARGO_BIN_EXE_thalweg"));
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("thalweg.service");
    std::fs::write(&file, unit).expect("written");
    let output = Command::new("systemd-analyze").arg("verify").arg(&file).output().expect("run");
    let said = String::from_utf8_lossy(&output.stderr);
    let of_ours = said.lines().filter(|line| line.contains("thalweg.service"));
    let of_ours: Vec<&str> = of_ours.collect();
    assert!(of_ours.is_empty(), "{of_ours:?}");
}

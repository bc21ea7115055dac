//! Who listens on a port: without this check a forgotten server could stand in for a contestant.
//!
//! Invariant: a port belongs to a process tree if there are listeners on it and all are the tree's.
//! One stranger among them would take a part of the connections (`SO_REUSEPORT`).

use std::collections::HashSet;
use std::io;
use std::net::{Ipv4Addr, TcpListener};

/// A port that nobody listens on now.
pub(crate) fn free() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Whether the processes own the port. Refuses if somebody else listens there.
pub(super) fn is_owned(port: u16, processes: &[u32]) -> Result<bool, String> {
    let mut listeners = HashSet::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        // There is no tcp6 where IPv6 is switched off.
        listeners.extend(listening(&std::fs::read_to_string(table).unwrap_or_default(), port));
    }
    let own: HashSet<u64> = processes.iter().flat_map(|pid| sockets(*pid)).collect();
    match listeners.difference(&own).count() {
        0 => Ok(!listeners.is_empty()),
        others => Err(format!(
            "{others} of {} sockets that listen on port {port} belong to another process",
            listeners.len()
        )),
    }
}

/// Inodes of the sockets that listen on a port, out of the text of `/proc/net/tcp`.
fn listening(table: &str, port: u16) -> Vec<u64> {
    let inode = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (_, local_port) = fields.get(1)?.rsplit_once(':')?;
        let listens = *fields.get(3)? == LISTEN;
        let here = u16::from_str_radix(local_port, 16).ok()? == port;
        fields.get(9)?.parse().ok().filter(|_| listens && here)
    };
    table.lines().filter_map(inode).collect()
}

/// Inodes of a process's sockets.
fn sockets(pid: u32) -> Vec<u64> {
    let Ok(entries) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return Vec::new() };
    let inode = |target: &str| target.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok();
    let targets = entries.flatten().filter_map(|entry| std::fs::read_link(entry.path()).ok());
    targets.filter_map(|target| inode(target.to_str()?)).collect()
}

/// The state of a socket that listens, in `/proc/net/tcp`.
const LISTEN: &str = "0A";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_of_a_table() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1155 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 40501 1 0
   1: 0100007F:1155 0100007F:C001 01 00000000:00000000 00:00000000 00000000     0        0 40502 1 0
   2: 00000000:1156 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 40503 1 0
   3: 00000000000000000000000000000000:1155 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 40504 1 0";
        assert_eq!(listening(table, 0x1155), [40501, 40504]);
        assert_eq!(listening(table, 0x1156), [40503]);
        assert!(listening(table, 1).is_empty());
        assert!(listening("", 1).is_empty());
    }

    #[test]
    fn a_port_belongs_to_who_listens() {
        let own = std::process::id();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let port = address.port();
        assert_eq!(is_owned(port, &[own]), Ok(true));
        assert_eq!(is_owned(port, &[own, 1]), Ok(true));
        let stranger = is_owned(port, &[]).unwrap_err();
        assert!(stranger.contains("1 of 1 sockets"), "{stranger}");
        // A port that is taken, so that nobody else comes to listen there, by who does not listen.
        // One that was listened at a moment ago would not do: a process that another test starts
        // has the socket too, until it has begun its own program.
        let client = std::net::TcpStream::connect(address).unwrap();
        let taken = client.local_addr().unwrap().port();
        assert_eq!(is_owned(taken, &[own]), Ok(false));
    }
}

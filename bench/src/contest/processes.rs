//! A process with all that it started: what it costs, and its end. Read from `/proc`.

use std::collections::HashMap;

use rustix::process::{Pid, Signal, kill_process};

use crate::Failure;

/// A process and its descendants, the first one first. Empty if it is gone.
pub(super) fn tree(root: u32) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    for pid in entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()) {
        if let Some(parent) = stat(pid).and_then(|stat| Some(stat.parse(PARENT)? as u32)) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = Vec::new();
    let mut next = Vec::from_iter(stat(root).map(|_| root));
    while let Some(pid) = next.pop() {
        found.push(pid);
        next.extend(children.remove(&pid).unwrap_or_default());
    }
    found
}

/// CPU time that these have used, their own and that of their threads in the kernel.
pub(super) fn cpu_seconds(pids: &[u32]) -> Result<f64, Failure> {
    let ticks = |pid: &u32| {
        let stat = stat(*pid)?;
        Some(stat.parse(USER_TICKS)? + stat.parse(SYSTEM_TICKS)?)
    };
    match pids.iter().filter_map(ticks).sum::<u64>() {
        0 if pids.iter().all(|pid| stat(*pid).is_none()) => Err("the process has ended".into()),
        sum => Ok(sum as f64 / TICKS_PER_SECOND),
    }
}

/// Resident memory of these, in bytes. Pages that they share count for each.
pub(super) fn rss_bytes(pids: &[u32]) -> u64 {
    let of = |pid: &u32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    pids.iter().filter_map(of).sum::<u64>() * 1024
}

/// Threads of a process by name, with the CPU time of each in nanoseconds.
pub(super) fn threads(pid: u32) -> Vec<(String, u64)> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let thread = |path: std::path::PathBuf| {
        let name = std::fs::read_to_string(path.join("comm")).ok()?;
        let ran = std::fs::read_to_string(path.join("schedstat")).ok()?;
        Some((name.trim().to_owned(), ran.split_whitespace().next()?.parse().ok()?))
    };
    entries.filter_map(|entry| thread(entry.path())).collect()
}

/// Ends them, without a chance to object.
pub(super) fn kill(pids: &[u32]) {
    for pid in pids.iter().filter_map(|pid| Pid::from_raw(pid.cast_signed())) {
        // It may have ended by itself.
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// The fields of `/proc/PID/stat` after the name, which may hold anything.
struct Stat(String);

impl Stat {
    fn parse(&self, field: usize) -> Option<u64> {
        self.0.split(' ').nth(field)?.parse().ok()
    }
}

fn stat(pid: u32) -> Option<Stat> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(Stat(text.rsplit_once(") ")?.1.to_owned()))
}

/// Fields after the name.
const PARENT: usize = 1;
const USER_TICKS: usize = 11;
const SYSTEM_TICKS: usize = 12;
/// Of those fields: fixed on Linux.
const TICKS_PER_SECOND: f64 = 100.0;

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use super::*;

    /// A shell with a child of its own. It says so on its output.
    fn family() -> Child {
        use std::io::{BufRead as _, BufReader};
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 1000 & echo started; wait"]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "started\n");
        child
    }

    #[test]
    fn a_tree_is_found_and_ended() {
        let mut root = family();
        let pids = tree(root.id());
        assert_eq!((pids.len(), pids[0]), (2, root.id()));
        assert!(tree(std::process::id()).contains(&pids[1]));
        // A process that is just beginning its program has no memory yet, and then more and more.
        let settled = || {
            let (first, second) = (rss_bytes(&pids[..1]), rss_bytes(&pids[1..]));
            first > 0 && second > 0 && rss_bytes(&pids) == first + second
        };
        while !settled() {
            std::thread::yield_now();
        }
        assert!(cpu_seconds(&pids).is_ok());
        kill(&pids);
        root.wait().unwrap();
        assert!(tree(root.id()).is_empty());
        // The grandchild belongs to another now, which may not have noticed yet.
        let gone = || stat(pids[1]).is_none_or(|stat| stat.0.starts_with('Z'));
        while !gone() {
            std::thread::yield_now();
        }
        assert!(cpu_seconds(&pids[..1]).is_err());
    }
}

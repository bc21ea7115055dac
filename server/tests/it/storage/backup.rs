//! Backups: of a stopped server, and of one that works.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use super::super::support::{Client, Request, Server, wait_until};
use super::{fork, replace, storage};

#[test]
fn of_a_stopped_server() {
    let mut server = Server::start(&["--cores=2"]);
    for n in 0..6 {
        server.put(&format!("s/{n}"), "text/plain", format!("{n}")).expect_status(201);
    }
    server.stop();
    let (dir, outside) = (server.data_dir(), tempfile::tempdir().expect("a directory"));
    let (backup, restored) = (outside.path().join("backup"), outside.path().join("restored"));
    storage([&"backup", &dir, &"--to", &dir.join("inside")]).expect(2, &["lies in"]);
    fs::remove_dir(dir.join("inside")).expect("it is empty");
    storage([&"backup", &dir, &"--to", &backup]).expect(0, &["linked", "verified", "6 streams"]);
    storage([&"backup", &dir, &"--to", &backup]).expect(2, &["is not empty"]);
    storage([&"verify", &backup]).expect(0, &["sound"]);
    storage([&"restore", &dir, &"--to", &restored]).expect(2, &["no file BACKUP"]);
    storage([&"restore", &backup, &"--to", &backup]).expect(2, &["is not empty"]);
    let key = |dir: &std::path::Path| dir.join("keys/wake-token-key.bin");
    assert_eq!(fs::read(key(&backup)).expect("a key"), fs::read(key(&dir)).expect("a key"));
    assert_eq!(fs::metadata(key(&backup)).expect("a key").mode() & 0o777, 0o600);

    // What the server does afterwards does not touch the backup.
    server.launch();
    server.post("s/1", "text/plain", " later").expect_status(204);
    server.delete("s/2").expect_status(204);
    server.stop();
    storage([&"verify", &backup]).expect(0, &["sound"]);
    storage([&"restore", &backup, &"--to", &restored]).expect(0, &[]);
    replace(&server, &restored);
    server.launch();
    for n in 0..6 {
        assert_eq!(server.get(&format!("s/{n}")).text(), format!("{n}"));
    }
    server.stop();
    let copied = outside.path().join("copied");
    storage([&"backup", &server.data_dir(), &"--to", &copied, &"--copy"])
        .expect(0, &["0 files linked"]);
    // A damaged backup is not put back.
    let checkpoint = fs::read_dir(copied.join("checkpoints")).expect("a directory").next();
    let checkpoint = checkpoint.expect("a file").expect("an entry").path();
    let mut bytes = fs::read(&checkpoint).expect("readable");
    bytes[40] ^= 1;
    fs::write(&checkpoint, bytes).expect("written");
    let nowhere = outside.path().join("nowhere");
    storage([&"restore", &copied, &"--to", &nowhere]).expect(1, &["is damaged", "checkpoint"]);
    assert!(!nowhere.exists());
}

/// One writer: appends, and now and then a fork of its newest state on whatever core.
fn write(address: std::net::SocketAddr, writer: usize, stop: &AtomicBool, acked: &AtomicUsize) {
    let mut client = Client::connect(address);
    let source = format!("w/{writer}");
    let put = Request::put(&source).with("content-type", "text/plain");
    client.ask(&put).expect_status(201);
    for n in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let append = Request::post(&source).with("content-type", "text/plain");
        client.ask(&append.body(format!("{n:06} "))).expect_status(204);
        acked.store(n + 1, Ordering::SeqCst);
        if n % 7 == 3 {
            // The fork's path decides its core.
            let name = format!("f/{writer}/{n}");
            client.ask(&fork(&source, &name)).expect_status(201);
        }
    }
}

fn numbers(upto: usize) -> String {
    (0..upto).map(|n| format!("{n:06} ")).collect()
}

#[test]
fn of_a_server_that_works() {
    const WRITERS: usize = 3;
    let mut server = Server::start(&["--cores=2"]);
    let outside = tempfile::tempdir().expect("a directory");
    let stop = AtomicBool::new(false);
    let acked: Vec<AtomicUsize> = (0..WRITERS).map(|_| AtomicUsize::new(0)).collect();
    let mut before = Vec::new();
    thread::scope(|scope| {
        // By a panic too: the scope waits for the writers.
        scopeguard::defer! { stop.store(true, Ordering::Relaxed) }
        for (writer, acked) in acked.iter().enumerate() {
            let (address, stop) = (server.address(), &stop);
            scope.spawn(move || write(address, writer, stop, acked));
        }
        for round in 0..3 {
            let count = || acked.iter().map(|n| n.load(Ordering::SeqCst)).collect::<Vec<_>>();
            let at_least = 30 * (round + 1);
            wait_until("there is something", || count().iter().all(|n| *n >= at_least));
            before.push(count());
            let to = outside.path().join(format!("backup{round}"));
            let taken = storage([&"backup", &server.data_dir(), &"--to", &to]);
            taken.expect(0, &["of a running server", "sound"]);
        }
    });
    assert!(!server.log().contains("ERROR"), "{}", server.log());
    server.stop();
    for (round, before) in before.iter().enumerate() {
        let restored = outside.path().join(format!("restored{round}"));
        let backup = outside.path().join(format!("backup{round}"));
        storage([&"restore", &backup, &"--to", &restored]).expect(0, &[]);
        replace(&server, &restored);
        server.launch();
        let mut contents = BTreeMap::new();
        for (writer, acked) in before.iter().enumerate() {
            let path = format!("w/{writer}");
            let text = server.get(&path).expect_status(200).text();
            assert_eq!(text, numbers(text.len() / 7), "round {round}");
            assert!(
                text.len() / 7 >= *acked,
                "round {round}: what was acknowledged before is there"
            );
            contents.insert(path, text);
        }
        let mut forks = 0;
        for path in server.streams().iter().filter(|path| path.starts_with("f/")) {
            let mut parts = path.split('/').skip(1);
            let source = format!("w/{}", parts.next().expect("a writer"));
            let upto: usize = parts.next().expect("a number").parse().expect("a number");
            // Everything that it inherits is in the backup too.
            let text = server.get(path).expect_status(200).text();
            assert_eq!(text, numbers(upto + 1), "round {round}, {path}");
            assert!(contents[&source].starts_with(&text), "round {round}, {path}");
            forks += 1;
        }
        assert!(forks > 0, "round {round}");
        server.stop();
    }
}

#[test]
fn files_are_held_for_a_client() {
    let mut server = Server::start_configured(
        "",
        &["--cores=1", "--segment-bytes=1MiB", "--max-body-bytes=256KiB"],
    );
    server.put("kept", "text/plain", "kept").expect_status(201);
    let dir = server.data_dir();
    let mut client = UnixStream::connect(dir.join("control.sock")).expect("a socket");
    client.write_all(b"backup\n").expect("sent");
    let mut cut = String::new();
    BufReader::new(&client).read_line(&mut cut).expect("a cut");
    assert!(cut.contains("\"cores\":[{"), "{cut}");
    let to = tempfile::tempdir().expect("a directory");
    let other = to.path().join("other");
    storage([&"backup", &dir, &"--to", &other]).expect(3, &["another backup is under way"]);
    drop(client);
    // The hold ends with its client.
    wait_until("the hold has ended", || {
        let to = tempfile::tempdir().expect("a directory");
        storage([&"backup", &dir, &"--to", &to.path().join("b")]).code == Some(0)
    });
    let mut rude = UnixStream::connect(dir.join("control.sock")).expect("a socket");
    rude.write_all(b"frobnicate\n").expect("sent");
    let mut answer = String::new();
    BufReader::new(&rude).read_line(&mut answer).expect("an answer");
    assert!(answer.contains("error") && answer.contains("frobnicate"), "{answer}");
    server.stop();
    assert!(!dir.join("control.sock").exists());
}

//! A disk that answers EIO: what cannot be written stops the process, what cannot be read is
//! refused.

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::disk::Disk;
use super::machine::{alone, wait_for_segment_ahead};
use super::nbd::FlushlessDisk;
use crate::crash::World;
use crate::support::{Request, Server};

const SIGABRT: i32 = 6;
const SECOND: &str = "log-0/segment-0000000000000002.log";

/// The process ends by itself, with the reason in its log, and acknowledges nothing after the
/// error: everything that it did acknowledge is there when the disk works again.
#[test]
fn a_failed_write_stops_the_process() {
    let _alone = alone();
    for io in ["--io=io_uring", "--io=epoll"] {
        let Some(mut disk) = Disk::new() else { return };
        let arguments = ["--cores=2", "--segment-bytes=12MiB", io];
        let mut world = World::on(Server::start_in(&disk.data_dir(), &[], &arguments));
        let mut random = StdRng::seed_from_u64(801);
        world.load(&mut random, |server| {
            disk.cut_power();
            check_stopped(server);
        });
        disk.restore();
        world.server.launch();
        world.verify(&mut random);
        world.summary(&format!("EIO, {io}"));
    }
}

/// The flush alone fails, and works again at once: only the process that saw it knows that data
/// is gone, so it must not go on.
#[test]
fn a_failed_sync_stops_the_process_although_the_next_would_succeed() {
    let _alone = alone();
    let Some(mut disk) = FlushlessDisk::new() else { return };
    let arguments = ["--cores=1", "--segment-bytes=12MiB"];
    let mut world = World::on(Server::start_in(&disk.data_dir(), &[], &arguments));
    let mut random = StdRng::seed_from_u64(802);
    world.load(&mut random, |server| {
        disk.fail_flushes();
        check_stopped(server);
    });
    disk.restore();
    world.server.launch();
    world.verify(&mut random);
    world.summary("EIO on flush");
    world.server.stop();
}

#[track_caller]
fn check_stopped(server: &mut Server) {
    let status = server.exit();
    assert_eq!(status.signal(), Some(SIGABRT), "{status}");
    let log = server.log();
    assert!(log.contains("the log failed; stopping") || log.contains("a sync failed"), "{log}");
}

#[test]
fn a_failed_read_is_refused_and_nothing_else() {
    let _alone = alone();
    let Some(mut disk) = Disk::new() else { return };
    let mut server = Server::start_in(&disk.data_dir(), &[], &["--segment-bytes=12MiB"]);
    server.put("cold", "text/plain", "stored earlier").expect_status(201);
    let tail = server.tail("cold").expect("a stream");
    server.crash();
    wait_for_segment_ahead(&server, SECOND, 12 << 20);
    disk.forget_cached(&segment(&disk));
    disk.cut_power();

    server.get("cold").expect_problem(500, "unreadable");
    assert!(server.log().contains("log read failed"), "{}", server.log());
    assert_eq!(server.tail("cold").as_ref(), Some(&tail), "what is in memory goes on");
    server.get("/readyz").expect_status(200);
    assert!(server.is_alive());
    // The first write finds out, and nobody is told that it was stored.
    let mut client = server.connect();
    let append = Request::post("cold").with("content-type", "text/plain").body("later");
    client.send(append.encode());
    let answer = client.try_answer_to("POST");
    assert!(!answer.is_ok_and(|answer| answer.is_some_and(|answer| answer.status < 300)));
    check_stopped(&mut server);

    disk.restore();
    server.launch();
    let text = server.get("cold").expect_status(200).text();
    assert!(text == "stored earlier" || text == "stored earlierlater", "{text}");
}

/// The log of the only core.
fn segment(disk: &Disk) -> PathBuf {
    disk.data_dir().join("log-0/segment-0000000000000001.log")
}

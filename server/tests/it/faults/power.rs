//! Power cuts under load: the process and everything that was not flushed are gone at once.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::SMALL;
use super::disk::Disk;
use super::machine::{alone, wait_for_segment_ahead};
use super::shim;
use crate::crash::{World, number_from_environment};
use crate::support::Server;

const CUTS_PER_DISK: usize = 5;
const SEGMENTS: &str = "--segment-bytes=12MiB";
/// One after the other; the small segments of the last are sealed and recycled all the time.
const SERVERS: [&[&str]; 3] = [
    &["--cores=2", SEGMENTS],
    &["--cores=1", "--io=epoll", SEGMENTS],
    &["--cores=1", SMALL[0], SMALL[1]],
];

/// Load, a power cut, and a start on what is left.
fn cut(disk: &mut Disk, world: &mut World, random: &mut StdRng) {
    world.load(random, |server| {
        disk.cut_power();
        server.kill();
    });
    disk.restore();
    world.server.launch();
}

#[test]
fn a_power_cut_takes_nothing_that_was_acknowledged() {
    let _alone = alone();
    let cuts = number_from_environment("THALWEG_TEST_POWER_CUTS", 3);
    let seeds: Vec<u64> = (601..).take(cuts).collect();
    for (seeds, arguments) in seeds.chunks(CUTS_PER_DISK).zip(SERVERS.into_iter().cycle()) {
        let Some(mut disk) = Disk::new() else { return };
        let mut world = World::on(Server::start_in(&disk.data_dir(), &[], arguments));
        if arguments.contains(&SMALL[0]) {
            world = world.with_large_records();
        }
        for seed in seeds {
            eprintln!("seed {seed}, {arguments:?}");
            let mut random = StdRng::seed_from_u64(*seed);
            cut(&mut disk, &mut world, &mut random);
            world.verify(&mut random);
        }
        world.summary(&format!("power cuts, {}", arguments.join(" ")));
        world.server.stop();
    }
}

/// The test above can see: the same without the sync of the appends, and something is missing.
#[test]
fn without_the_sync_a_power_cut_takes_something() {
    const ATTEMPTS: std::ops::Range<u64> = 651..656;
    let _alone = alone();
    let Some(library) = shim::library() else { return };
    let environment = [("LD_PRELOAD", library), ("THALWEG_SHIM_NO_SYNC", Path::new("1"))];
    for seed in ATTEMPTS {
        let Some(mut disk) = Disk::new() else { return };
        let server = Server::start_in(&disk.data_dir(), &environment, &["--cores=1", SEGMENTS]);
        let mut world = World::on(server);
        // The syncs of what is made ahead would flush the appends too.
        wait_for_segment_ahead(&world.server, "log-0/segment-0000000000000002.log", 12 << 20);
        let mut random = StdRng::seed_from_u64(seed);
        let result = catch_unwind(AssertUnwindSafe(|| {
            cut(&mut disk, &mut world, &mut random);
            world.verify(&mut random);
        }));
        let Err(panic) = result else { continue };
        let said = panic.downcast_ref::<String>().cloned().unwrap_or_default();
        let losses = ["acknowledged", "is gone", "is back", "answered 404"];
        if !losses.iter().any(|loss| said.contains(loss)) {
            resume_unwind(panic);
        }
        println!("seed {seed}: {said:.300}");
        return;
    }
    panic!("nothing was lost, although nothing was synced: the test sees nothing");
}

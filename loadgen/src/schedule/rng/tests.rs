use rand::Rng as _;

use super::*;

/// The same on every machine, today and after an update of a library.
#[test]
fn golden_values() {
    let check = |mut rng: Rng, want: u64| assert_eq!(rng.random::<u64>(), want);
    check(iteration_rng(1, 0, 0), 4_349_574_324_516_417_948);
    check(iteration_rng(1, 0, 1), 5_716_907_390_988_761_739);
    check(iteration_rng(u64::MAX, u32::MAX, u64::MAX), 17_467_442_941_327_525_370);
    check(user_rng(1, 0, 0), 5_071_083_144_025_324_825);
    check(schedule_rng(1, 0), 10_689_453_647_381_913_646);
    check(timer_rng(1, 2, 3, 4), 16_408_099_984_387_942_932);
}

#[test]
fn no_two_share_a_sequence() {
    let mut firsts = Vec::new();
    for seed in 0..4 {
        for group in 0..4 {
            firsts.push(schedule_rng(seed, group));
            for index in 0..8 {
                firsts.push(iteration_rng(seed, group, index.into()));
                firsts.push(user_rng(seed, group, index));
                firsts.push(timer_rng(seed, group, index, 1));
                firsts.push(timer_rng(seed, group, 100, index));
            }
        }
    }
    let mut values: Vec<u64> = firsts.into_iter().map(|mut rng| rng.random()).collect();
    let count = values.len();
    values.sort_unstable();
    values.dedup();
    assert_eq!(values.len(), count);
}

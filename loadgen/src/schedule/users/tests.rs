use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn stage(ns: u64, users: u32) -> UserStage {
    UserStage { duration: Duration::from_nanos(ns), users }
}

fn ends(stages: &[UserStage], user: u32) -> Vec<(u64, u64)> {
    lives(stages, user).into_iter().map(|life| (life.start, life.end)).collect()
}

#[test]
fn lives_of_users() {
    let check = |stages: &[(u64, u32)], want: &[&[(u64, u64)]]| {
        let stages: Vec<UserStage> = stages.iter().map(|&(ns, users)| stage(ns, users)).collect();
        for (user, want) in want.iter().enumerate() {
            assert_eq!(ends(&stages, user as u32), *want, "user {user} of {stages:?}");
        }
        assert_eq!(ends(&stages, want.len() as u32), [], "one more of {stages:?}");
    };
    check(&[], &[]);
    check(&[(0, 5)], &[]);
    // At once, and held.
    check(&[(0, 2), (100, 2)], &[&[(0, 100)], &[(0, 100)]]);
    // One after another, the first at the begin, as with a ramp-up in JMeter.
    check(&[(100, 4)], &[&[(0, 100)], &[(25, 100)], &[(50, 100)], &[(75, 100)]]);
    check(&[(10, 3)], &[&[(0, 10)], &[(4, 10)], &[(7, 10)]]);
    // And back: the highest first, the last at the end.
    check(&[(0, 2), (100, 0)], &[&[(0, 100)], &[(0, 50)]]);
    check(&[(0, 3), (90, 1)], &[&[(0, 90)], &[(0, 90)], &[(0, 45)]]);
    check(&[(100, 2), (100, 2), (100, 0)], &[&[(0, 300)], &[(50, 250)]]);
    // Up again: the same users, in new lives.
    let twice: [(u64, u32); 4] = [(0, 2), (10, 0), (0, 2), (10, 2)];
    check(&twice, &[&[(0, 20)], &[(0, 5), (10, 20)]]);
    let storm: [(u64, u32); 5] = [(0, 1), (10, 1), (0, 0), (10, 0), (10, 1)];
    check(&storm, &[&[(0, 10), (20, 30)]]);
}

#[test]
fn most_and_duration() {
    let check = |stages: &[(u64, u32)], want: (u32, u64)| {
        let stages: Vec<UserStage> = stages.iter().map(|&(ns, users)| stage(ns, users)).collect();
        assert_eq!((most_users(&stages), users_duration_ns(&stages)), want);
    };
    check(&[], (0, 0));
    check(&[(0, 5)], (0, 0));
    check(&[(0, 5), (10, 3), (7, 4)], (5, 17));
    check(&[(u64::MAX, 1), (u64::MAX, 2)], (1, u64::MAX));
}

proptest! {
    /// At every time, exactly the users below `users_at` live.
    #[test]
    fn lives_agree_with_counts(
        stages in prop::collection::vec((0_u64..60, 0_u32..12), 0..6),
        scale in prop_oneof![Just(1_u64), Just(1_000_000_007)],
    ) {
        let stages: Vec<UserStage> =
            stages.into_iter().map(|(ns, users)| stage(ns * scale, users)).collect();
        let most = most_users(&stages);
        let all: Vec<_> = (0..=most).map(|user| lives(&stages, user)).collect();
        prop_assert!(all[most as usize].is_empty());
        let changes = all.iter().flatten().flat_map(|life| [life.start, life.end]);
        let mut times: Vec<u64> = changes.flat_map(|at| [at.saturating_sub(1), at, at + 1]).collect();
        times.extend([0, users_duration_ns(&stages)]);
        for at in times {
            let users = users_at(&stages, at);
            for (user, lives) in all.iter().enumerate() {
                let alive = lives.iter().any(|life| life.contains(&at));
                prop_assert_eq!(alive, (user as u32) < users, "user {} at {}", user, at);
            }
        }
        for lives in &all {
            prop_assert!(lives.iter().all(|life| !life.is_empty()));
            prop_assert!(lives.windows(2).all(|pair| pair[0].end < pair[1].start));
        }
    }
}

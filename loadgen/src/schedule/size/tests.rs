use super::*;
use crate::schedule::user_rng;

const DRAWS: usize = 100_000;

fn drawn(size: &Size) -> Vec<u32> {
    let (sizer, mut rng) = (Sizer::new(size), user_rng(1, 0, 0));
    let mut sizes: Vec<u32> = (0..DRAWS).map(|_| sizer.size(&mut rng)).collect();
    sizes.sort_unstable();
    sizes
}

#[test]
fn log_normal_percentiles() {
    let check = |median: u32, p99: u32, max: u32, want: [u32; 3]| {
        let sizes = drawn(&Size::LogNormal { median, p99, max });
        let got = [sizes[DRAWS / 2], sizes[DRAWS / 100 * 99], sizes[DRAWS - 1]];
        let near = |(got, want): (u32, u32)| (f64::from(got) / f64::from(want) - 1.0).abs() < 0.06;
        assert!(got.into_iter().zip(want).take(2).all(near), "{got:?}, not {want:?}");
        assert!(got[2] <= want[2]);
    };
    check(1000, 10_000, 1_000_000, [1000, 10_000, 1_000_000]);
    check(1000, 10_000, 5_000, [1000, 5_000, 5_000]);
    check(1000, 1000, 2000, [1000, 1000, 1000]);
    // A percentile below the median is no wider than none.
    check(1000, 10, 2000, [1000, 1000, 1000]);
}

#[test]
fn other_sizes() {
    assert_eq!(drawn(&Size::Constant(7)), [7; DRAWS]);
    let check = |size: Size, want: &[(u32, f64)]| {
        let sizes = drawn(&size);
        let mut seen = 0;
        for &(bytes, part) in want {
            let count = sizes.iter().filter(|size| **size == bytes).count();
            let expected = part * DRAWS as f64;
            assert!((count as f64 - expected).abs() <= 5.0 * expected.sqrt(), "{bytes}: {count}");
            seen += count;
        }
        assert_eq!(seen, DRAWS, "{size:?}");
    };
    let third = 1.0 / 3.0;
    check(Size::Uniform(5, 7), &[(5, third), (6, third), (7, third)]);
    check(Size::Uniform(7, 5), &[(5, third), (6, third), (7, third)]);
    check(Size::Weighted(vec![(10, 3.0), (20, 0.0), (30, 1.0)]), &[(10, 0.75), (30, 0.25)]);
    check(Size::Weighted(vec![(10, f64::NAN), (30, 1.0), (40, -1.0)]), &[(30, 1.0)]);
    check(Size::Weighted(Vec::new()), &[(0, 1.0)]);
}

#[test]
fn extremes() {
    for size in [Size::Uniform(0, u32::MAX), Size::LogNormal { median: 0, p99: u32::MAX, max: 9 }] {
        let largest = drawn(&size)[DRAWS - 1];
        assert!(matches!(size, Size::Uniform(..)) || largest == 9, "{size:?}: {largest}");
    }
}

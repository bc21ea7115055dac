//! Doing the same to several things at once, at a start.
//!
//! With one thread everything happens in order on the caller's, which is what a simulation needs.

use std::sync::{Mutex, PoisonError};

/// Works on all items, on so many threads at most, the caller's among them. The results have the
/// order of the items.
pub fn each<T: Send, R: Send>(
    threads: usize,
    items: Vec<T>,
    work: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    let helpers = threads.min(items.len()).saturating_sub(1);
    let results = Mutex::new(Vec::with_capacity(items.len()));
    let queue = Mutex::new(items.into_iter().enumerate());
    let run = || {
        loop {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((index, item)) = next else { return };
            let result = work(item);
            results.lock().unwrap_or_else(PoisonError::into_inner).push((index, result));
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..helpers {
            // Without one of them it takes longer.
            let helper = std::thread::Builder::new().name("recovery".to_owned());
            if helper.spawn_scoped(scope, run).is_err() {
                break;
            }
        }
        run();
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_unstable_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_keep_the_order_of_the_items() {
        for threads in [0, 1, 2, 20] {
            let items: Vec<u64> = (0..9).collect();
            assert_eq!(each(threads, items, |item| item * 2), [0, 2, 4, 6, 8, 10, 12, 14, 16]);
        }
        assert!(each(4, Vec::<u64>::new(), |item| item).is_empty());
    }
}

//! The end of whatever waits: what is under way is dropped where it stands.
//!
//! Invariant: once it has ended, nothing under it begins or goes on. What is done under it stands in
//! a list, once for all its waiting, so that a receive costs nothing for it.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::pin;
use std::task::{Poll, Waker};

/// See the module.
#[derive(Default)]
pub(crate) struct Ending {
    ended: Cell<bool>,
    /// Who is to be woken, each under a number of its own.
    waiting: RefCell<HashMap<u64, Waker>>,
    next: Cell<u64>,
}

/// A place in the list, for as long as it is kept.
struct Place<'a>(&'a Ending, u64);

impl Ending {
    /// Ends all that is under it.
    pub(crate) fn end(&self) {
        self.ended.set(true);
        self.waiting.take().into_values().for_each(Waker::wake);
    }

    /// Does it; `None` if that was ended.
    pub(crate) async fn or_ended<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        let number = self.next.replace(self.next.get() + 1);
        let mut place = None;
        poll_fn(|context| {
            if self.ended.get() {
                return Poll::Ready(None);
            }
            if place.is_none() {
                self.waiting.borrow_mut().insert(number, context.waker().clone());
                place = Some(Place(self, number));
            }
            work.as_mut().poll(context).map(Some)
        })
        .await
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.waiting.borrow_mut().remove(&self.1);
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::rc::Rc;

    use super::*;

    fn run<F: Future>(future: F) -> F::Output {
        crate::net::block_on(future).unwrap()
    }

    #[test]
    fn what_waits_is_dropped_and_what_is_done_is_kept() {
        let ending = Ending::default();
        run(async {
            assert_eq!(ending.or_ended(ready(1)).await, Some(1));
            assert!(ending.waiting.borrow().is_empty(), "it does not wait any more");
            ending.end();
            assert_eq!(ending.or_ended(ready(1)).await, None);
        });
    }

    #[test]
    fn other_tasks_are_woken() {
        let ending = Rc::new(Ending::default());
        let resource = Rc::new(());
        run(async {
            let waiting = [1, 2].map(|_| {
                let (ending, held) = (Rc::clone(&ending), Rc::clone(&resource));
                monoio::spawn(async move {
                    ending
                        .or_ended(async {
                            pending::<()>().await;
                            drop(held);
                        })
                        .await
                })
            });
            while ending.waiting.borrow().len() < 2 {
                monoio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
            ending.end();
            for task in waiting {
                assert_eq!(task.await, None);
            }
        });
        assert_eq!(Rc::strong_count(&resource), 1);
    }
}

//! Waiting between tasks of one core: a reply slot and a wake list. Nothing here is `Send`.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

/// The two ends of a reply slot.
#[must_use]
pub(crate) fn oneshot<T>() -> (Sender<T>, Receiver<T>) {
    let slot = Rc::new(Slot { state: RefCell::new(State::Empty(None)) });
    (Sender(Rc::clone(&slot)), Receiver(slot))
}

struct Slot<T> {
    state: RefCell<State<T>>,
}

enum State<T> {
    Empty(Option<Waker>),
    Full(T),
    Dropped,
}

/// Where the reply is put.
pub(crate) struct Sender<T>(Rc<Slot<T>>);

impl<T> Sender<T> {
    /// Hands the reply over. If nobody waits any more, it is dropped.
    pub(crate) fn send(self, value: T) {
        self.finish(State::Full(value));
    }

    fn finish(&self, state: State<T>) {
        let before = self.0.state.replace(state);
        match before {
            State::Empty(Some(waker)) => waker.wake(),
            State::Empty(None) => {}
            // Sent before: `drop` runs after `send` and must not take the value away.
            full => drop(self.0.state.replace(full)),
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.finish(State::Dropped);
    }
}

/// Where the reply is awaited.
pub(crate) struct Receiver<T>(Rc<Slot<T>>);

impl<T> Receiver<T> {
    /// The reply; `None` if the sender was dropped without one.
    pub(crate) async fn recv(self) -> Option<T> {
        poll_fn(|context| {
            let mut state = self.0.state.borrow_mut();
            match std::mem::replace(&mut *state, State::Dropped) {
                State::Full(value) => Poll::Ready(Some(value)),
                State::Dropped => Poll::Ready(None),
                State::Empty(_) => {
                    *state = State::Empty(Some(context.waker().clone()));
                    Poll::Pending
                }
            }
        })
        .await
    }
}

/// A flag that one task waits for and others raise.
#[derive(Default)]
pub(crate) struct Notify {
    raised: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Notify {
    /// Raises the flag and wakes the waiter.
    pub(crate) fn notify(&self) {
        self.raised.set(true);
        let waker = self.waker.borrow_mut().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Waits until the flag is raised, and lowers it.
    pub(crate) async fn notified(&self) {
        poll_fn(|context| {
            if self.raised.take() {
                return Poll::Ready(());
            }
            *self.waker.borrow_mut() = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;
    use std::pin::pin;
    use std::task::Context;

    fn poll<F: Future>(future: F) -> Poll<F::Output> {
        pin!(future).poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_reply_arrives_once_or_is_missed() {
        let (sender, receiver) = oneshot();
        sender.send(7);
        assert_eq!(poll(receiver.recv()), Poll::Ready(Some(7)));
        let (sender, receiver) = oneshot::<u8>();
        drop(sender);
        assert_eq!(poll(receiver.recv()), Poll::Ready(None));
        let (sender, receiver) = oneshot::<u8>();
        let mut waiting = pin!(receiver.recv());
        let mut context = Context::from_waker(Waker::noop());
        assert_eq!(waiting.as_mut().poll(&mut context), Poll::Pending);
        sender.send(1);
        assert_eq!(waiting.as_mut().poll(&mut context), Poll::Ready(Some(1)));
    }

    #[test]
    fn a_flag_raised_early_is_seen() {
        let notify = Notify::default();
        assert_eq!(poll(notify.notified()), Poll::Pending);
        notify.notify();
        assert_eq!(poll(notify.notified()), Poll::Ready(()));
        assert_eq!(poll(notify.notified()), Poll::Pending);
    }
}

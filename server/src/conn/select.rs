//! Waiting for the first of two things, where neither is lost by being dropped.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;

/// Which came first.
pub(crate) enum Either<A, B> {
    /// The first.
    First(A),
    /// The second.
    Second(B),
}

/// Waits for the first of two futures; the first one may be waited for again.
pub(crate) async fn either<A: Future, B: Future>(
    mut first: Pin<&mut A>,
    second: B,
) -> Either<A::Output, B::Output> {
    let mut second = pin!(second);
    poll_fn(|context| {
        if let Poll::Ready(output) = first.as_mut().poll(context) {
            return Poll::Ready(Either::First(output));
        }
        second.as_mut().poll(context).map(Either::Second)
    })
    .await
}

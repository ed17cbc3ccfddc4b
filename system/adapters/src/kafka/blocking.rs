//! Waiting for a future on a plain thread, with a limit.
//!
//! In: a future and a duration. Out: its value, or nothing when the limit was hit. Elsewhere: who names the limit in its log line
//! (`poll`). The rebalance callback of librdkafka runs on such a thread and cannot await.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use tokio::time::Instant;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Polls `future` on this thread until it is ready or `limit` has passed.
pub(super) fn wait_at_most<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let deadline = Instant::now() + limit;
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return Some(value);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        std::thread::park_timeout(left);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::oneshot;

    use super::wait_at_most;

    #[test]
    fn a_value_from_another_thread_ends_the_wait() {
        let (send, receive) = oneshot::channel();
        let sender = std::thread::spawn(move || send.send(7).expect("the waiter is there"));
        assert_eq!(wait_at_most(Duration::from_secs(60), receive), Some(Ok(7)));
        sender.join().expect("the sender does not panic");
    }

    #[test]
    fn nothing_within_the_limit_is_none_and_a_dropped_sender_is_an_answer() {
        let (send, mut receive) = oneshot::channel::<()>();
        assert_eq!(wait_at_most(Duration::from_millis(1), &mut receive), None);
        drop(send);
        assert!(wait_at_most(Duration::from_secs(60), receive).is_some_and(|answer| answer.is_err()));
    }
}

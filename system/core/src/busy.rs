//! How much of what posts is still at work, so that the relay can end after it.
//!
//! In: slots, runners and settlers that start and end. Out: the moment when none is left. Elsewhere: what they do (`posting`, `outbound`).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// A count of what may still commit. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Busy(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    count: AtomicUsize,
    over: Notify,
}

/// One slot, runner or settler; it has ended when this is dropped.
#[derive(Debug)]
pub(crate) struct AtWork(Busy);

impl Busy {
    /// One more. Whoever starts another is at work himself, so the count cannot touch zero in between.
    pub(crate) fn begin(&self) -> AtWork {
        self.0.count.fetch_add(1, Ordering::SeqCst);
        AtWork(self.clone())
    }

    /// Whether none is left; then none comes any more.
    pub(crate) fn is_over(&self) -> bool {
        self.0.count.load(Ordering::SeqCst) == 0
    }

    /// Completes when none is left.
    pub(crate) async fn over(&self) {
        let mut over = std::pin::pin!(self.0.over.notified());
        // Registered before the check, so that the end in between is not missed.
        over.as_mut().enable();
        if !self.is_over() {
            over.await;
        }
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        if self.0.0.count.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.0.over.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Busy;

    #[tokio::test]
    async fn it_is_over_with_the_last_one() {
        let busy = Busy::default();
        let (slot, runner) = (busy.begin(), busy.begin());
        drop(slot);
        assert!(!busy.is_over());
        let ((), ()) = futures_util::join!(busy.over(), async { drop(runner) });
        assert!(busy.is_over());
        busy.over().await;
    }
}

//! The stop cell: raised once, seen by threads and tasks alike.
//!
//! In: Ctrl-C, or a bank that died (`cli`). Out: load that ends at once. Elsewhere: what is reported then (`cli`).

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Raised once, never lowered.
#[derive(Debug, Default)]
pub struct Stop {
    raised: AtomicBool,
    wake: Notify,
}

impl Stop {
    /// A cell that is not raised.
    pub fn new() -> Self {
        Self::default()
    }

    /// Raises it: pacing ends, nothing new is sent, requests in flight are given up shortly after.
    pub fn raise(&self) {
        self.raised.store(true, Ordering::SeqCst);
        self.wake.notify_waiters();
    }

    /// Whether it was raised.
    pub fn is_raised(&self) -> bool {
        self.raised.load(Ordering::SeqCst)
    }

    /// Resolves once it is raised; at once when it was before.
    pub async fn raised(&self) {
        let woken = self.wake.notified();
        tokio::pin!(woken);
        // Listening begins before looking, so that a raise in between is not lost.
        woken.as_mut().enable();
        if !self.is_raised() {
            woken.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Stop;

    #[tokio::test]
    async fn a_raise_is_seen_before_and_while_waiting() {
        let stop = Arc::new(Stop::new());
        assert!(!stop.is_raised());
        let (seen, ()) = tokio::join!(
            async {
                stop.raised().await;
                stop.is_raised()
            },
            async { stop.raise() }
        );
        assert!(seen);
        stop.raised().await;
    }
}

//! What of a channel is still running: it has stopped when nothing is.
//!
//! In: parts that begin and end. Out: the moment when none is left. Elsewhere: tasks as such (`Scope`).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// The parts of one channel.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    running: AtomicUsize,
    ended: Notify,
}

/// A part that runs as long as this lives.
#[derive(Debug)]
pub(crate) struct Part(Arc<Parts>);

impl Drop for Part {
    fn drop(&mut self) {
        if self.0.running.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.ended.notify_waiters();
        }
    }
}

impl Parts {
    /// A part begins.
    pub(crate) fn begin(self: &Arc<Self>) -> Part {
        self.running.fetch_add(1, Ordering::SeqCst);
        Part(Arc::clone(self))
    }

    /// Completes when no part runs.
    pub(crate) async fn none(&self) {
        loop {
            let mut ended = std::pin::pin!(self.ended.notified());
            // Registered before the look, so that an end in between is not missed.
            ended.as_mut().enable();
            if self.running.load(Ordering::SeqCst) == 0 {
                return;
            }
            ended.await;
        }
    }
}

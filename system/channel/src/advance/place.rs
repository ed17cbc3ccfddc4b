//! Places among the transactions that are open at once, and how many are taken.
//!
//! In: whoever is about to begin an advance transaction or one that parks a letter. Out: a place, given back when it is dropped.
//! Elsewhere: who waits for what beside it (`transact`, `park`).
//!
//! | gauge | says |
//! |---|---|
//! | `channel_transactions_open` | places taken, of `transactions` in the config; those who wait for one have none |

use std::sync::PoisonError;

use bankstorm_outside::bundle::ChannelOutside;
use bankstorm_outside::process::Metrics;
use tokio::sync::SemaphorePermit;

use super::Advancer;

/// A place among the transactions.
pub(crate) struct Place<'a, O: ChannelOutside> {
    advancer: &'a Advancer<O>,
    _permit: SemaphorePermit<'a>,
}

impl<O: ChannelOutside> Drop for Place<'_, O> {
    fn drop(&mut self) {
        self.advancer.note_open(-1);
    }
}

impl<O: ChannelOutside> Advancer<O> {
    /// Waits for a place.
    pub(crate) async fn place(&self) -> Place<'_, O> {
        let permit = self.permits.acquire().await.expect("the semaphore is never closed");
        self.note_open(1);
        Place { advancer: self, _permit: permit }
    }

    fn note_open(&self, by: i64) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        *open += by;
        // Told while it is locked: of two who tell, the last one has the last number.
        self.outside.metrics().gauge("channel_transactions_open", *open);
    }
}

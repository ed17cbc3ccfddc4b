//! A process's connections, which are lent one at a time.
//!
//! In: a number. Out: places, in turn. Elsewhere: what is done on them (`session`), the real ones (`adapters::postgres::pool`).

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bankstorm_outside::StoreError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::{LEASE_LIMIT, ModelDatabase, down, in_the_background};
use crate::trace;
use crate::trace::told::seconds;

impl ModelDatabase {
    /// The same server, as one more process sees it: with connections of its own.
    pub(in crate::model) fn of_process(&self) -> Self {
        let places = Arc::new(Semaphore::new(self.inner.connections));
        let mut pools = self.inner.pools.lock().unwrap_or_else(PoisonError::into_inner);
        pools.retain(|pool| pool.strong_count() > 0);
        pools.push(Arc::downgrade(&places));
        Self { inner: Arc::clone(&self.inner), places }
    }

    /// Somebody else takes `count` connections of every process's, as they become free, and gives them all back after `lasts`, or when the
    /// server is killed.
    pub fn take_connections(&self, count: usize, lasts: Duration) {
        let pools = self.inner.pools.lock().unwrap_or_else(PoisonError::into_inner);
        let living = pools.iter().filter_map(std::sync::Weak::upgrade);
        living.for_each(|places| self.take_from(places, count, Instant::now() + lasts));
    }

    fn take_from(&self, places: Arc<Semaphore>, count: usize, until: Instant) {
        let (database, incarnation) = (self.clone(), self.server().incarnation);
        in_the_background(async move {
            let mut taken = Vec::new();
            while taken.len() < count
                && let Ok(Ok(place)) = timeout_at(until, Arc::clone(&places).acquire_owned()).await
                && database.still(incarnation).is_ok()
            {
                taken.push(database.server().open(Some(place), None));
            }
            sleep_until(until).await;
            taken.into_iter().for_each(|owner| database.client_gone(owner));
        });
    }

    /// A free connection to a server that runs. Whoever waits for one looks after sessions whose time is up.
    pub(super) async fn connection(&self) -> Result<OwnedSemaphorePermit, StoreError> {
        let place = match Arc::clone(&self.places).try_acquire_owned() {
            Ok(place) => place,
            Err(_) => self.next_place().await?,
        };
        if self.is_up() { Ok(place) } else { Err(down()) }
    }

    async fn next_place(&self) -> Result<OwnedSemaphorePermit, StoreError> {
        let limit = Instant::now() + LEASE_LIMIT;
        let mut place = std::pin::pin!(Arc::clone(&self.places).acquire_owned());
        loop {
            let wake = self.server().next_expiry().map_or(limit, |expiry| expiry.min(limit));
            tokio::select! {
                biased;
                place = &mut place => return place.map_err(|closed| StoreError::Unavailable(closed.to_string())),
                () = sleep_until(wake) => {}
            }
            let now = Instant::now();
            if now >= limit {
                let name = self.inner.name;
                trace::note_of(trace::actor(name), || {
                    format!("{name}: no free connection within {}", seconds(LEASE_LIMIT))
                });
                return Err(StoreError::Unavailable(format!("no free connection within {LEASE_LIMIT:?}")));
            }
            self.server().sweep(now);
        }
    }
}

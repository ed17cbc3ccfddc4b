//! Accounts that had to leave their batch: each account's deposits are posted together, and with nobody else's.
//!
//! In: jobs that a batch gave back. Out: transactions that wait for the account's row, up to the limit. Elsewhere: the transaction itself
//! (`posting`).
//!
//! One runner per account, while it has jobs: deposits that come while it waits for the row join its next transaction, so a hot account
//! costs one lock wait a transaction and not one a deposit.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bankstorm_contracts::AccountNo;
use bankstorm_outside::bundle::CoreOutside;
use bankstorm_outside::process::Scope;
use tokio::sync::Semaphore;

use super::busy::AtWork;
use super::{Mode, Posting};
use crate::queue::Job;

/// What waits, by account. An account is in the map as long as its runner lives.
#[derive(Debug)]
pub(super) struct Alone {
    waiting: Mutex<BTreeMap<AccountNo, Vec<Job>>>,
    slots: Semaphore,
}

impl Alone {
    /// With at most `slots` transactions at once.
    pub(super) fn new(slots: usize) -> Self {
        Self { waiting: Mutex::default(), slots: Semaphore::new(slots) }
    }

    /// Adds jobs; the accounts that need a runner.
    fn add(&self, jobs: Vec<Job>) -> Vec<AccountNo> {
        let mut fresh = Vec::new();
        let mut waiting = self.waiting();
        for job in jobs {
            let account = job.order.deposit.account;
            waiting
                .entry(account)
                .or_insert_with(|| {
                    fresh.push(account);
                    Vec::new()
                })
                .push(job);
        }
        fresh
    }

    /// The account's next jobs, at most `most`; none ends its runner.
    fn take(&self, account: AccountNo, most: usize) -> Option<Vec<Job>> {
        let mut waiting = self.waiting();
        let jobs = waiting.get_mut(&account)?;
        if jobs.is_empty() {
            waiting.remove(&account);
            return None;
        }
        let count = most.min(jobs.len());
        Some(jobs.drain(..count).collect())
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<AccountNo, Vec<Job>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<O: CoreOutside> Posting<O> {
    /// Hands jobs to their accounts' runners.
    pub(super) fn post_alone(self: &Arc<Self>, jobs: Vec<Job>) {
        for account in self.alone.add(jobs) {
            self.outside.scope().spawn("core-posting-alone", Arc::clone(self).run_alone(account, self.busy.begin()));
        }
    }

    async fn run_alone(self: Arc<Self>, account: AccountNo, _at_work: AtWork) {
        loop {
            let slot = self.alone.slots.acquire().await.expect("never closed");
            let Some(jobs) = self.alone.take(account, self.config.batch_max) else { return };
            // Only the same id with other parameters comes back: behind the others, in this runner, since the account is its own.
            let jobs = self.in_time(jobs);
            let later = self.post(Mode::Alone, jobs).await;
            drop(slot);
            let fresh = self.alone.add(later);
            debug_assert!(fresh.is_empty(), "this account has its runner");
        }
    }
}

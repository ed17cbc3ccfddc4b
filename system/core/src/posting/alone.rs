//! Those that had to leave their batch: what needs the same account is posted together, and with nobody else's.
//!
//! In: jobs that a batch gave back. Out: transactions that wait for rows, up to the limit each. Elsewhere: the transaction itself
//! (`posting`), in which order it waits (`steps`).
//!
//! One runner per account that is waited for, while it has jobs: what comes while it waits for the row joins its next transaction, so a
//! hot account costs one lock wait a transaction and not one a request, and a row that a stranger holds takes one of the few slots at
//! most. The other account of a transfer is taken if nobody holds it; if somebody does, the transfer waits for both, in account order, with
//! those of the same pair: otherwise that row would hold up all that the hot account does.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bankstorm_outside::bundle::CoreOutside;
use bankstorm_outside::core_store::Locked;
use bankstorm_outside::process::Scope;
use tokio::sync::Semaphore;

use super::{Mode, Posting};
use crate::book::OneOrTwo;
use crate::busy::AtWork;
use crate::config::LockOrder;
use crate::queue::Job;

/// A job that must be posted alone.
#[derive(Debug)]
pub(super) struct Left {
    pub(super) job: Job,
    /// The accounts to wait for.
    waits: OneOrTwo,
}

impl Left {
    /// It was left out, because a row was held (or is not there): it waits for that one, and the second time for all that it needs.
    /// Without an order of accounts it waits for all at once, its payer first (P26 off).
    pub(super) fn skipped(mode: Mode, order: LockOrder, job: Job, locked: &Locked) -> Self {
        let is_locked = |account| locked.rows.iter().any(|row| row.head.account == account);
        let missing = job.order.touched().iter().find(|account| !is_locked(*account));
        let waits = match (order, mode, missing) {
            (LockOrder::ByAccount, Mode::Batch, Some(account)) => OneOrTwo::one(account),
            _ => needs(order, &job),
        };
        Self { job, waits }
    }

    /// Its id was in work, or it comes behind another one with its id.
    pub(super) fn after(mode: Mode, order: LockOrder, job: Job) -> Self {
        let waits = match mode {
            Mode::Batch => needs(order, &job),
            Mode::Alone(waited) => waited,
        };
        Self { job, waits }
    }
}

/// The rows that a job needs, in the order in which it waits for them. Decision point P26: opposite transfers share a runner, or have two.
fn needs(order: LockOrder, job: &Job) -> OneOrTwo {
    match order {
        LockOrder::ByAccount => job.order.touched(),
        LockOrder::PayerFirst => job.order.payer_first(),
    }
}

/// What waits, by the accounts that it waits for. They are in the map as long as their runner lives.
#[derive(Debug)]
pub(super) struct Alone {
    waiting: Mutex<BTreeMap<OneOrTwo, Vec<Job>>>,
    slots: Semaphore,
}

impl Alone {
    /// With at most `slots` transactions at once.
    pub(super) fn new(slots: usize) -> Self {
        Self { waiting: Mutex::default(), slots: Semaphore::new(slots) }
    }

    /// Adds jobs; the accounts that need a runner.
    fn add(&self, left: Vec<Left>) -> Vec<OneOrTwo> {
        let mut fresh = Vec::new();
        let mut waiting = self.waiting();
        for Left { job, waits } in left {
            waiting
                .entry(waits)
                .or_insert_with(|| {
                    fresh.push(waits);
                    Vec::new()
                })
                .push(job);
        }
        fresh
    }

    /// The next jobs that wait for these, at most `most`; none ends their runner.
    fn take(&self, waits: OneOrTwo, most: usize) -> Option<Vec<Job>> {
        let mut waiting = self.waiting();
        let jobs = waiting.get_mut(&waits)?;
        if jobs.is_empty() {
            waiting.remove(&waits);
            return None;
        }
        let count = most.min(jobs.len());
        Some(jobs.drain(..count).collect())
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<OneOrTwo, Vec<Job>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<O: CoreOutside> Posting<O> {
    /// Hands jobs to their accounts' runners.
    pub(super) fn post_alone(self: &Arc<Self>, left: Vec<Left>) {
        for waits in self.alone.add(left) {
            self.outside.scope().spawn("core-posting-alone", Arc::clone(self).run_alone(waits, self.busy.begin()));
        }
    }

    async fn run_alone(self: Arc<Self>, waits: OneOrTwo, _at_work: AtWork) {
        loop {
            let slot = self.alone.slots.acquire().await.expect("never closed");
            let Some(jobs) = self.alone.take(waits, self.config.batch_max) else { return };
            let jobs = self.in_time(jobs);
            let left = self.post(Mode::Alone(waits), jobs).await;
            drop(slot);
            // The same id with other parameters comes back to this runner; who needs another row that is held goes to another one.
            self.post_alone(left);
        }
    }
}

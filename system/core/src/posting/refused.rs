//! What follows when a transaction's steps did not come about, or its commit failed: nothing was done.
//!
//! In: jobs, why not. Out: who is tried again with whom, and who is told so. Elsewhere: the steps (`steps`), the words (`answers`).

use bankstorm_outside::StoreError;
use bankstorm_outside::bundle::CoreOutside;
use bankstorm_outside::process::Points;

use super::alone::Left;
use super::{Attempt, Mode, Posting};
use crate::markers;
use crate::queue::Job;

/// Why claim and lock did not come about.
pub(super) enum Refusal {
    /// An id was not to be had in time.
    IdInWork,
    /// An account's row was not to be had in time.
    RowHeld,
    /// The store said no.
    Store(StoreError),
}

impl Refusal {
    /// The refusal that an error means; `timeout` is what a lock timeout means.
    pub(super) fn of(error: StoreError, timeout: Self) -> Self {
        match error {
            StoreError::LockTimeout => timeout,
            other => Self::Store(other),
        }
    }
}

impl<O: CoreOutside> Posting<O> {
    /// Nothing was done: who tries again, and who is told so.
    pub(super) fn refused(&self, mode: Mode, jobs: Vec<Job>, refusal: Refusal) -> Attempt {
        match refusal {
            // Somebody's id is in work elsewhere: strangers must not wait for it, here or for one of the few slots of those alone.
            Refusal::IdInWork if mode == Mode::Batch => {
                self.outside.points().reached(markers::BATCH_SPLIT);
                if jobs.len() > 1 {
                    return Attempt::Parted(halves(jobs));
                }
                let order = self.config.protections.lock_order;
                Attempt::Done(jobs.into_iter().map(|job| Left::after(mode, order, job)).collect())
            }
            Refusal::IdInWork if jobs.len() > 1 => {
                self.outside.points().reached(markers::BATCH_SPLIT);
                Attempt::Parted(jobs.into_iter().map(|job| vec![job]).collect())
            }
            Refusal::IdInWork => {
                jobs.into_iter().for_each(|job| self.processing(job));
                Attempt::Done(Vec::new())
            }
            Refusal::RowHeld => {
                let limit = self.row_wait();
                self.none_started(jobs, &format!("nothing was done: an account's row was held for over {limit:?}"))
            }
            Refusal::Store(error @ (StoreError::Data { .. } | StoreError::Deadlock)) if jobs.len() > 1 => {
                self.outside.points().reached(markers::BATCH_SPLIT);
                tracing::warn!(requests = jobs.len(), %error, "a batch is split");
                Attempt::Split(halves(jobs))
            }
            Refusal::Store(error) => self.none_started(jobs, &format!("nothing was done: {error}")),
        }
    }
}

fn halves(mut jobs: Vec<Job>) -> Vec<Vec<Job>> {
    let half = jobs.split_off(jobs.len() / 2);
    vec![half, jobs]
}

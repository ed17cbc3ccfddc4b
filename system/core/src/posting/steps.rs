//! The steps of a posting transaction up to the plan: claim, lock, judge the time.
//!
//! In: a transaction, orders. Out: what they met, or why they did not. Elsewhere: where ids are claimed, and the commit (`booking`), the plan
//! (`book`).

use std::time::Duration;

use bankstorm_contracts::{AccountNo, TransferId, WallMicros};
use bankstorm_outside::bundle::CoreOutside;
use bankstorm_outside::core_store::{Claim, Claimed, CoreStore, CoreTx, Locked};
use bankstorm_outside::{LockMode, StoreError};

use super::booking::Booking;
use super::refused::Refusal;
use super::{Mode, Posting};
use crate::book::{self, OneOrTwo, Order};
use crate::config::{AccountLock, DeadlineCheck, KeyClaim, LockOrder};
use crate::queue::Job;

/// What a group of orders met.
pub(super) struct Met {
    pub(super) claimed: Vec<Claimed>,
    pub(super) locked: Locked,
    /// Whose validity is over.
    pub(super) expired: Vec<TransferId>,
}

impl<O: CoreOutside> Posting<O> {
    /// Claims the ids, locks the accounts, and judges the time once they are locked. Decision point P4, P5 (the time).
    pub(super) async fn meet(
        &self,
        booking: &mut Booking<<O::Store as CoreStore>::Tx>,
        mode: Mode,
        claim_wait: Duration,
        jobs: &[Job],
        orders: &[Order],
    ) -> Result<Met, Refusal> {
        let early = match (self.config.protections.deadline_check, mode) {
            (DeadlineCheck::AtArrival, Mode::Batch) => {
                // No rows, just the database's clock before anything is waited for.
                let first = booking.tx.lock(&[], LockMode::SkipLocked).await.map_err(Refusal::Store)?;
                self.over(jobs, first.now)
            }
            _ => Vec::new(),
        };
        let (claimed, locked) = self.claim_and_lock(booking, mode, claim_wait, orders).await?;
        let expired = match self.config.protections.deadline_check {
            DeadlineCheck::UnderTheLock => self.over(jobs, locked.now),
            DeadlineCheck::AtArrival | DeadlineCheck::Never => early,
        };
        Ok(Met { claimed, locked, expired })
    }

    async fn claim_and_lock(
        &self,
        booking: &mut Booking<<O::Store as CoreStore>::Tx>,
        mode: Mode,
        wait: Duration,
        orders: &[Order],
    ) -> Result<(Vec<Claimed>, Locked), Refusal> {
        let claims: Vec<Claim> = orders.iter().map(Order::claim).collect();
        let mut accounts: Vec<AccountNo> = orders.iter().flat_map(|order| order.touched().iter()).collect();
        accounts.sort_unstable();
        accounts.dedup();
        let protections = &self.config.protections;
        if (mode, protections.key, protections.account_lock) == (Mode::Batch, KeyClaim::InTheBooking, AccountLock::Row)
        {
            return booking
                .tx
                .claim_and_lock(&claims, wait, &accounts, LockMode::SkipLocked)
                .await
                .map_err(|error| Refusal::of(error, Refusal::IdInWork));
        }
        // Two round trips here: an id in work is `processing`, a held row means that nothing was done.
        let claimed =
            self.claim(booking, &claims, wait).await.map_err(|error| Refusal::of(error, Refusal::IdInWork))?;
        let locked =
            self.lock(&mut booking.tx, mode, &accounts).await.map_err(|error| Refusal::of(error, Refusal::RowHeld))?;
        Ok((claimed, locked))
    }

    /// Locks the accounts. Decision point P25.
    async fn lock(
        &self,
        tx: &mut <O::Store as CoreStore>::Tx,
        mode: Mode,
        accounts: &[AccountNo],
    ) -> Result<Locked, StoreError> {
        match (self.config.protections.account_lock, mode) {
            (AccountLock::Row, Mode::Batch) => tx.lock(accounts, LockMode::SkipLocked).await,
            (AccountLock::Row, Mode::Alone(waited)) => self.lock_alone(tx, waited, accounts).await,
            (AccountLock::None, _) => tx.read_unlocked(accounts).await,
        }
    }

    /// Waits for one or two rows, and takes of the others what nobody holds: a transaction that holds a row waits for none but in account
    /// order, so none waits for another in a circle. Decision point P26: one that waits for its payer first may.
    async fn lock_alone(
        &self,
        tx: &mut <O::Store as CoreStore>::Tx,
        waited: OneOrTwo,
        accounts: &[AccountNo],
    ) -> Result<Locked, StoreError> {
        let wait = LockMode::Wait(self.row_wait());
        let first: Vec<AccountNo> = waited.iter().collect();
        let others: Vec<AccountNo> = accounts.iter().copied().filter(|account| !waited.contains(*account)).collect();
        let mut steps: Vec<(&[AccountNo], LockMode)> = match self.config.protections.lock_order {
            LockOrder::ByAccount => vec![(&first, wait)],
            LockOrder::PayerFirst => first.chunks(1).map(|one| (one, wait)).collect(),
        };
        if !others.is_empty() {
            steps.push((&others, LockMode::SkipLocked));
        }
        let mut locked = Locked { rows: Vec::new(), now: WallMicros(0) };
        for (rows, mode) in steps {
            let more = tx.lock(rows, mode).await?;
            locked.rows.extend(more.rows);
            locked.now = more.now;
        }
        locked.rows.sort_unstable_by_key(|row| row.head.account);
        Ok(locked)
    }

    /// How long accounts posted alone wait for each row. Without an order (P26 off) for as long as anything waits here: a limit that ends
    /// before the database looks for circles would break each circle first.
    pub(super) fn row_wait(&self) -> Duration {
        match self.config.protections.lock_order {
            LockOrder::ByAccount => self.config.lock_timeout,
            LockOrder::PayerFirst => self.config.lock_timeout.max(self.config.queue_wait),
        }
    }

    /// Whose validity is over.
    fn over(&self, jobs: &[Job], now: WallMicros) -> Vec<TransferId> {
        let over = |job: &&Job| book::is_over(self.config.deadline, job.order.promise(), job.since.elapsed(), now);
        jobs.iter().filter(over).map(|job| job.order.id()).collect()
    }
}

//! The steps of a posting transaction up to the plan: claim, lock, judge the time.
//!
//! In: a transaction, orders. Out: what they met, or why they did not. Elsewhere: the plan (`book`), the commit (`posting`).

use bankstorm_contracts::{AccountNo, TransferId, WallMicros};
use bankstorm_outside::bundle::CoreOutside;
use bankstorm_outside::core_store::{Claim, Claimed, CoreStore, CoreTx, Locked};
use bankstorm_outside::{LockMode, StoreError};

use super::refused::Refusal;
use super::{Mode, Posting};
use crate::book::{self, OneOrTwo, Order};
use crate::config::DeadlineCheck;
use crate::queue::Job;

impl<O: CoreOutside> Posting<O> {
    /// Claims the ids and locks the accounts. Decision point P1, P2 (the claim) and P25 (the lock).
    pub(super) async fn claim_and_lock(
        &self,
        tx: &mut <O::Store as CoreStore>::Tx,
        mode: Mode,
        orders: &[Order],
    ) -> Result<(Vec<Claimed>, Locked), Refusal> {
        let claims: Vec<Claim> = orders.iter().map(Order::claim).collect();
        let mut accounts: Vec<AccountNo> = orders.iter().flat_map(|order| order.touched().iter()).collect();
        accounts.sort_unstable();
        accounts.dedup();
        match mode {
            Mode::Batch => tx
                .claim_and_lock(&claims, self.config.batch_claim_wait, &accounts, LockMode::SkipLocked)
                .await
                .map_err(|error| Refusal::of(error, Refusal::IdInWork)),
            Mode::Alone(waited) => {
                // Two round trips here: an id in work is `processing`, a held row means that nothing was done.
                let wait = self.config.lock_timeout;
                let claimed = tx.claim(&claims, wait).await.map_err(|error| Refusal::of(error, Refusal::IdInWork))?;
                let locked = self
                    .lock_alone(tx, waited, &accounts)
                    .await
                    .map_err(|error| Refusal::of(error, Refusal::RowHeld))?;
                Ok((claimed, locked))
            }
        }
    }

    /// Waits for one or two rows, and takes of the others what nobody holds: a transaction that holds a row waits for none but in account
    /// order, so none waits for another in a circle. Decision point P26.
    async fn lock_alone(
        &self,
        tx: &mut <O::Store as CoreStore>::Tx,
        waited: OneOrTwo,
        accounts: &[AccountNo],
    ) -> Result<Locked, StoreError> {
        let first: Vec<AccountNo> = waited.iter().collect();
        let others: Vec<AccountNo> = accounts.iter().copied().filter(|account| !waited.contains(*account)).collect();
        let mut locked = tx.lock(&first, LockMode::Wait(self.config.lock_timeout)).await?;
        if !others.is_empty() {
            let more = tx.lock(&others, LockMode::SkipLocked).await?;
            locked.rows.extend(more.rows);
            locked.rows.sort_unstable_by_key(|row| row.head.account);
            locked.now = more.now;
        }
        Ok(locked)
    }

    /// Whose validity is over, now that the rows are locked. Decision point P4, P5.
    pub(super) fn expired(&self, jobs: &[Job], now: WallMicros) -> Vec<TransferId> {
        if self.config.protections.deadline_check != DeadlineCheck::UnderTheLock {
            return Vec::new();
        }
        let over = |job: &&Job| book::is_over(self.config.deadline, job.order.promise(), job.since.elapsed(), now);
        jobs.iter().filter(over).map(|job| job.order.id()).collect()
    }
}

//! The transaction that ends a hold: reopened under its row lock, so that it ends once however many know the answer.
//!
//! In: an id, the bank's definite answer. Out: the verdict, by this or an earlier transaction. Elsewhere: what is written (`book`), who
//! comes with the answer (`ask`, `outbound`).

use bankstorm_contracts::banks_api::CreditState;
use bankstorm_contracts::core_api::Verdict;
use bankstorm_contracts::{TransferId, TransferKind, TransferState};
use bankstorm_outside::bundle::CoreOutside;
use bankstorm_outside::core_store::{CoreStore, CoreTx, OpenHold, TransferRecord};
use bankstorm_outside::process::{Metrics, Points};
use bankstorm_outside::{CommitOutcome, LockMode, StoreError};

use super::Outbound;
use crate::config::AccountLock;
use crate::{book, markers};

/// A bank's definite answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Definite {
    pub(super) state: CreditState,
    pub(super) by: By,
}

/// How it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// As the answer to a credit.
    Credit,
    /// As the answer to a cancel.
    Cancel,
    /// The bank told it by itself.
    Told,
    /// It did not: the hold has expired, and that is taken for a no (P32 off).
    Age,
}

/// How a hold stands after a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Ended by this one.
    Ended(Verdict),
    /// Ended before.
    Stood(TransferRecord),
    /// No transfer to another bank has this id.
    NoSuchHold,
}

/// Why a transaction did not end it, as far as one can tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// For certain.
    NotStarted(String),
    /// Its commit was not answered; the next one finds out.
    Unknown(String),
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::NotStarted(format!("nothing was done: {error}"))
    }
}

impl<O: CoreOutside> Outbound<O> {
    /// Ends a hold by an answer, forgets it, and tells who waits for it.
    pub(super) async fn conclude(&self, id: TransferId, definite: Definite) -> Result<Ending, Trouble> {
        let ending = {
            let _slot = self.settling.acquire().await.expect("never closed");
            self.settle(id, definite.state).await?
        };
        let (waiter, room) = {
            let mut known = self.known();
            (known.end(id), known.room_again())
        };
        if room {
            self.room.notify_one();
        }
        self.gauge();
        let verdict = match &ending {
            Ending::Ended(verdict) => {
                self.ended(definite);
                *verdict
            }
            Ending::Stood(record) => {
                self.stood(record, definite);
                book::verdict_of(record, self.config.protections.binding)
            }
            Ending::NoSuchHold => return Ok(ending),
        };
        if let Some(waiter) = waiter {
            // He may have gone, or been told that it is in work.
            let _ = waiter.send(verdict);
        }
        Ok(ending)
    }

    /// One transaction: transfer before account, as everywhere. Decision point P25 (the lock), for holds.
    async fn settle(&self, id: TransferId, state: CreditState) -> Result<Ending, Trouble> {
        let wait = self.config.lock_timeout;
        let mut tx = self.outside.store().begin().await?;
        let Some(hold) = tx.reopen(&[id], wait).await?.into_iter().next() else {
            drop(tx);
            return self.ended_before(id).await;
        };
        let locked = match self.config.protections.account_lock {
            AccountLock::Row => tx.lock(&[hold.account], LockMode::Wait(wait)).await?,
            AccountLock::None => tx.read_unlocked(&[hold.account]).await?,
        };
        let (verdict, mut writes) = book::end(&hold, state, &locked).ok_or_else(|| impossible(&hold))?;
        let due = self.publishing.before(&mut writes).await?;
        let outcome = tx.write_and_commit(&writes).await;
        self.publishing.after(due, &outcome);
        match outcome {
            CommitOutcome::Ok => Ok(Ending::Ended(verdict)),
            CommitOutcome::Failed(error) => Err(error.into()),
            CommitOutcome::Unknown(detail) => {
                self.outside.points().reached(markers::COMMIT_UNKNOWN);
                Err(Trouble::Unknown(format!("whether the hold of {id} was ended is not known: {detail}")))
            }
        }
    }

    /// What stands under an id that has no open hold.
    async fn ended_before(&self, id: TransferId) -> Result<Ending, Trouble> {
        let record = self.outside.store().transfer(id).await?;
        match record.filter(|record| record.kind == TransferKind::Outbound) {
            Some(record) if record.state == TransferState::Processing => {
                Err(Trouble::NotStarted(format!("nothing was done: {id} is in work and has no open hold yet")))
            }
            Some(record) => Ok(Ending::Stood(record)),
            None => Ok(Ending::NoSuchHold),
        }
    }

    fn ended(&self, definite: Definite) {
        let (points, metrics) = (self.outside.points(), self.outside.metrics());
        let (marker, counter, cancelled) = match definite.state {
            CreditState::Credited => (markers::HOLD_POSTED, "core_outbound_posted_total", markers::CANCEL_MET_CREDIT),
            CreditState::Refused => (markers::HOLD_VOIDED, "core_outbound_voided_total", markers::CANCEL_WON),
        };
        points.reached(marker);
        metrics.count(counter, 1);
        if definite.by == By::Cancel {
            points.reached(cancelled);
        }
    }

    /// The first answer stands; one that says the opposite means that the other bank keeps no promise, which is for people to see.
    fn stood(&self, record: &TransferRecord, definite: Definite) {
        if definite.by == By::Told {
            self.outside.points().reached(markers::OUTCOME_AGAIN);
        }
        if contradicts(record, definite.state) {
            self.outside.metrics().count("core_outbound_contradicted_total", 1);
            tracing::error!(id = %record.id, state = record.state.as_str(), told = definite.state.as_str(), "a bank contradicts itself");
        }
    }
}

/// Whether an answer says the opposite of what was booked on an earlier one. A transfer that never was held contradicts a credit too.
fn contradicts(record: &TransferRecord, state: CreditState) -> bool {
    match state {
        CreditState::Credited => record.state != TransferState::Completed,
        CreditState::Refused => record.state == TransferState::Completed,
    }
}

fn impossible(hold: &OpenHold) -> Trouble {
    Trouble::NotStarted(format!(
        "nothing was done: account {} of hold {} is not there, or its sums do not fit",
        hold.account, hold.transfer
    ))
}

#[cfg(test)]
mod tests {
    use bankstorm_contracts::{ParamsHash, RejectReason, TransferId, TransferKind, TransferState};
    use bankstorm_outside::core_store::TransferRecord;
    use uuid::Uuid;

    use super::{CreditState, contradicts};

    #[test]
    fn an_outcome_that_comes_twice_agrees_and_the_opposite_one_is_seen_d29() {
        let record = |state, reason| TransferRecord {
            id: TransferId(Uuid::from_u128(1)),
            kind: TransferKind::Outbound,
            params_hash: ParamsHash([1; 32]),
            state,
            reason,
            seq: None,
            balance_after: None,
            posted_at: None,
        };
        let posted = record(TransferState::Completed, None);
        let voided = record(TransferState::Rejected, Some(RejectReason::RefusedByBank));
        let short = record(TransferState::Rejected, Some(RejectReason::InsufficientFunds));
        let cases = [(&posted, false, true), (&voided, true, false), (&short, true, false)];
        for (record, credited, refused) in cases {
            assert_eq!(contradicts(record, CreditState::Credited), credited, "{record:?}");
            assert_eq!(contradicts(record, CreditState::Refused), refused, "{record:?}");
        }
    }
}

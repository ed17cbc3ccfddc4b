//! The transaction that books, and the claim of its ids: in it, or weaker (P1, P2).
//!
//! In: claims, a plan's rows. Out: what the claims met, how the commit ended. Elsewhere: which rows are locked (`steps`), the plan (`book`),
//! what becomes of the records (`publishing`).
//!
//! The weaker programs leave everything else as it is. Their second transaction is begun with the first one, so each costs a connection more.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bankstorm_contracts::{TransferId, TransferKind};
use bankstorm_outside::bundle::CoreOutside;
use bankstorm_outside::core_store::{Claim, Claimed, CoreStore, CoreTx, Writes};
use bankstorm_outside::{CommitOutcome, StoreError};
use uuid::Uuid;

use super::Posting;
use crate::config::KeyClaim;

/// What keys of their own differ by: an odd number, so that no two attempts at an id share one.
const STRIDE: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;

/// One attempt at a group of jobs, as transactions.
pub(super) struct Booking<T> {
    /// Locks and writes.
    pub(super) tx: T,
    /// Claims and settles, where that is not the same (P2 off).
    aside: Option<T>,
    /// The keys under which ids are settled that stood before (P1 off).
    keys: BTreeMap<TransferId, TransferId>,
}

impl<O: CoreOutside> Posting<O> {
    /// Begins. Decision point P2: where ids are claimed.
    pub(super) async fn begin(&self) -> Result<Booking<<O::Store as CoreStore>::Tx>, StoreError> {
        let store = self.outside.store();
        let tx = store.begin().await?;
        let aside = match self.config.protections.key {
            KeyClaim::InTheBooking | KeyClaim::None => None,
            KeyClaim::BeforeTheBooking | KeyClaim::AfterTheBooking => Some(store.begin().await?),
        };
        Ok(Booking { tx, aside, keys: BTreeMap::new() })
    }

    /// Claims ids. Decision point P1: whether an id that stands keeps anybody from posting it.
    pub(super) async fn claim(
        &self,
        booking: &mut Booking<<O::Store as CoreStore>::Tx>,
        claims: &[Claim],
        wait: Duration,
    ) -> Result<Vec<Claimed>, StoreError> {
        let mut claimed = booking.aside.as_mut().unwrap_or(&mut booking.tx).claim(claims, wait).await?;
        if self.config.protections.key != KeyClaim::None {
            return Ok(claimed);
        }
        let again: Vec<usize> = (0..claims.len()).filter(|place| repeats(&claims[*place], &claimed[*place])).collect();
        if again.is_empty() {
            return Ok(claimed);
        }
        let anew: Vec<Claim> = again.iter().map(|place| self.anew(&claims[*place])).collect();
        let answers = booking.tx.claim(&anew, wait).await?;
        for ((place, own), answer) in again.into_iter().zip(&anew).zip(answers) {
            if answer == Claimed::New {
                claimed[place] = Claimed::New;
                booking.keys.insert(claims[place].id, own.id);
            }
        }
        Ok(claimed)
    }

    /// The same claim under a key that only this attempt has.
    fn anew(&self, claim: &Claim) -> Claim {
        let attempt = self.attempts.fetch_add(1, Ordering::Relaxed) + 1;
        let key = claim.id.0.as_u128().wrapping_add(STRIDE.wrapping_mul(u128::from(attempt)));
        Claim { id: TransferId(Uuid::from_u128(key)), ..claim.clone() }
    }

    /// Writes and commits, and sees to the records.
    pub(super) async fn commit(
        &self,
        booking: Booking<<O::Store as CoreStore>::Tx>,
        mut writes: Writes,
    ) -> CommitOutcome {
        let due = match self.publishing.before(&mut writes).await {
            Ok(due) => due,
            // Dropping the transactions rolls them back.
            Err(error) => return CommitOutcome::Failed(error),
        };
        let outcome = self.commit_rows(booking, writes).await;
        self.publishing.after(due, &outcome);
        outcome
    }

    async fn commit_rows(&self, booking: Booking<<O::Store as CoreStore>::Tx>, mut writes: Writes) -> CommitOutcome {
        let Booking { tx, aside, keys } = booking;
        for settled in &mut writes.settled {
            settled.id = keys.get(&settled.id).copied().unwrap_or(settled.id);
        }
        for released in &mut writes.released {
            *released = keys.get(released).copied().unwrap_or(*released);
        }
        let Some(aside) = aside else { return tx.write_and_commit(&writes).await };
        let claims = Writes {
            settled: std::mem::take(&mut writes.settled),
            released: std::mem::take(&mut writes.released),
            ..Writes::default()
        };
        // Between the two a kill leaves one of them without the other, and so does a commit that fails.
        let ((first, rows), (second, rest)) = match self.config.protections.key {
            KeyClaim::AfterTheBooking => ((tx, writes), (aside, claims)),
            _ => ((aside, claims), (tx, writes)),
        };
        match first.write_and_commit(&rows).await {
            CommitOutcome::Ok => second.write_and_commit(&rest).await,
            other => other,
        }
    }
}

/// Whether this is a request that was settled before. What goes to another bank keeps its id, which is the other bank's key too; what met a
/// tombstone or other parameters is a matter of P6 and P3.
fn repeats(claim: &Claim, met: &Claimed) -> bool {
    match met {
        Claimed::New => false,
        Claimed::Existing(record) => {
            claim.kind != TransferKind::Outbound && record.kind == claim.kind && record.params_hash == claim.params_hash
        }
    }
}

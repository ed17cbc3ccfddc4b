//! One step as a future, and what its answer means.
//!
//! In: a transaction, an act, what its session knows. Out: an [`Answer`]. Elsewhere: when (`run`).

use std::collections::BTreeMap;

use bankstorm_contracts::channel_api::TransferStage;
use bankstorm_contracts::{AccountNo, TransferId, Won};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;

use super::super::channel::{new, transfer_text};
use super::super::core::{claim, hold_text};
use super::super::{Act, Kind, Subject, View, Wait, What, account, class, id_of, place_of, row_text, texts, transfer};
use super::Known;
use crate::channel_store::{Opened, TransferRow};
use crate::core_store::{AccountRow, Claim, Claimed, OpenHold, TransferRecord};
use crate::store::{CommitOutcome, LockMode, StoreError};

/// An answer.
pub(super) struct Answer {
    pub(super) text: String,
    pub(super) effect: Effect,
}

/// What an answer means.
pub(super) enum Effect {
    /// These ids are the session's.
    Claimed(Vec<(u8, bool)>),
    /// These rows are.
    Locked(BTreeMap<u8, AccountRow>),
    /// Both.
    Both(Vec<(u8, bool)>, BTreeMap<u8, AccountRow>),
    /// These open holds are: whose, how much.
    Reopened(BTreeMap<u8, (u8, Won)>),
    /// This transfer is, with its guard, or none is.
    Opened(Option<(u8, Option<u8>)>),
    /// These transfers are.
    LockedTransfers(BTreeMap<u8, TransferStage>),
    /// The session now knows this.
    Wrote(View),
    /// The transaction is over, with effect.
    Committed(View),
    /// It is over, without.
    RolledBack,
    /// The client refused a step: the server knows nothing of it.
    Refused,
    /// The server ended the transaction.
    Failed(StoreError),
}

impl Effect {
    /// Whether the transaction goes on, so that nobody else was set free.
    pub(super) const fn goes_on(&self) -> bool {
        match self {
            Self::Claimed(_)
            | Self::Locked(_)
            | Self::Both(..)
            | Self::Reopened(_)
            | Self::Opened(_)
            | Self::LockedTransfers(_)
            | Self::Wrote(_) => true,
            Self::Committed(_) | Self::RolledBack | Self::Refused | Self::Failed(_) => false,
        }
    }
}

/// Starts a step. Its future owns the transaction, and gives it back where it is not over.
pub(super) fn start<S: Subject>(
    mut tx: S::Tx,
    act: &Act,
    known: &Known,
) -> LocalBoxFuture<'static, (Option<S::Tx>, Answer)> {
    let (act, view, dead) = (act.clone(), known.view.clone(), known.dead);
    async move {
        match act {
            Act::Claim(ids, wait) => {
                let answer = S::claim(&mut tx, &claims(&ids), wait.limit()).await;
                (Some(tx), answered::<S, _>(answer, |claimed| claimed_answer(&ids, &claimed)))
            }
            Act::Lock(places, mode) => {
                let answer = S::lock(&mut tx, &accounts(&places), lock_mode(mode)).await;
                (Some(tx), answered::<S, _>(answer, |heads| locked_answer(&heads)))
            }
            Act::ClaimAndLock(ids, wait, places, mode) => {
                let (claims, accounts) = (claims(&ids), accounts(&places));
                let answer = S::claim_and_lock(&mut tx, &claims, wait.limit(), &accounts, lock_mode(mode)).await;
                (Some(tx), answered::<S, _>(answer, |(claimed, heads)| both_answer(&ids, &claimed, &heads)))
            }
            Act::Reopen(ids, wait) => {
                let answer = S::reopen(&mut tx, &transfers(&ids), wait.limit()).await;
                (Some(tx), answered::<S, _>(answer, |holds| reopened_answer(&holds)))
            }
            Act::Open(id, guard, wait) => {
                let answer = S::open(&mut tx, &new(id, guard), wait.limit()).await;
                (Some(tx), answered::<S, _>(answer, |opened| opened_answer(id, guard, &opened)))
            }
            Act::LockTransfers(ids, wait) => {
                let answer = S::lock_transfers(&mut tx, &transfers(&ids), wait.limit()).await;
                (Some(tx), answered::<S, _>(answer, |rows| locked_transfers_answer(&rows)))
            }
            Act::Write(what) => {
                let (rows, next) = S::rows(&view, what);
                let answer = S::write(&mut tx, &rows).await;
                let mut said =
                    answered::<S, _>(answer, |()| Answer { text: "ok".to_owned(), effect: Effect::Wrote(next) });
                if what == What::NotClaimed && matches!(said.effect, Effect::Failed(StoreError::Other(_))) {
                    // Refused by the client, in the channel too.
                    said.effect = Effect::Refused;
                }
                (Some(tx), said)
            }
            Act::WriteAndCommit(what) => {
                let (rows, next) = S::rows(&view, what);
                (None, ended(S::write_and_commit(tx, &rows).await, next, false))
            }
            // The connection of a dead session was cut before, so a commit of it has no effect, whatever is said.
            Act::CutAfter => (None, ended(S::commit(tx).await, view, !dead)),
            _ => (None, ended(S::commit(tx).await, view, false)),
        }
    }
    .boxed_local()
}

fn claims(ids: &[(u8, bool)]) -> Vec<Claim> {
    ids.iter().map(|(id, other)| claim(*id, *other)).collect()
}

fn transfers(ids: &[u8]) -> Vec<TransferId> {
    ids.iter().map(|id| transfer(*id)).collect()
}

fn accounts(places: &[u8]) -> Vec<AccountNo> {
    places.iter().map(|place| account(*place)).collect()
}

fn lock_mode(mode: Option<Wait>) -> LockMode {
    mode.map_or(LockMode::SkipLocked, |wait| LockMode::Wait(wait.limit()))
}

fn answered<S: Subject, T>(answer: Result<T, StoreError>, ok: impl FnOnce(T) -> Answer) -> Answer {
    match answer {
        Ok(value) => ok(value),
        Err(error) => {
            let text = class(&error);
            // Core's store refuses what the transaction does not hold before the server hears of it; all else the server refuses itself.
            let refused = S::KIND == Kind::Core && matches!(error, StoreError::Other(_));
            let effect = if refused { Effect::Refused } else { Effect::Failed(error) };
            Answer { text, effect }
        }
    }
}

fn ended(outcome: CommitOutcome, view: View, although_unknown: bool) -> Answer {
    let (text, committed) = match outcome {
        CommitOutcome::Ok => ("ok".to_owned(), true),
        CommitOutcome::Failed(error) => (format!("failed: {}", class(&error)), false),
        CommitOutcome::Unknown(_) => ("unknown".to_owned(), although_unknown),
    };
    Answer { text, effect: if committed { Effect::Committed(view) } else { Effect::RolledBack } }
}

fn claimed_text(claimed: &[Claimed]) -> String {
    texts(claimed.iter().map(|claimed| match claimed {
        Claimed::New => "new".to_owned(),
        Claimed::Existing(record) => record_text(record),
    }))
}

pub(in super::super) fn record_text(record: &TransferRecord) -> String {
    format!(
        "{} {} {} {:?} {:?} {:?} {:?} {:02x}{:02x}",
        record.id.0.as_u128(),
        record.kind.as_str(),
        record.state.as_str(),
        record.reason,
        record.seq,
        record.balance_after.map(Won::get),
        record.posted_at.map(|at| at.0 % 1_000),
        record.params_hash.0[0],
        record.params_hash.0[1],
    )
}

fn new_ids(ids: &[(u8, bool)], claimed: &[Claimed]) -> Vec<(u8, bool)> {
    ids.iter().zip(claimed).filter(|(_, claimed)| **claimed == Claimed::New).map(|(id, _)| *id).collect()
}

fn by_place(rows: &[AccountRow]) -> BTreeMap<u8, AccountRow> {
    rows.iter().map(|row| (place_of(row.head.account), *row)).collect()
}

fn claimed_answer(ids: &[(u8, bool)], claimed: &[Claimed]) -> Answer {
    Answer { text: format!("ok {}", claimed_text(claimed)), effect: Effect::Claimed(new_ids(ids, claimed)) }
}

fn locked_answer(rows: &[AccountRow]) -> Answer {
    Answer { text: format!("ok {}", texts(rows.iter().map(row_text))), effect: Effect::Locked(by_place(rows)) }
}

fn both_answer(ids: &[(u8, bool)], claimed: &[Claimed], rows: &[AccountRow]) -> Answer {
    let text = format!("ok {} {}", claimed_text(claimed), texts(rows.iter().map(row_text)));
    Answer { text, effect: Effect::Both(new_ids(ids, claimed), by_place(rows)) }
}

fn reopened_answer(holds: &[OpenHold]) -> Answer {
    let known = holds.iter().map(|hold| (id_of(hold.transfer), (place_of(hold.account), hold.amount)));
    Answer { text: format!("ok {}", texts(holds.iter().map(hold_text))), effect: Effect::Reopened(known.collect()) }
}

fn opened_answer(id: u8, guard: Option<u8>, opened: &Opened) -> Answer {
    let (text, new) = match opened {
        Opened::New(_) => ("ok new".to_owned(), Some((id, guard))),
        Opened::Existing(row) => (format!("ok existing {}", transfer_text(row)), None),
        Opened::Guarded(open) => (format!("ok guarded by T{}", id_of(*open)), None),
    };
    Answer { text, effect: Effect::Opened(new) }
}

fn locked_transfers_answer(rows: &[TransferRow]) -> Answer {
    let known = rows.iter().map(|row| (id_of(row.id), row.stage)).collect();
    Answer { text: format!("ok {}", texts(rows.iter().map(transfer_text))), effect: Effect::LockedTransfers(known) }
}

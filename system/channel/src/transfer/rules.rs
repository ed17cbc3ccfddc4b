//! The life of a transfer: what core's word, an event or a repeated request makes of it. Pure.
//!
//! In: how a transfer stands, what was heard. Out: how it stands next, what its customer is told. Elsewhere: the steps and their locks
//! (`transfer::submit`, `transfer::settle`, `advance`), the stages themselves (`contracts::channel_api`).
//!
//! | heard | becomes |
//! |---|---|
//! | completed, by whomever | completed, in the transaction that stores the debit's row (A6, D33) |
//! | rejected, reason `not_received` | failed: the tombstone stands, nothing can come later (D32) |
//! | rejected for another reason, or refused as a request | rejected |
//! | anything about an id that core has bound to other parameters | rejected: core posts nothing else under it |
//! | processing, or no answer | open still: unknown |
//! | nothing, since its only request never went out | failed |
//! | not started, in answer to its only request | as [`NotStarted`] says |

use bankstorm_contracts::channel_api::{CHECKING, ChannelResponse, SubmitTransfer, TransferStage, TransferView};
use bankstorm_contracts::core_api::{OWN_BANK, Party, Verdict};
use bankstorm_contracts::problem::ProblemKind;
use bankstorm_contracts::{
    AccountNo, Entry, EntryKind, ParamsHash, Problem, RejectReason, TransferId, TransferState, Won,
};
use bankstorm_outside::channel_store::{TransferMove, TransferRow};
use bankstorm_outside::core_api::{CallError, Submitted};

use crate::config::NotStarted;

/// The debit side of a transfer, as far as it is known before core has spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Debit {
    /// The transfer.
    pub id: TransferId,
    /// The account that pays.
    pub from: AccountNo,
    /// How much.
    pub amount: Won,
    /// What its row is about.
    pub kind: EntryKind,
    /// What its id is bound to here.
    pub hash: ParamsHash,
}

impl Debit {
    /// The debit of a transfer from `from` to `to`.
    pub fn new(id: TransferId, from: AccountNo, to: &Party, amount: Won) -> Self {
        let kind = if to.bank == OWN_BANK { EntryKind::TransferOut } else { EntryKind::Outbound };
        Self { id, from, amount, kind, hash: ParamsHash::of_transfer(from, amount, &to.bank, &to.account) }
    }

    /// The debit of a stored transfer.
    pub fn of(row: &TransferRow) -> Self {
        Self { hash: row.params_hash, ..Self::new(row.id, row.from, &row.to, row.amount) }
    }

    /// Whether a verdict is about something else that stands under the same id at core: then this transfer can never be posted. A tombstone
    /// stands for any parameters.
    fn is_anothers(&self, verdict: &Verdict) -> bool {
        verdict.params_hash.is_some_and(|hash| hash != self.hash && hash != ParamsHash::TOMBSTONE)
    }

    /// Its row, by core's verdict; `None` when the verdict is another transfer's or leaves something out.
    pub fn entry(&self, verdict: &Verdict) -> Option<Entry> {
        Some(Entry {
            account: self.from,
            seq: verdict.seq.filter(|seq| *seq >= 1 && verdict.id == self.id)?,
            amount: self.amount.checked_neg()?,
            balance_after: verdict.balance_after?,
            transfer: self.id,
            kind: self.kind,
            posted_at: verdict.posted_at?,
        })
    }
}

/// What was heard of a transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// It was posted: this is its debit's row.
    Posted(Entry),
    /// It ended without a posting, for good.
    Ended(TransferStage, Option<RejectReason>),
    /// Core never began it: failed, for good.
    NotBegun(String),
    /// It is open still, and why.
    Open(Open),
}

/// Why a transfer is open still.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Open {
    /// Core has it in work.
    Processing,
    /// No answer, or none that says what became of it.
    NoAnswer(String),
    /// An answer that cannot be about this transfer.
    Unfit,
}

/// Core's answer to the one request of a transfer.
pub fn answered(debit: &Debit, answer: Result<Submitted, CallError>, not_started: NotStarted) -> Word {
    match answer {
        Ok(Submitted::Verdict(verdict)) => told(debit, &verdict),
        Ok(Submitted::Processing) => Word::Open(Open::Processing),
        Ok(Submitted::Refused(_)) => Word::Ended(TransferStage::Rejected, None),
        Err(CallError::NotSent(why)) => Word::NotBegun(why),
        Err(CallError::NotStarted(why)) => match not_started {
            NotStarted::Final => Word::NotBegun(why),
            NotStarted::Fenced => Word::Open(Open::NoAnswer(why)),
        },
        Err(CallError::Unavailable(why)) => Word::Open(Open::NoAnswer(why)),
    }
}

/// Core's verdict on a transfer.
pub fn told(debit: &Debit, verdict: &Verdict) -> Word {
    match verdict.state {
        _ if verdict.id != debit.id => Word::Open(Open::Unfit),
        _ if debit.is_anothers(verdict) => Word::Ended(TransferStage::Rejected, None),
        TransferState::Processing => Word::Open(Open::Processing),
        TransferState::Completed => debit.entry(verdict).map_or(Word::Open(Open::Unfit), Word::Posted),
        TransferState::Rejected => {
            let stage = match verdict.reason {
                Some(RejectReason::NotReceived) => TransferStage::Failed,
                _ => TransferStage::Rejected,
            };
            Word::Ended(stage, verdict.reason)
        }
    }
}

/// What a debit that stands in the copy makes of its transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settles {
    /// It completes it.
    Completes(TransferMove),
    /// It was completed before.
    Stood,
    /// It cannot be: the transfer has ended without a posting, or is another one than the row says.
    Contradicts,
}

/// Judges a debit that stands in the copy, or is about to.
pub fn settles(row: &TransferRow, debit: &Entry) -> Settles {
    let same = row.id == debit.transfer && row.from == debit.account && row.amount.checked_neg() == Some(debit.amount);
    if !same {
        return Settles::Contradicts;
    }
    if row.stage == TransferStage::Completed {
        return Settles::Stood;
    }
    let completed = TransferMove { id: row.id, stage: TransferStage::Completed, reason: None, seq: Some(debit.seq) };
    if row.stage.may_become(TransferStage::Completed) { Settles::Completes(completed) } else { Settles::Contradicts }
}

/// The move to a stage other than completed; `None` when the transfer is past it.
pub fn step(row: &TransferRow, stage: TransferStage, reason: Option<RejectReason>) -> Option<TransferMove> {
    debug_assert!(stage != TransferStage::Completed, "only `advance` completes a transfer (A6)");
    row.stage.may_become(stage).then_some(TransferMove { id: row.id, stage, reason, seq: None })
}

/// How a transfer stands.
pub const fn stand(row: &TransferRow) -> TransferMove {
    TransferMove { id: row.id, stage: row.stage, reason: row.reason, seq: row.seq }
}

/// Whether a request that names a stored transfer means the same one.
pub fn same_intent(row: &TransferRow, submit: &SubmitTransfer) -> bool {
    row.user == submit.user && row.params_hash == submit.params_hash()
}

/// What a customer reads of a transfer.
pub fn view(stands: TransferMove) -> TransferView {
    let message = (!stands.stage.is_terminal()).then(|| CHECKING.to_owned());
    TransferView { id: stands.id, state: stands.stage, reason: stands.reason, seq: stands.seq, message }
}

/// The answer to a customer who asks again: how it stands.
pub fn standing(stands: TransferMove) -> ChannelResponse {
    let view = view(stands);
    if view.state.is_terminal() { ChannelResponse::Transfer(view) } else { ChannelResponse::Accepted(view) }
}

/// The answer to the request that called core.
pub fn outcome(stands: TransferMove) -> ChannelResponse {
    match stands.stage {
        TransferStage::Completed => ChannelResponse::Created(view(stands)),
        _ => standing(stands),
    }
}

/// The answer to an id that stands for something else.
pub fn drift(id: TransferId) -> ChannelResponse {
    let detail = format!("id {id} was used before with other parameters; accepted are the same ones, or a new id");
    ChannelResponse::Problem(Problem { field: Some("id".to_owned()), ..Problem::new(ProblemKind::ParamDrift, detail) })
}

/// The answer while another transfer is in the way.
pub fn in_the_way(pending: TransferId) -> ChannelResponse {
    let detail = format!("nothing was done: transfer {pending} is in progress; accepted is another once it is settled");
    let problem = Problem { pending: Some(pending), ..Problem::new(ProblemKind::TransferPending, detail) };
    ChannelResponse::Problem(problem)
}

#[cfg(test)]
#[path = "rules/tests.rs"]
mod tests;

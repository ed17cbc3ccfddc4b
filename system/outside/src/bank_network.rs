//! Typed calls between core and the other banks (D29, D39).
//!
//! In: credits, cancels, outcomes. Out: answers, or none. Elsewhere: when core calls (`core::outbound`), what the banks do (`banks`), how it
//! travels (`adapters::http`).

use std::future::Future;

use bankstorm_contracts::TransferId;
use bankstorm_contracts::banks_api::{Credit, CreditAnswer, CreditState};

use crate::core_api::CallError;

/// What a bank said at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreditReply {
    /// The definite answer.
    Answer(CreditState),
    /// Taken on: the answer comes to core as an outcome, if it comes.
    Accepted,
}

/// The other banks, as core sees them.
pub trait BankNetwork: Clone + Send + Sync + 'static {
    /// Asks for a credit; the same id again is answered again, and credited once.
    fn credit(&self, credit: &Credit) -> impl Future<Output = Result<CreditReply, CallError>> + Send;

    /// Asks for the definite answer: what was not credited yet never will be.
    fn cancel(&self, id: TransferId) -> impl Future<Output = Result<CreditReply, CallError>> + Send;
}

/// Core, as the other banks see it.
pub trait OutcomeSink: Clone + Send + Sync + 'static {
    /// Tells core what became of a credit. `Ok` means that core has it; otherwise it is told again later, or never.
    fn outcome(&self, answer: CreditAnswer) -> impl Future<Output = Result<(), CallError>> + Send;
}

/// The other banks' own book: append-only, what makes a restart remember.
pub trait BankBook: Clone + Send + Sync + 'static {
    /// Appends a definite answer, durably. Who was credited how much stands with it; a cancelled unknown has no credit.
    fn append(
        &self,
        answer: CreditAnswer,
        credit: Option<&Credit>,
    ) -> impl Future<Output = Result<(), CallError>> + Send;

    /// Everything that stands in it, in order.
    fn read(&self) -> impl Future<Output = Result<Vec<(CreditAnswer, Option<Credit>)>, CallError>> + Send;
}

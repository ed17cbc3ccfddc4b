//! A model of what goes between core and the other banks, and of their book.
//!
//! In: links, endpoints. Out: [`ModelBankNetwork`] (core's end), [`ModelOutcomeSink`] (theirs), [`ModelBankBook`]. Elsewhere: what the other
//! banks do with a credit (`banks`), what may happen on the way (`network`).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bankstorm_contracts::TransferId;
use bankstorm_contracts::banks_api::{BanksRequest, BanksResponse, Credit, CreditAnswer};
use bankstorm_contracts::core_api::{CoreRequest, CoreResponse};
use bankstorm_outside::bank_network::{BankBook, BankNetwork, CreditReply, OutcomeSink};
use bankstorm_outside::core_api::CallError;

use super::chance::Chance;
use super::core_api::{CALL_LIMIT, CoreEndpoint, problem_error, unanswered};
use super::network::{Endpoint, Link};

/// Its random stream's name.
const BOOK: &str = "bank-book";
/// Longest pause of a book whose pace nobody chose, in milliseconds.
const PACE_MS: u64 = 4;

/// Where the other banks answer.
pub type BanksEndpoint = Endpoint<BanksRequest, BanksResponse>;

/// The other banks, as core reaches them.
#[derive(Clone)]
pub struct ModelBankNetwork {
    link: Link,
    banks: BanksEndpoint,
}

impl ModelBankNetwork {
    /// Calls to `banks` over `link`.
    pub const fn new(link: Link, banks: BanksEndpoint) -> Self {
        Self { link, banks }
    }

    /// What calls travel over.
    pub const fn link(&self) -> &Link {
        &self.link
    }

    async fn ask(&self, id: TransferId, request: BanksRequest) -> Result<CreditReply, CallError> {
        // Core may be frozen while they answer.
        match unanswered(self.link.call_apart(&self.banks, request, CALL_LIMIT).await)? {
            BanksResponse::Answer(answer) if answer.id == id => Ok(CreditReply::Answer(answer.state)),
            BanksResponse::Accepted(taken) if taken == id => Ok(CreditReply::Accepted),
            BanksResponse::Problem(problem) => Err(problem_error(&problem)),
            other => Err(CallError::Unavailable(format!("not the answer that was asked for: {other:?}"))),
        }
    }
}

impl BankNetwork for ModelBankNetwork {
    async fn credit(&self, credit: &Credit) -> Result<CreditReply, CallError> {
        self.ask(credit.id, BanksRequest::Credit(credit.clone())).await
    }

    async fn cancel(&self, id: TransferId) -> Result<CreditReply, CallError> {
        self.ask(id, BanksRequest::Cancel(id)).await
    }
}

/// Core, as the other banks reach it.
#[derive(Clone)]
pub struct ModelOutcomeSink {
    link: Link,
    core: CoreEndpoint,
}

impl ModelOutcomeSink {
    /// Calls to `core` over `link`.
    pub const fn new(link: Link, core: CoreEndpoint) -> Self {
        Self { link, core }
    }

    /// What calls travel over.
    pub const fn link(&self) -> &Link {
        &self.link
    }
}

impl OutcomeSink for ModelOutcomeSink {
    async fn outcome(&self, answer: CreditAnswer) -> Result<(), CallError> {
        let request = CoreRequest::BankOutcome(answer);
        match unanswered(self.link.call_apart(&self.core, request, CALL_LIMIT).await)? {
            CoreResponse::Created(_) | CoreResponse::Verdict(_) => Ok(()),
            CoreResponse::Problem(problem) => Err(problem_error(&problem)),
            other => Err(CallError::Unavailable(format!("not the answer that was asked for: {other:?}"))),
        }
    }
}

/// What stands in a book: an answer, and what was credited, where something was asked for.
pub type BookLine = (CreditAnswer, Option<Credit>);

/// The other banks' book. Clones are the same book, which survives the process that writes it: what was appended stands, answered or
/// not.
#[derive(Clone)]
pub struct ModelBankBook {
    chance: Chance,
    lines: Arc<Mutex<Vec<BookLine>>>,
}

impl ModelBankBook {
    /// An empty book.
    pub fn new(seed: u64) -> Self {
        Self::paced(seed, PACE_MS)
    }

    /// An empty book whose calls take up to `pace_ms` milliseconds each way.
    pub fn paced(seed: u64, pace_ms: u64) -> Self {
        Self { chance: Chance::paced(seed, BOOK, pace_ms), lines: Arc::default() }
    }

    /// Everything that stands in it, in order.
    pub fn lines(&self) -> Vec<BookLine> {
        self.kept().clone()
    }

    fn kept(&self) -> MutexGuard<'_, Vec<BookLine>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BankBook for ModelBankBook {
    async fn append(&self, answer: CreditAnswer, credit: Option<&Credit>) -> Result<(), CallError> {
        self.chance.pause().await;
        self.kept().push((answer, credit.cloned()));
        self.chance.pause().await;
        Ok(())
    }

    async fn read(&self) -> Result<Vec<(CreditAnswer, Option<Credit>)>, CallError> {
        self.chance.pause().await;
        let lines = self.lines();
        self.chance.pause().await;
        Ok(lines)
    }
}

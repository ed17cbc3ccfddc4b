//! Money from other banks: how long its sender waits, what he does then, what else comes under its id.
//!
//! In: deposits of a plan. Out: calls of core, and what was heard. Elsewhere: what an answer means (`ledger::ending`).

use std::time::Duration;

use bankstorm_contracts::core_api::{CoreRequest, Deposit, Party};
use bankstorm_contracts::{AccountNo, TransferId, Won};
use tokio::time::sleep;

use super::{Customers, KEYS, PAUSE, after};
use crate::model::network::Link;
use crate::plan::Again;
use crate::trace::told::DEPOSITS;
use crate::world::bank::Bank;
use crate::world::ledger::{Answer, Ask, Ending, Ledger, of_core};
use crate::world::names::CORE;

/// How long whoever asks in between waits for a verdict.
const RESOLVE_LIMIT: Duration = Duration::from_secs(5);

impl Customers {
    /// One deposit, with all that comes under its id. The sender waits `patience_ms` for each answer, and tries again `retries` times.
    pub(super) async fn send(&self, op: u64, deposit: Deposit, sender: (u64, u32), again: Option<Again>) {
        let ask = Ask::Deposit(deposit.clone());
        let place = self.ledger.begin(op, ask.clone(), None);
        let first = self.try_deposit(place, &ask, sender);
        let ending = match again {
            None => first.await,
            Some(Again::Same(after_ms)) => {
                let second = after(after_ms, self.try_deposit(place, &ask, sender));
                let (first, second) = tokio::join!(biased; first, second);
                first.or(second)
            }
            Some(Again::Other(after_ms)) => {
                let other = Ask::Deposit(Deposit { amount: Won::new(deposit.amount.get() + 1), ..deposit });
                let (first, ()) = tokio::join!(biased; first, after(after_ms, self.other_deposit(op, other, sender.0)));
                first
            }
            Some(Again::Resolve(after_ms)) => {
                let asked = after(after_ms, resolve(&self.bank, &self.ledger, &self.core, deposit.id, RESOLVE_LIMIT));
                let (first, _) = tokio::join!(biased; first, asked);
                first
            }
        };
        self.ledger.end(place, ending);
    }

    /// One sender's tries, until he knows or has no more patience.
    async fn try_deposit(&self, place: usize, ask: &Ask, (patience_ms, retries): (u64, u32)) -> Ending {
        let patience = Duration::from_millis(patience_ms);
        let mut ending = submit_deposit(&self.bank, &self.ledger, &self.core, (place, ask), patience).await;
        for _ in 0..retries {
            if !ending.is_worth_another_try() {
                break;
            }
            sleep(PAUSE).await;
            ending = ending.or(submit_deposit(&self.bank, &self.ledger, &self.core, (place, ask), patience).await);
        }
        ending
    }

    /// Another amount under the same id, once.
    async fn other_deposit(&self, op: u64, ask: Ask, patience_ms: u64) {
        let place = self.ledger.begin(op + KEYS, ask.clone(), None);
        let patience = Duration::from_millis(patience_ms);
        let ending = submit_deposit(&self.bank, &self.ledger, &self.core, (place, &ask), patience).await;
        self.ledger.end(place, ending);
    }
}

/// Sends a deposit once, and notes what was heard.
pub(crate) async fn submit_deposit(
    bank: &Bank,
    ledger: &Ledger,
    link: &Link,
    (place, ask): (usize, &Ask),
    limit: Duration,
) -> Ending {
    let Ask::Deposit(deposit) = ask else { unreachable!("a deposit is asked of core") };
    ledger.sends(place);
    let invoked_ns = ledger.now_ns();
    let answer = link.call(&bank.core.endpoint, CoreRequest::Deposit(deposit.clone()), limit).await;
    let (heard, ending) = of_core(&answer);
    let of = Answer { id: deposit.id, invoked_ns, store: "core", instance: CORE, via: "submit", ask: Some(ask) };
    ledger.hear(&of, &heard, ending);
    ending
}

/// Asks core what became of an id, and notes what was heard.
pub(crate) async fn resolve(bank: &Bank, ledger: &Ledger, link: &Link, id: TransferId, limit: Duration) -> Ending {
    let invoked_ns = ledger.now_ns();
    let answer = link.call(&bank.core.endpoint, CoreRequest::Resolve(id), limit).await;
    let (heard, ending) = of_core(&answer);
    ledger.hear(&Answer { id, invoked_ns, store: "core", instance: CORE, via: "resolve", ask: None }, &heard, ending);
    ending
}

/// A deposit by its number: its id carries it, so that it stays the same when other operations are taken out of a plan.
pub(crate) fn deposit(op: u64, account: AccountNo, won: i64) -> Deposit {
    let id = TransferId(uuid::Uuid::from_u64_pair(DEPOSITS, op));
    let from = Party { bank: "088".to_owned(), account: format!("77-{op}") };
    Deposit { id, account, amount: Won::new(won), from }
}

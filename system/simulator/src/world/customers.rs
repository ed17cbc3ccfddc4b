//! Customers: who sends a deposit, how long he waits, what he does then; who scrolls.
//!
//! In: operations of a plan. Out: calls over the network, and what was heard, in the ledger. Elsewhere: when load begins and ends
//! (`world`), what must hold (`check`).

use std::sync::Arc;
use std::time::Duration;

use bankstorm_contracts::channel_api::{ChannelRequest, ChannelResponse, HistoryPage};
use bankstorm_contracts::core_api::{CoreRequest, Deposit, Party};
use bankstorm_contracts::{AccountNo, Outcome, TransferId, Won};
use bankstorm_record::rows::{PageRow, entry_hash};
use tokio::time::{Instant, sleep, sleep_until};

use super::bank::{Bank, account};
use super::ledger::{Ending, Ledger, Whose};
use super::names::{CORE, CUSTOMERS};
use crate::model::network::{CallEnd, Link};
use crate::plan::{Action, Again, Operation};
use crate::trace::told::DEPOSITS;

/// Between two tries of a sender.
const PAUSE: Duration = Duration::from_millis(200);
/// How long a reader waits for a page.
pub(crate) const PAGE_LIMIT: Duration = Duration::from_secs(2);
/// How long whoever asks in between waits for a verdict.
const RESOLVE_LIMIT: Duration = Duration::from_secs(5);

/// All customers.
pub(crate) struct Customers {
    pub(crate) bank: Arc<Bank>,
    pub(crate) ledger: Arc<Ledger>,
    core: Link,
    channels: Vec<Link>,
}

impl Customers {
    pub(crate) fn new(bank: Arc<Bank>, ledger: Arc<Ledger>) -> Self {
        let core = bank.network.link(CUSTOMERS, CORE);
        let channels = bank.channels.iter().map(|channel| bank.network.link(CUSTOMERS, channel.name)).collect();
        Self { bank, ledger, core, channels }
    }

    /// Does what an operation says, at its time after `begun`.
    pub(crate) async fn act(self: Arc<Self>, operation: Operation, begun: Instant) {
        let due = begun + Duration::from_millis(operation.at_ms);
        sleep_until(due).await;
        let account = account(operation.account);
        match operation.action {
            Action::Deposit { won, patience_ms, retries, again } => {
                let deposit = deposit(operation.op, account, won);
                let sender = Sender { patience: Duration::from_millis(patience_ms), retries };
                self.send(operation.op, deposit, sender, again).await;
            }
            Action::Scroll { channel, pages, limit } => self.scroll(account, channel as usize, pages, limit).await,
        }
    }

    async fn send(&self, op: u64, deposit: Deposit, sender: Sender, again: Option<Again>) {
        let place = self.ledger.begin(op, deposit.clone(), self.ledger.now_ns());
        let first = self.try_deposit(place, deposit.clone(), sender);
        let ending = match again {
            None => first.await,
            Some(Again::Same(after_ms)) => {
                let second = after(after_ms, self.try_deposit(place, deposit, sender));
                let (first, second) = tokio::join!(biased; first, second);
                both(first, second)
            }
            Some(Again::Other(after_ms)) => {
                self.ledger.other_amount(place);
                let other = Deposit { amount: Won::new(deposit.amount.get() + 1), ..deposit };
                let other = after(after_ms, self.call(CoreRequest::Deposit(other), sender.patience));
                let (first, other) = tokio::join!(biased; first, other);
                self.ledger.hear(place, Whose::Other, other);
                first
            }
            Some(Again::Resolve(after_ms)) => {
                let asked = after(after_ms, self.call(CoreRequest::Resolve(deposit.id), RESOLVE_LIMIT));
                let (first, asked) = tokio::join!(biased; first, asked);
                self.ledger.hear(place, Whose::Nobody, asked);
                first
            }
        };
        self.ledger.end(place, ending);
    }

    /// One sender's tries, until he knows or has no more patience.
    async fn try_deposit(&self, place: usize, deposit: Deposit, sender: Sender) -> Ending {
        let mut ending = self.call(CoreRequest::Deposit(deposit.clone()), sender.patience).await;
        self.ledger.hear(place, Whose::Own, ending);
        for _ in 0..sender.retries {
            if !matches!(ending.outcome, Outcome::Failed | Outcome::Unknown) {
                break;
            }
            sleep(PAUSE).await;
            let next = self.call(CoreRequest::Deposit(deposit.clone()), sender.patience).await;
            self.ledger.hear(place, Whose::Own, next);
            ending = both(ending, next);
        }
        ending
    }

    async fn call(&self, request: CoreRequest, limit: Duration) -> Ending {
        Ending::of(&self.core.call(&self.bank.core.endpoint, request, limit).await)
    }

    async fn scroll(&self, account: AccountNo, channel: usize, pages: u32, limit: u32) {
        let mut cursor = None;
        for _ in 0..pages {
            let page = read_page(&self.bank, &self.ledger, &self.channels[channel], channel, account, cursor, limit);
            let Some(next) = page.await.and_then(|page| page.next_cursor) else { return };
            cursor = Some(next);
        }
    }
}

/// Reads one page, and notes it whatever it is.
pub(crate) async fn read_page(
    bank: &Bank,
    ledger: &Ledger,
    link: &Link,
    channel: usize,
    account: AccountNo,
    cursor: Option<i64>,
    limit: u32,
) -> Option<HistoryPage> {
    let invoked_ns = ledger.now_ns();
    let process = &bank.channels[channel];
    let request = ChannelRequest::History { account, cursor, limit };
    let answer = link.call(&process.endpoint, request, PAGE_LIMIT).await;
    let (outcome, page) = match answer {
        Ok(ChannelResponse::History(page)) => (Outcome::Ok, Some(page)),
        Ok(ChannelResponse::Problem(problem)) => (Outcome::of_http(problem.status, false, Some(problem.kind)), None),
        Err(CallEnd::Refused) => (Outcome::Failed, None),
        Err(CallEnd::Lost(_)) => (Outcome::Unknown, None),
    };
    ledger.page(row(account, cursor, process.name, (invoked_ns, ledger.now_ns()), outcome, page.as_ref()));
    page
}

fn row(
    account: AccountNo,
    cursor: Option<i64>,
    instance: &str,
    (invoked_ns, completed_ns): (i64, i64),
    outcome: Outcome,
    page: Option<&HistoryPage>,
) -> PageRow {
    let items = page.map(|page| page.items.as_slice()).unwrap_or_default();
    let hash = |sum: u64, entry: &bankstorm_contracts::Entry| {
        let (id, amount, balance) = (entry.transfer.0.as_u128(), entry.amount.get(), entry.balance_after.get());
        sum.wrapping_add(entry_hash(entry.account.get(), entry.seq, id, amount, balance, entry.kind.as_str()))
    };
    PageRow {
        account: account.get(),
        invoked_ns,
        completed_ns,
        instance: instance.to_owned(),
        op: None,
        cursor,
        outcome: outcome.as_str().to_owned(),
        top_seq: items.first().map_or(0, |entry| entry.seq),
        bottom_seq: items.last().map_or(0, |entry| entry.seq),
        count: u32::try_from(items.len()).unwrap_or(u32::MAX),
        contiguous: items.windows(2).all(|pair| pair[0].seq == pair[1].seq + 1),
        rows_hash: items.iter().fold(0, hash),
        as_of_seq: page.map_or(0, |page| page.as_of_seq),
        stale: page.is_some_and(|page| page.stale),
    }
}

/// How long a sender waits, and how often he tries again.
#[derive(Clone, Copy)]
struct Sender {
    patience: Duration,
    retries: u32,
}

async fn after<T>(millis: u64, then: impl Future<Output = T>) -> T {
    sleep(Duration::from_millis(millis)).await;
    then.await
}

/// What is known after two tries with the same parameters: a verdict is one, and nothing is certain while either is open.
fn both(first: Ending, second: Ending) -> Ending {
    let rank = |ending: &Ending| match ending.outcome {
        Outcome::Ok => 0,
        Outcome::Rejected => 1,
        Outcome::Unknown => 2,
        Outcome::Failed => 3,
    };
    if rank(&second) < rank(&first) { second } else { first }
}

/// A deposit by its number: its id carries it, so that it stays the same when other operations are taken out of a plan.
pub(crate) fn deposit(op: u64, account: AccountNo, won: i64) -> Deposit {
    let id = TransferId(uuid::Uuid::from_u64_pair(DEPOSITS, op));
    let from = Party { bank: "088".to_owned(), account: format!("77-{op}") };
    Deposit { id, account, amount: Won::new(won), from }
}

//! Customers: who does what when.
//!
//! In: operations of a plan. Out: calls over the network, and what was heard, in the ledger. Elsewhere: money from other banks
//! (`customers::deposits`), payments (`customers::payments`), when load begins and ends (`world`), what must hold (`check`).

pub(crate) mod deposits;
pub(crate) mod payments;

use std::sync::Arc;
use std::time::Duration;

use bankstorm_contracts::channel_api::{ChannelRequest, ChannelResponse, HistoryPage};
use bankstorm_contracts::{AccountNo, Outcome};
use bankstorm_record::rows::{PageRow, entry_hash, pending_bytes};
use tokio::time::{Instant, sleep, sleep_until};

use super::bank::{Bank, account};
use super::ledger::Ledger;
use super::names::{CORE, CUSTOMERS};
use crate::model::network::{CallEnd, Link};
use crate::plan::{Action, Operation};

/// Between two tries of a sender.
const PAUSE: Duration = Duration::from_millis(200);
/// How long a reader waits for a page, or for where a transfer stands.
pub(crate) const PAGE_LIMIT: Duration = Duration::from_secs(2);
/// Further keys of an operation are numbered from here on: `op + KEYS`, `op + 2 * KEYS`.
pub(crate) const KEYS: u64 = 10_000_000;

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
        let Operation { op, at_ms, account: index, action } = operation;
        sleep_until(begun + Duration::from_millis(at_ms)).await;
        let account = account(index);
        match action {
            Action::Deposit { won, patience_ms, retries, again } => {
                self.send(op, deposits::deposit(op, account, won), (patience_ms, retries), again).await;
            }
            Action::Transfer { to, pay } => {
                // Boxed: of all that customers do it is the largest, and each of them would be as large.
                Box::pin(self.pay(op, payments::submit(op, &pay, account, Some(to)), &pay)).await;
            }
            Action::Outbound { pay } => {
                Box::pin(self.pay(op, payments::submit(op, &pay, account, None), &pay)).await;
            }
            Action::Scroll { channel, pages, limit } => self.scroll(account, channel as usize, pages, limit).await,
        }
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
        Ok(_) | Err(CallEnd::Lost(_)) => (Outcome::Unknown, None),
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
    let pending = page.map(|page| page.pending.as_slice()).unwrap_or_default();
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
        pending: pending_bytes(pending.iter().map(|id| id.0.as_u128())),
        ..PageRow::default()
    }
}

async fn after<T>(millis: u64, then: impl Future<Output = T>) -> T {
    sleep(Duration::from_millis(millis)).await;
    then.await
}

//! Customers: who does what when.
//!
//! In: operations of a plan. Out: calls over the network, and what was heard, in the ledger. Elsewhere: money from other banks
//! (`customers::deposits`), payments (`customers::payments`), when load begins and ends (`world`), what must hold (`check`).

pub(crate) mod deposits;
pub(crate) mod payments;

use std::sync::Arc;
use std::time::Duration;

use bankstorm_contracts::channel_api::{
    ChannelRequest, ChannelResponse, HistoryPage, RedriveAnswer, RedriveRequest, SyncResult,
};
use bankstorm_contracts::{AccountNo, Outcome};
use bankstorm_record::rows::{PageRow, SyncRow, entry_hash, pending_bytes};
use tokio::time::{Instant, sleep, sleep_until};

use super::bank::{Bank, account};
use super::ledger::Ledger;
use super::markers;
use super::names::{CORE, CUSTOMERS};
use crate::model::network::{CallEnd, Link};
use crate::plan::{Action, Operation};

/// Between two tries of a sender.
const PAUSE: Duration = Duration::from_millis(200);
/// How long a reader waits for a page, or for where a transfer stands.
pub(crate) const PAGE_LIMIT: Duration = Duration::from_secs(2);
/// Between two looks of whoever has just paid.
const LOOK_PAUSE: Duration = Duration::from_millis(400);
/// Entries on such a page.
const LOOK_ROWS: u32 = 20;
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
            Action::Scroll { channel, pages, limit } => {
                self.scroll(op, account, channel as usize, (pages, limit)).await
            }
            Action::Sync { channel } => self.press(op, account, channel as usize).await,
            Action::Redrive { channel, limit } => self.redrive(channel as usize, limit).await,
        }
    }

    async fn scroll(&self, op: u64, account: AccountNo, channel: usize, (pages, limit): (u32, u32)) {
        let link = &self.channels[channel];
        let mut cursor = None;
        for page_no in 0..pages {
            let wanted = Wanted { account, cursor, limit, session: Some((op, page_no)) };
            let page = read_page(&self.bank, &self.ledger, (link, channel), wanted);
            let Some(next) = page.await.and_then(|page| page.next_cursor) else { return };
            cursor = Some(next);
        }
    }

    /// The newest page of whoever has just paid, a few times.
    pub(crate) async fn look(&self, account: AccountNo, channel: usize, looks: u32) {
        for nth in 0..looks {
            if nth > 0 {
                sleep(LOOK_PAUSE).await;
            }
            let wanted = Wanted { account, cursor: None, limit: LOOK_ROWS, session: None };
            read_page(&self.bank, &self.ledger, (&self.channels[channel], channel), wanted).await;
        }
    }

    /// The button.
    async fn press(&self, op: u64, account: AccountNo, channel: usize) {
        let (invoked_ns, process) = (self.ledger.now_ns(), &self.bank.channels[channel]);
        let answer = self.channels[channel].call(&process.endpoint, ChannelRequest::Sync(account), PAGE_LIMIT).await;
        let (outcome, synced) = match answer {
            Ok(ChannelResponse::Synced(answer)) => (Outcome::Ok, Some(answer)),
            other => (no_page(&other), None),
        };
        self.ledger.sync(SyncRow {
            account: account.get(),
            invoked_ns,
            completed_ns: self.ledger.now_ns(),
            instance: process.name.to_owned(),
            op: Some(op),
            outcome: outcome.as_str().to_owned(),
            result: synced.map(|answer| answer.result.as_str().to_owned()),
            as_of_seq: synced.map_or(0, |answer| answer.as_of_seq),
        });
        if synced.is_some_and(|answer| answer.result == SyncResult::Synced) {
            self.bank.see(markers::SYNCED_BY_HAND);
        }
    }

    /// The command that has letters driven again. Whatever is answered, the letters tell.
    async fn redrive(&self, channel: usize, limit: u32) {
        let request = ChannelRequest::Redrive(RedriveRequest { limit });
        let answer = self.channels[channel].call(&self.bank.channels[channel].endpoint, request, PAGE_LIMIT).await;
        if let Ok(ChannelResponse::Redriven(RedriveAnswer { taken: 1.., .. })) = answer {
            self.bank.see(markers::REDRIVEN_BY_COMMAND);
        }
    }
}

/// What is asked of a page.
#[derive(Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) account: AccountNo,
    pub(crate) cursor: Option<i64>,
    pub(crate) limit: u32,
    /// The scroll that it belongs to, by its operation, and which page of it.
    pub(crate) session: Option<(u64, u32)>,
}

/// Reads one page, and notes it whatever it is.
pub(crate) async fn read_page(
    bank: &Bank,
    ledger: &Ledger,
    (link, channel): (&Link, usize),
    wanted: Wanted,
) -> Option<HistoryPage> {
    let invoked_ns = ledger.now_ns();
    let process = &bank.channels[channel];
    let Wanted { account, cursor, limit, .. } = wanted;
    let request = ChannelRequest::History { account, cursor, limit };
    let answer = link.call(&process.endpoint, request, PAGE_LIMIT).await;
    let (outcome, page) = match answer {
        Ok(ChannelResponse::History(page)) => (Outcome::Ok, Some(page)),
        other => (no_page(&other), None),
    };
    ledger.page(row(wanted, process.name, (invoked_ns, ledger.now_ns()), outcome, page.as_ref()));
    page
}

/// What an answer means that is not the one asked for.
fn no_page(answer: &Result<ChannelResponse, CallEnd>) -> Outcome {
    match answer {
        Ok(ChannelResponse::Problem(problem)) => Outcome::of_http(problem.status, false, Some(problem.kind)),
        Err(CallEnd::Refused) => Outcome::Failed,
        Ok(_) | Err(CallEnd::Lost(_)) => Outcome::Unknown,
    }
}

fn row(
    Wanted { account, cursor, session, .. }: Wanted,
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
        op: session.map(|(op, _)| op),
        page_no: session.map(|(_, page_no)| page_no),
        cursor,
        next_cursor: page.and_then(|page| page.next_cursor),
        outcome: outcome.as_str().to_owned(),
        top_seq: items.first().map_or(0, |entry| entry.seq),
        bottom_seq: items.last().map_or(0, |entry| entry.seq),
        count: u32::try_from(items.len()).unwrap_or(u32::MAX),
        contiguous: items.windows(2).all(|pair| pair[0].seq == pair[1].seq + 1),
        rows_hash: items.iter().fold(0, hash),
        as_of_seq: page.map_or(0, |page| page.as_of_seq),
        stale: page.is_some_and(|page| page.stale),
        pending: pending_bytes(pending.iter().map(|shown| shown.id.0.as_u128())),
    }
}

async fn after<T>(millis: u64, then: impl Future<Output = T>) -> T {
    sleep(Duration::from_millis(millis)).await;
    then.await
}

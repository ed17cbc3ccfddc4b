//! What customers know: every operation's row, every answer that was heard, every page read.
//!
//! In: answers. Out: rows for the checkers. Elsewhere: who asks (`customers`), what an answer means (`ledger::ending`), what must hold
//! (`check`).
//!
//! One key is one use of an id with one set of parameters, however often it is sent: another amount under the same id, and another id of
//! the same intent, are keys of their own, each with its row.

mod ending;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bankstorm_contracts::channel_api::SubmitTransfer;
use bankstorm_contracts::core_api::{Deposit, OWN_BANK};
use bankstorm_contracts::{Outcome, TransferId};
use bankstorm_record::rows::{OperationRow, PageRow, SyncRow, TransferReadRow};
use tokio::time::Instant;

use super::watch::Told;
pub(crate) use ending::{Ending, Heard, of_channel, of_core};

/// What customers know. Shared by all of them.
pub(crate) struct Ledger {
    born: Instant,
    /// The network may bring requests a second time, so that what one of them was told is not what became of its key.
    doubles: bool,
    last_ns: AtomicI64,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    keys: Vec<Key>,
    pages: Vec<PageRow>,
    syncs: Vec<SyncRow>,
    reads: Vec<TransferReadRow>,
}

/// What is asked for under an id.
#[derive(Clone, Debug)]
pub(crate) enum Ask {
    /// Of core.
    Deposit(Deposit),
    /// Of a channel.
    Transfer(SubmitTransfer),
}

impl Ask {
    /// The id.
    pub(crate) const fn id(&self) -> TransferId {
        match self {
            Self::Deposit(deposit) => deposit.id,
            Self::Transfer(submit) => submit.id,
        }
    }

    /// What the id is to be bound to.
    pub(crate) fn params_hash(&self) -> Vec<u8> {
        match self {
            Self::Deposit(deposit) => deposit.params_hash(),
            Self::Transfer(submit) => submit.params_hash(),
        }
        .0
        .to_vec()
    }
}

/// One use of an id.
struct Key {
    ask: Ask,
    row: OperationRow,
}

/// A key that is to be asked about at the end.
#[derive(Clone, Debug)]
pub(crate) struct Open {
    pub(crate) place: usize,
    pub(crate) ask: Ask,
    /// Other parameters were sent under the id: how it stands does not say for which.
    pub(crate) is_ambiguous: bool,
}

/// An answer, or that there was none.
pub(crate) struct Answer<'a> {
    pub(crate) id: TransferId,
    pub(crate) invoked_ns: i64,
    /// `core` or `channel`.
    pub(crate) store: &'static str,
    pub(crate) instance: &'static str,
    /// `submit`, `read` or `resolve`.
    pub(crate) via: &'static str,
    /// What was sent, where parameters were.
    pub(crate) ask: Option<&'a Ask>,
}

impl Ledger {
    /// Customers of a network that may bring requests a second time (`doubles`), or not.
    pub(crate) fn new(doubles: bool) -> Self {
        Self { born: Instant::now(), doubles, last_ns: AtomicI64::new(-1), book: Mutex::default() }
    }

    /// Nanoseconds since the world began. Virtual time stands still while many things happen one after the other, so each question gets
    /// a later answer than the one before: which came first decides whether two reads overlapped.
    pub(crate) fn now_ns(&self) -> i64 {
        let now = i64::try_from(self.born.elapsed().as_nanos()).unwrap_or(i64::MAX);
        let later = now.max(self.last_ns.load(Ordering::Relaxed) + 1);
        self.last_ns.store(later, Ordering::Relaxed);
        later
    }

    /// A key is used for the first time; its place. `op` is the row's number, `intent` that of the intent's first key (transfers).
    pub(crate) fn begin(&self, op: u64, ask: Ask, intent: Option<u64>) -> usize {
        let row = row(op, &ask, intent, self.now_ns());
        let mut book = self.book();
        book.keys.push(Key { ask, row });
        book.keys.len() - 1
    }

    /// A key is sent, once more.
    pub(crate) fn sends(&self, place: usize) {
        let mut book = self.book();
        let attempts = &mut book.keys[place].row.attempts;
        *attempts = Some(attempts.unwrap_or(0) + 1);
    }

    /// Something was answered about an id, or nothing.
    pub(crate) fn hear(&self, of: &Answer<'_>, heard: &Heard, ending: Ending) {
        let row = TransferReadRow {
            transfer: of.id.0.as_u128(),
            invoked_ns: of.invoked_ns,
            completed_ns: self.now_ns(),
            store: of.store.to_owned(),
            instance: of.instance.to_owned(),
            via: of.via.to_owned(),
            params_hash: of.ask.map(Ask::params_hash),
            outcome: if of.via == "read" && heard.was_answered { Outcome::Ok } else { ending.outcome }
                .as_str()
                .to_owned(),
            stage: heard.stage.map(str::to_owned),
            reason: heard.reason.map(|reason| reason.as_str().to_owned()),
            seq: heard.seq,
        };
        self.book().reads.push(row);
    }

    /// How a key ended for its sender, after all its tries.
    pub(crate) fn end(&self, place: usize, ending: Ending) {
        let now = self.now_ns();
        // Nothing was begun, or another transfer was in the way: so it may be again, or not, when the same request comes once more.
        let ending = if self.doubles && !ending.is_final { Ending::passing(Outcome::Unknown) } else { ending };
        let mut book = self.book();
        let key = &mut book.keys[place];
        key.row.acked_ns = Some(now);
        key.row.outcome = Some(ending.outcome.as_str().to_owned());
        key.tell(ending);
    }

    /// What is to be asked about at the end: keys without a verdict.
    pub(crate) fn open(&self) -> Vec<Open> {
        let book = self.book();
        let mut ids: Vec<_> = book.keys.iter().map(|key| key.ask.id()).collect();
        ids.sort_unstable();
        let uses =
            |id: TransferId| ids.partition_point(|other| *other <= id) - ids.partition_point(|other| *other < id);
        let open = book.keys.iter().enumerate().filter(|(_, key)| key.row.resolved.is_none());
        open.map(|(place, key)| Open { place, ask: key.ask.clone(), is_ambiguous: uses(key.ask.id()) > 1 }).collect()
    }

    /// A verdict that was asked for at the end.
    pub(crate) fn resolve(&self, place: usize, ending: Ending) {
        self.book().keys[place].tell(ending);
    }

    /// A page was read, or not.
    pub(crate) fn page(&self, row: PageRow) {
        self.book().pages.push(row);
    }

    /// The button was pressed.
    pub(crate) fn sync(&self, row: SyncRow) {
        self.book().syncs.push(row);
    }

    /// Uses of the button, by account and time.
    pub(crate) fn syncs(&self) -> Vec<SyncRow> {
        let mut syncs = self.book().syncs.clone();
        syncs.sort_by_key(|row| (row.account, row.invoked_ns));
        syncs
    }

    /// The rows: operations by number, pages by account and time, answers by id and time.
    pub(crate) fn rows(&self) -> (Vec<OperationRow>, Vec<PageRow>, Vec<TransferReadRow>) {
        let book = self.book();
        let mut operations: Vec<_> = book.keys.iter().map(|key| key.row.clone()).collect();
        operations.sort_by_key(|row| row.op);
        let (mut pages, mut reads) = (book.pages.clone(), book.reads.clone());
        pages.sort_by_key(|row| (row.account, row.invoked_ns));
        reads.sort_by_key(|row| (row.transfer, row.invoked_ns));
        (operations, pages, reads)
    }

    /// What senders were told so far, by the numbers of their operations.
    pub(crate) fn told(&self) -> BTreeMap<u64, Told> {
        let told = |Key { row, .. }: &Key| {
            let after = row.acked_ns.zip(row.sent_ns).and_then(|(acked, sent)| u64::try_from(acked - sent).ok());
            (row.op, Told { outcome: row.outcome.clone(), after: Duration::from_nanos(after.unwrap_or(0)) })
        };
        self.book().keys.iter().map(told).collect()
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Key {
    fn tell(&mut self, ending: Ending) {
        if ending.outcome == Outcome::Unknown {
            return;
        }
        self.row.resolved = Some(ending.outcome.as_str().to_owned());
        self.row.seq = ending.seq;
        self.row.balance_after = ending.balance_after;
        self.row.detail = ending.reason.map(|reason| reason.as_str().to_owned());
    }
}

fn row(op: u64, ask: &Ask, intent: Option<u64>, sent_ns: i64) -> OperationRow {
    let row = OperationRow {
        op,
        phase: "measure".to_owned(),
        transfer: ask.id().0.as_u128(),
        params_hash: ask.params_hash(),
        intended_ns: sent_ns,
        sent_ns: Some(sent_ns),
        intent,
        ..OperationRow::default()
    };
    match ask {
        Ask::Deposit(deposit) => OperationRow {
            kind: "deposit".to_owned(),
            account: deposit.account.get(),
            amount: deposit.amount.get(),
            ..row
        },
        Ask::Transfer(submit) => OperationRow {
            kind: if submit.to.bank == OWN_BANK { "transfer" } else { "outbound" }.to_owned(),
            account: submit.from.get(),
            amount: submit.amount.get(),
            user: Some(submit.user.0),
            to_bank: Some(submit.to.bank.clone()),
            to_account: Some(submit.to.account.clone()),
            ..row
        },
    }
}

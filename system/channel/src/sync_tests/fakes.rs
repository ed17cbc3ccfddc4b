//! A channel's outside in memory: a copy that lacks what a test says, core that takes as long as it says.
//!
//! In: accounts, entries, how core and the store behave. Out: what was stored, asked and counted. Elsewhere: what a process lends its
//! services, the log (`process`), the store (`store`).

mod process;
mod store;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bankstorm_contracts::channel_api::TransferStage;
use bankstorm_contracts::core_api::{Party, Purpose, Transfer, Verdict};
use bankstorm_contracts::{
    AccountNo, DigestRange, Digests, Entry, EntryKind, Head, ParamsHash, Seq, TransferId, UserNo, WallMicros, Won,
};
use bankstorm_outside::channel_store::{AdvanceWrites, TransferRow};
use bankstorm_outside::core_api::{CallError, CoreApi, Submitted};
use bankstorm_outside::log::ConsumerEvent;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Mutex as Turn, Notify};
use tokio::time::{Instant, sleep};

/// How long a call to core lasts at most.
const CALL_LIMIT: Duration = Duration::from_secs(3);

/// What core was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sync_tests) enum Call {
    Heads,
    Entries,
    Digests,
}

/// A question to core.
#[derive(Clone, Copy, Debug)]
pub(in crate::sync_tests) struct Asked {
    pub(in crate::sync_tests) at: Instant,
    pub(in crate::sync_tests) call: Call,
    /// Where it was asked about one account.
    pub(in crate::sync_tests) account: Option<AccountNo>,
    pub(in crate::sync_tests) purpose: Option<Purpose>,
}

/// What is stored, and what will happen.
#[derive(Default)]
pub(in crate::sync_tests) struct Data {
    pub(in crate::sync_tests) heads: BTreeMap<AccountNo, Head>,
    pub(in crate::sync_tests) dirty: BTreeSet<AccountNo>,
    pub(in crate::sync_tests) entries: BTreeMap<AccountNo, Vec<Entry>>,
    pub(in crate::sync_tests) transfers: BTreeMap<TransferId, TransferRow>,
    /// Everything that was committed.
    pub(in crate::sync_tests) commits: Vec<AdvanceWrites>,
    /// Whether the store is out of reach.
    pub(in crate::sync_tests) store_down: bool,
    /// How long a page takes.
    pub(in crate::sync_tests) page_takes: Duration,
    /// Core's entries.
    pub(in crate::sync_tests) booked: BTreeMap<AccountNo, Vec<Entry>>,
    /// How long core takes for an answer, which it has when the question comes.
    pub(in crate::sync_tests) takes: Duration,
    /// How long it takes for the next ones.
    pub(in crate::sync_tests) next_take: VecDeque<Duration>,
    /// Whether core gives no answers.
    pub(in crate::sync_tests) core_down: bool,
    /// Accounts about which alone core gives no answer.
    pub(in crate::sync_tests) unanswered: BTreeSet<AccountNo>,
    pub(in crate::sync_tests) asked: Vec<Asked>,
    in_flight: usize,
    /// Most questions at once.
    pub(in crate::sync_tests) most_in_flight: usize,
    pub(in crate::sync_tests) counts: BTreeMap<&'static str, u64>,
    pub(in crate::sync_tests) gauges: BTreeMap<&'static str, i64>,
    /// How often a consumer was asked for.
    pub(in crate::sync_tests) consumers: usize,
    stopping: bool,
}

/// Everything at once.
#[derive(Clone)]
pub(in crate::sync_tests) struct Fake {
    data: Arc<Mutex<Data>>,
    turn: Arc<Turn<()>>,
    stop: Arc<Notify>,
    events: Arc<Mutex<Option<UnboundedReceiver<ConsumerEvent>>>>,
    pub(in crate::sync_tests) log: UnboundedSender<ConsumerEvent>,
}

/// An account by a small number.
pub(in crate::sync_tests) const fn account(number: i64) -> AccountNo {
    AccountNo::new(AccountNo::FIRST_CUSTOMER + number)
}

pub(in crate::sync_tests) fn id(number: u32) -> TransferId {
    format!("00000000-0000-0000-0000-{number:012}").parse().expect("an id")
}

impl Fake {
    pub(in crate::sync_tests) fn new() -> Self {
        let (log, events) = unbounded_channel();
        let events = Arc::new(Mutex::new(Some(events)));
        Self { data: Arc::default(), turn: Arc::default(), stop: Arc::default(), events, log }
    }

    pub(in crate::sync_tests) fn data(&self) -> MutexGuard<'_, Data> {
        self.data.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(in crate::sync_tests) fn count(&self, name: &'static str) -> u64 {
        self.data().counts.get(name).copied().unwrap_or(0)
    }

    pub(in crate::sync_tests) fn stop(&self) {
        self.data().stopping = true;
        self.stop.notify_waiters();
    }

    /// An account of which core has so many rows of 10 won, and so has the copy.
    pub(in crate::sync_tests) fn opened(&self, account: AccountNo, rows: Seq) {
        for _ in 0..rows {
            self.book(account);
        }
        let mut data = self.data();
        let entries = data.booked.get(&account).cloned().unwrap_or_default();
        let head = entries.last().map_or(Head { account, seq: 0, balance: Won::ZERO }, Entry::head);
        data.heads.insert(account, head);
        data.entries.insert(account, entries);
    }

    /// Core books 10 won more.
    pub(in crate::sync_tests) fn book(&self, account: AccountNo) -> Entry {
        self.booked(account, 10, id(999_999), EntryKind::Deposit)
    }

    /// Core books the debit of a transfer.
    pub(in crate::sync_tests) fn book_transfer(&self, number: u32, account: AccountNo) -> Entry {
        self.booked(account, -10, id(number), EntryKind::TransferOut)
    }

    fn booked(&self, account: AccountNo, amount: i64, transfer: TransferId, kind: EntryKind) -> Entry {
        let mut data = self.data();
        let entries = data.booked.entry(account).or_default();
        let (seq, balance) = entries.last().map_or((0, 0), |last| (last.seq, last.balance_after.get()));
        let balance_after = Won::new(balance + amount);
        let posted_at = WallMicros(seq + 1);
        let entry = Entry { account, seq: seq + 1, amount: Won::new(amount), balance_after, transfer, kind, posted_at };
        entries.push(entry.clone());
        entry
    }

    /// A transfer of the account is in progress, and nobody knows what became of it.
    pub(in crate::sync_tests) fn in_progress(&self, number: u32, from: AccountNo) {
        let row = TransferRow {
            id: id(number),
            user: UserNo(7),
            from,
            to: Party::own(account(900)),
            amount: Won::new(10),
            params_hash: ParamsHash::of_transfer(from, Won::new(10), "900", "7"),
            stage: TransferStage::Unknown,
            reason: None,
            seq: None,
            created_at: WallMicros(number.into()),
            attempts: 0,
        };
        self.data().transfers.insert(row.id, row);
    }

    /// How often core was asked this.
    pub(in crate::sync_tests) fn asked(&self, call: Call, purpose: Option<Purpose>) -> usize {
        self.data().asked.iter().filter(|asked| asked.call == call && asked.purpose == purpose).count()
    }

    /// How often core was asked for the heads of single accounts, as pulls do.
    pub(in crate::sync_tests) fn pulls(&self) -> usize {
        self.data().asked.iter().filter(|asked| asked.call == Call::Heads && asked.account.is_some()).count()
    }

    /// How far the copy of an account stands.
    pub(in crate::sync_tests) fn stands(&self, account: AccountNo) -> Seq {
        self.data().heads.get(&account).map_or(0, |head| head.seq)
    }

    fn core_heads(&self) -> Vec<Head> {
        self.data().booked.values().filter_map(|entries| entries.last().map(Entry::head)).collect()
    }

    /// One call: noted, as long as core takes, and its answer.
    async fn call<T>(
        &self,
        call: Call,
        account: Option<AccountNo>,
        purpose: Option<Purpose>,
        answer: impl FnOnce() -> T,
    ) -> Result<T, CallError> {
        let (takes, down) = {
            let mut data = self.data();
            data.asked.push(Asked { at: Instant::now(), call, account, purpose });
            data.in_flight += 1;
            data.most_in_flight = data.most_in_flight.max(data.in_flight);
            let down = data.core_down || account.is_some_and(|account| data.unanswered.contains(&account));
            (data.next_take.pop_front().unwrap_or(data.takes), down)
        };
        let answer = answer();
        sleep(takes.min(CALL_LIMIT)).await;
        self.data().in_flight -= 1;
        if down || takes > CALL_LIMIT {
            return Err(CallError::Unavailable("planned".to_owned()));
        }
        Ok(answer)
    }
}

impl CoreApi for Fake {
    async fn entries(&self, of: AccountNo, after: Seq, limit: u32, why: Purpose) -> Result<Vec<Entry>, CallError> {
        let answer = || {
            let data = self.data();
            let entries = data.booked.get(&of).into_iter().flatten().filter(|entry| entry.seq > after);
            entries.take(limit as usize).cloned().collect()
        };
        self.call(Call::Entries, Some(of), Some(why), answer).await
    }

    async fn heads(&self, accounts: &[AccountNo], why: Purpose) -> Result<Vec<Head>, CallError> {
        let one = if let [account] = accounts { Some(*account) } else { None };
        let answer = || self.core_heads().into_iter().filter(|head| accounts.contains(&head.account)).collect();
        self.call(Call::Heads, one, Some(why), answer).await
    }

    async fn digests(&self, range: DigestRange) -> Result<Digests, CallError> {
        let answer = || Digests { parts: range.parts(&self.core_heads()), next: None };
        self.call(Call::Digests, None, None, answer).await
    }

    async fn transfer(&self, _: &Transfer, _: Duration) -> Result<Submitted, CallError> {
        Err(CallError::NotSent("not in these tests".to_owned()))
    }

    async fn resolve(&self, _: TransferId) -> Result<Verdict, CallError> {
        Err(CallError::NotSent("not in these tests".to_owned()))
    }
}

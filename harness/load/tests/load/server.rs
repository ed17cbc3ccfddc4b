//! A bank in a few lines: deposits get serials, history shows them on the second read, every third transfer stays open for two questions.
//! For those who scroll its accounts have a history of their own.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bankstorm_contracts::channel_api::{
    HistoryPage, SubmitTransfer, SyncAnswer, SyncResult, TransferStage, TransferView,
};
use bankstorm_contracts::core_api::{Deposit, Verdict};
use bankstorm_contracts::problem::ProblemKind;
use bankstorm_contracts::{
    AccountNo, Entry, EntryKind, Problem, RejectReason, TransferId, TransferState, WallMicros, Won,
};
use bankstorm_record::clock::Origin;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// How deposits and reads are treated.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Behaviour {
    /// At once.
    Answer,
    /// What arrives in the stall is answered when it ends.
    Stall { origin: Origin, from_ns: i64, until_ns: i64 },
    /// Never.
    Silent,
    /// In turn: never, or the connection breaks off after the request was read.
    SilentOrBroken,
    /// Every account has so many entries, and each page takes so long.
    History { depth: i64, takes: Duration },
}

pub(crate) struct Server {
    address: SocketAddr,
    bank: Arc<Bank>,
    tasks: JoinSet<()>,
}

struct Bank {
    behaviour: Behaviour,
    deposits: AtomicU64,
    accounts: Mutex<BTreeMap<i64, Account>>,
    submits: AtomicU64,
    presses: AtomicU64,
    transfers: Mutex<BTreeMap<TransferId, Known>>,
}

/// A transfer that the bank has taken on.
struct Known {
    /// Completed once it was asked about so often.
    open_for: u32,
    seq: i64,
}

#[derive(Default)]
struct Account {
    entries: Vec<Entry>,
    /// Entries that a read has asked for in vain.
    hidden_once: usize,
}

impl Server {
    pub(crate) async fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let bank = Arc::new(Bank {
            behaviour,
            deposits: AtomicU64::new(0),
            accounts: Mutex::default(),
            submits: AtomicU64::new(0),
            presses: AtomicU64::new(0),
            transfers: Mutex::default(),
        });
        let mut tasks = JoinSet::new();
        let accepting = Arc::clone(&bank);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let bank = Arc::clone(&accepting);
                let service = service_fn(move |request| {
                    let bank = Arc::clone(&bank);
                    async move { bank.handle(request).await }
                });
                connections.spawn(async move {
                    // Broken connections are part of the tests.
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self { address, bank, tasks }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stops, and returns the address at which nobody listens any more.
    pub(crate) async fn gone(mut self) -> String {
        self.tasks.shutdown().await;
        self.url()
    }

    pub(crate) fn submits(&self) -> u64 {
        self.bank.submits.load(Ordering::SeqCst)
    }

    pub(crate) fn presses(&self) -> u64 {
        self.bank.presses.load(Ordering::SeqCst)
    }

    pub(crate) fn deposits(&self) -> u64 {
        self.bank.deposits.load(Ordering::SeqCst)
    }
}

/// An entry that was there before.
fn old_entry(account: i64, seq: i64) -> Entry {
    Entry {
        account: AccountNo::new(account),
        seq,
        amount: Won::new(1),
        balance_after: Won::new(seq),
        transfer: TransferId(uuid::Uuid::from_u128(seq.unsigned_abs().into())),
        kind: EntryKind::Deposit,
        posted_at: WallMicros(0),
    }
}

/// The way to make hyper break a connection off.
#[derive(Debug, thiserror::Error)]
#[error("broken off")]
struct BrokenOff;

type Answer = Result<Response<Full<Bytes>>, BrokenOff>;

fn json(status: u16, value: &impl serde::Serialize) -> Answer {
    let body = serde_json::to_vec(value).expect("JSON");
    Ok(Response::builder().status(status).body(Full::new(body.into())).expect("a response"))
}

impl Bank {
    async fn handle(&self, request: Request<Incoming>) -> Answer {
        let path = request.uri().path().to_owned();
        let parts: Vec<&str> = path.split('/').collect();
        match parts.as_slice() {
            ["", "v1", "deposits"] => {
                let body = request.into_body().collect().await.map_err(|_| BrokenOff)?.to_bytes();
                self.deposit(&serde_json::from_slice(&body).expect("a deposit")).await
            }
            ["", "v1", "transfers", id, "resolve"] => {
                let id = id.parse().expect("an id");
                let reason = Some(RejectReason::NotReceived);
                json(
                    200,
                    &Verdict {
                        id,
                        state: TransferState::Rejected,
                        reason,
                        seq: None,
                        balance_after: None,
                        posted_at: None,
                        params_hash: None,
                    },
                )
            }
            ["", "v1", "transfers"] => {
                let body = request.into_body().collect().await.map_err(|_| BrokenOff)?.to_bytes();
                self.submit(&serde_json::from_slice(&body).expect("a transfer")).await
            }
            ["", "v1", "transfers", id] => self.state(id.parse().expect("an id")),
            ["", "v1", "accounts", account, "history"] => {
                let account = account.parse().expect("a number");
                self.history(account, request.uri().query().unwrap_or_default()).await
            }
            ["", "v1", "accounts", _, "sync"] => self.press().await,
            other => panic!("unexpected path {other:?}"),
        }
    }

    async fn deposit(&self, deposit: &Deposit) -> Answer {
        let number = self.deposits.fetch_add(1, Ordering::SeqCst);
        match self.behaviour {
            Behaviour::Answer | Behaviour::History { .. } => {}
            Behaviour::Stall { origin, from_ns, until_ns } => {
                let now_ns = origin.elapsed_ns();
                if (from_ns..until_ns).contains(&now_ns) {
                    // A millisecond more, because timers count from a coarser now.
                    let left_ns = u64::try_from(until_ns - now_ns).expect("within the stall");
                    tokio::time::sleep(Duration::from_nanos(left_ns) + Duration::from_millis(1)).await;
                }
            }
            Behaviour::SilentOrBroken if number % 2 == 1 => return Err(BrokenOff),
            Behaviour::Silent | Behaviour::SilentOrBroken => {
                let never: Infallible = std::future::pending().await;
                match never {}
            }
        }
        let mut accounts = self.accounts.lock().expect("no handler panicked");
        let entries = &mut accounts.entry(deposit.account.get()).or_default().entries;
        let balance = entries.last().map_or(Won::ZERO, |entry| entry.balance_after);
        let balance_after = balance.checked_add(deposit.amount).expect("small");
        let seq = entries.len() as i64 + 1;
        entries.push(Entry {
            account: deposit.account,
            seq,
            amount: deposit.amount,
            balance_after,
            transfer: deposit.id,
            kind: EntryKind::Deposit,
            posted_at: WallMicros(0),
        });
        json(
            201,
            &Verdict {
                id: deposit.id,
                state: TransferState::Completed,
                reason: None,
                seq: Some(seq),
                balance_after: Some(balance_after),
                posted_at: None,
                params_hash: None,
            },
        )
    }

    /// In turn: completed at once; taken on, and completed when asked about twice; refused as not started. A known id is answered again.
    async fn submit(&self, transfer: &SubmitTransfer) -> Answer {
        let number = self.submits.fetch_add(1, Ordering::SeqCst);
        if matches!(self.behaviour, Behaviour::Silent) {
            let never: Infallible = std::future::pending().await;
            match never {}
        }
        let is_known = self.transfers.lock().expect("no handler panicked").contains_key(&transfer.id);
        if !is_known {
            let open_for = match number % 3 {
                0 => 0,
                1 => 2,
                _ => {
                    let problem = Problem::new(ProblemKind::NotStarted, "full");
                    return json(503, &problem);
                }
            };
            let seq = i64::try_from(number).expect("small") + 1;
            self.transfers.lock().expect("no handler panicked").insert(transfer.id, Known { open_for, seq });
        }
        let view = self.view(transfer.id).expect("known");
        json(if view.state == TransferStage::Completed { 201 } else { 202 }, &view)
    }

    fn view(&self, id: TransferId) -> Option<TransferView> {
        let transfers = self.transfers.lock().expect("no handler panicked");
        let known = transfers.get(&id)?;
        let state = if known.open_for == 0 { TransferStage::Completed } else { TransferStage::Unknown };
        let seq = (known.open_for == 0).then_some(known.seq);
        Some(TransferView { id, state, reason: None, seq, message: None })
    }

    fn state(&self, id: TransferId) -> Answer {
        if let Some(known) = self.transfers.lock().expect("no handler panicked").get_mut(&id) {
            known.open_for = known.open_for.saturating_sub(1);
        }
        match self.view(id) {
            Some(view) => json(200, &view),
            None => json(404, &Problem::new(ProblemKind::NotFound, "no such transfer")),
        }
    }

    /// In turn: each result, a refusal, nothing started.
    async fn press(&self) -> Answer {
        let number = self.presses.fetch_add(1, Ordering::SeqCst);
        if matches!(self.behaviour, Behaviour::Silent) {
            let never: Infallible = std::future::pending().await;
            match never {}
        }
        let answer = |result| SyncAnswer { result, as_of_seq: 7, retry_after_ms: None };
        match number % 6 {
            0 => json(200, &answer(SyncResult::Synced)),
            1 => json(200, &answer(SyncResult::Stale)),
            2 => json(200, &answer(SyncResult::CoreUnavailable)),
            3 => json(200, &SyncAnswer { retry_after_ms: Some(900), ..answer(SyncResult::RateLimited) }),
            4 => json(404, &Problem::new(ProblemKind::NotFound, "no such account")),
            _ => json(503, &Problem::new(ProblemKind::NotStarted, "full")),
        }
    }

    /// A page below the cursor, of the accounts' own history where they have one.
    async fn history(&self, account: i64, query: &str) -> Answer {
        let number = |key: &str| {
            let value = query.split('&').find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='));
            value.map(|value| value.parse::<i64>().expect("a number"))
        };
        let (depth, takes) = match self.behaviour {
            Behaviour::History { depth, takes } => (depth, takes),
            Behaviour::Silent => {
                let never: Infallible = std::future::pending().await;
                match never {}
            }
            _ => return json(200, &self.page(account)),
        };
        tokio::time::sleep(takes).await;
        let top = number("cursor").map_or(depth, |cursor| cursor - 1);
        let bottom = (top - number("limit").expect("always said")).max(0);
        let items: Vec<Entry> = (bottom + 1..=top).rev().map(|seq| old_entry(account, seq)).collect();
        let next_cursor = items.last().map(|oldest| oldest.seq).filter(|seq| *seq > 1);
        json(200, &HistoryPage { items, next_cursor, as_of_seq: depth, stale: false, pending: Vec::new() })
    }

    /// The newest twenty entries, the very newest only from the second read on.
    fn page(&self, account: i64) -> HistoryPage {
        let mut accounts = self.accounts.lock().expect("no handler panicked");
        let account = accounts.entry(account).or_default();
        let hide = usize::from(account.hidden_once < account.entries.len());
        account.hidden_once = account.entries.len();
        let shown = &account.entries[..account.entries.len() - hide];
        let items: Vec<Entry> = shown.iter().rev().take(20).cloned().collect();
        HistoryPage {
            as_of_seq: items.first().map_or(0, |entry| entry.seq),
            items,
            next_cursor: None,
            stale: false,
            pending: Vec::new(),
        }
    }
}

//! Models that are wrong on purpose: scripts must tell them from PostgreSQL.
//!
//! In: a cluster. Out: trials. Elsewhere: the right models (`model`).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bankstorm_contracts::{AccountNo, Entry, Head, Seq, TransferId};
use bankstorm_outside::conformance::script::{Act, Kind, Step, Wait, core, draw};
use bankstorm_outside::core_store::{
    Claim, Claimed, CoreStore, CoreTx, Locked, OpenHold, OpenHolds, OutboxRow, TransferRecord, Writes,
};
use bankstorm_outside::{CommitOutcome, LockMode, StoreError};
use bankstorm_simulator::model::core_store::{ModelCoreStore, ModelCoreTx};
use bankstorm_simulator::model::database::ModelDatabase;
use libtest_mimic::{Failed, Trial};
use tokio::time::{Instant, sleep};

use super::model::{self, Model};
use super::{compare, real};
use crate::Place;

/// Scripts within which a wrong model must be told.
const WITHIN: u64 = 300;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    /// A claim takes an id that somebody else holds.
    HastyClaim,
    /// Whoever waits for a row asks again and again, so that the last one may be first.
    NoQueue,
    /// Heads written before a rollback are read as if they stood.
    RollbackKeeps,
    /// A commit says nothing of a step that failed before.
    CommitForgets,
}

pub(crate) fn trials(place: &Place) -> Vec<Trial> {
    macro_rules! trial {
        ($name:literal, $model:ident, $script:expr) => {{
            let cluster = place.core.clone();
            Trial::test(concat!("scripts::", $name), move || caught::<$model>(&cluster, $script))
        }};
    }
    vec![
        trial!("a_claim_that_does_not_wait_is_caught", HastyClaim, drawn),
        trial!("a_row_without_a_queue_is_caught", NoQueue, queue),
        trial!("a_rollback_that_keeps_rows_is_caught", RollbackKeeps, drawn),
        trial!("a_commit_that_forgets_a_failed_step_is_caught", CommitForgets, drawn),
    ]
}

fn drawn(seed: u64) -> Vec<Step> {
    draw(Kind::Core, seed)
}

/// Two wait for a row, one after the other; its holder rolls back.
fn queue(_seed: u64) -> Vec<Step> {
    let steps = (0..3).map(|session| Step { session, act: Act::Begin });
    let steps = steps.chain((0..3).map(|session| Step { session, act: Act::Lock(vec![0], Some(Wait::Long)) }));
    steps.chain([Step { session: 0, act: Act::Drop }]).collect()
}

fn caught<M: Model>(cluster: &str, script: fn(u64) -> Vec<Step>) -> Result<(), Failed> {
    real::prepare(cluster);
    let database = real::Database::<real::Core>::open(cluster);
    for seed in 0..WITHIN {
        let steps = script(seed);
        if let Err(difference) = compare::<real::Core, M>(&database, &steps, seed) {
            let first = difference.lines().filter(|line| line.starts_with(">>>")).collect::<Vec<_>>().join("\n");
            println!("caught by the script of seed {seed}:\n{first}");
            return Ok(());
        }
    }
    Err(format!("not told from PostgreSQL by {WITHIN} scripts").into())
}

macro_rules! wrong {
    ($($name:ident),*) => {$(
        struct $name(WrongStore);

        impl Model for $name {
            type Port = core::Core<WrongStore>;

            fn open(seed: u64) -> Self {
                let store = model::Core::open(seed).0;
                Self(WrongStore { store, wrong: Wrong::$name, kept: Arc::default(), asking: Arc::default() })
            }

            fn store(&self) -> WrongStore {
                self.0.clone()
            }

            fn database(&self) -> &ModelDatabase {
                self.0.store.database()
            }

            fn waiting(&self) -> usize {
                self.database().waiting() + self.0.asking.load(Ordering::Relaxed)
            }
        }
    )*};
}

wrong!(HastyClaim, NoQueue, RollbackKeeps, CommitForgets);

#[derive(Clone)]
pub(super) struct WrongStore {
    store: ModelCoreStore,
    wrong: Wrong,
    /// Heads that a rollback should have taken back.
    kept: Arc<Mutex<BTreeMap<AccountNo, Head>>>,
    /// How many ask again and again.
    asking: Arc<AtomicUsize>,
}

pub(super) struct WrongTx {
    /// Absent once it is over.
    tx: Option<ModelCoreTx>,
    store: WrongStore,
    heads: Vec<Head>,
    failed: bool,
}

impl CoreStore for WrongStore {
    type Tx = WrongTx;

    async fn begin(&self) -> Result<WrongTx, StoreError> {
        let tx = self.store.begin().await?;
        Ok(WrongTx { tx: Some(tx), store: self.clone(), heads: Vec::new(), failed: false })
    }

    async fn entries(&self, account: AccountNo, after: Seq, limit: u32) -> Result<Vec<Entry>, StoreError> {
        self.store.entries(account, after, limit).await
    }

    async fn heads(&self, accounts: &[AccountNo]) -> Result<Vec<Head>, StoreError> {
        let mut heads = self.store.heads(accounts).await?;
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        for head in &mut heads {
            *head = kept.get(&head.account).copied().unwrap_or(*head);
        }
        Ok(heads)
    }

    async fn heads_between(&self, from: AccountNo, to: AccountNo, limit: u32) -> Result<Vec<Head>, StoreError> {
        self.store.heads_between(from, to, limit).await
    }

    async fn transfer(&self, id: TransferId) -> Result<Option<TransferRecord>, StoreError> {
        self.store.transfer(id).await
    }

    async fn open_holds(&self, limit: u32) -> Result<OpenHolds, StoreError> {
        self.store.open_holds(limit).await
    }

    async fn unsent(&self, limit: u32) -> Result<Vec<OutboxRow>, StoreError> {
        self.store.unsent(limit).await
    }

    async fn unsent_above(&self, id: i64, limit: u32) -> Result<Vec<OutboxRow>, StoreError> {
        self.store.unsent_above(id, limit).await
    }

    async fn mark_sent(&self, ids: &[i64]) -> Result<(), StoreError> {
        self.store.mark_sent(ids).await
    }
}

impl WrongTx {
    fn tx(&mut self) -> Result<&mut ModelCoreTx, StoreError> {
        self.tx.as_mut().ok_or_else(over)
    }

    fn saw<T>(&mut self, answer: Result<T, StoreError>) -> Result<T, StoreError> {
        self.failed |= answer.is_err();
        answer
    }

    /// Asks for one row after the other, each without a queue.
    async fn lock_without_queue(&mut self, accounts: &[AccountNo], limit: Duration) -> Result<Locked, StoreError> {
        let until = Instant::now() + limit;
        let known = self.store.store.heads(accounts).await?.len();
        let mut asking = None;
        loop {
            let locked = self.tx()?.lock(accounts, LockMode::SkipLocked).await?;
            if locked.rows.len() == known {
                return Ok(locked);
            }
            if Instant::now() >= until {
                self.tx = None;
                return Err(StoreError::LockTimeout);
            }
            asking.get_or_insert_with(|| Asking::new(&self.store.asking));
            sleep(Duration::from_millis(3)).await;
        }
    }
}

fn over() -> StoreError {
    StoreError::Other("the transaction is over".to_owned())
}

/// Counts as waiting until it is dropped.
struct Asking(Arc<AtomicUsize>);

impl Asking {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl CoreTx for WrongTx {
    async fn claim(&mut self, claims: &[Claim], wait: Duration) -> Result<Vec<Claimed>, StoreError> {
        if self.store.wrong == Wrong::HastyClaim {
            return match self.tx()?.claim(claims, Duration::ZERO).await {
                Err(StoreError::LockTimeout) => Ok(vec![Claimed::New; claims.len()]),
                answer => answer,
            };
        }
        let answer = self.tx()?.claim(claims, wait).await;
        self.saw(answer)
    }

    async fn lock(&mut self, accounts: &[AccountNo], mode: LockMode) -> Result<Locked, StoreError> {
        let answer = match mode {
            LockMode::Wait(limit) if self.store.wrong == Wrong::NoQueue => {
                self.lock_without_queue(accounts, limit).await
            }
            mode => self.tx()?.lock(accounts, mode).await,
        };
        self.saw(answer)
    }

    async fn read_unlocked(&mut self, accounts: &[AccountNo]) -> Result<Locked, StoreError> {
        let answer = self.tx()?.read_unlocked(accounts).await;
        self.saw(answer)
    }

    async fn reopen(&mut self, ids: &[TransferId], wait: Duration) -> Result<Vec<OpenHold>, StoreError> {
        let answer = self.tx()?.reopen(ids, wait).await;
        self.saw(answer)
    }

    async fn write(&mut self, writes: &Writes) -> Result<(), StoreError> {
        let answer = self.tx()?.write(writes).await;
        if answer.is_ok() {
            self.heads.extend(&writes.heads);
        }
        self.saw(answer)
    }

    async fn commit(mut self) -> CommitOutcome {
        if self.failed && self.store.wrong == Wrong::CommitForgets {
            return CommitOutcome::Ok;
        }
        self.heads.clear();
        match self.tx.take() {
            Some(tx) => tx.commit().await,
            None => CommitOutcome::Failed(over()),
        }
    }

    async fn write_and_commit(mut self, writes: &Writes) -> CommitOutcome {
        if self.failed && self.store.wrong == Wrong::CommitForgets {
            return CommitOutcome::Ok;
        }
        self.heads.clear();
        match self.tx.take() {
            Some(tx) => tx.write_and_commit(writes).await,
            None => CommitOutcome::Failed(over()),
        }
    }
}

impl Drop for WrongTx {
    fn drop(&mut self) {
        if self.store.wrong == Wrong::RollbackKeeps {
            let mut kept = self.store.kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.extend(self.heads.iter().map(|head| (head.account, *head)));
        }
    }
}

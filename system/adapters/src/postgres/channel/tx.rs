//! One transaction of the channel's database.
//!
//! In: steps. Out: pipelined statements. Elsewhere: the statements (`statements`), judging errors (`error`).
//!
//! The states: idle (BEGIN not sent yet), open, broken (a step failed or was abandoned). Dropping an open one sends ROLLBACK from a task;
//! its connection is lent again after the answer, or closed. After a COMMIT it is lent again only if all went well.
//!
//! Pipelined statements stand by themselves: were BEGIN refused, the next one would commit on its own. So only reads travel with BEGIN;
//! what writes is sent when BEGIN was answered.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bankstorm_contracts::{AccountNo, Head, Won};
use bankstorm_outside::channel_store::{AdvanceWrites, ChannelTx};
use bankstorm_outside::{CommitOutcome, LockMode, StoreError};
use futures_util::future::{join, join3};
use postgres_types::ToSql;
use tokio::time::timeout;
use tokio_postgres::{Error, Row};

use super::columns::Columns;
use super::statements::Statements;
use crate::postgres::error::{judge_commit, store_error};
use crate::postgres::pool::{COMMIT_LIMIT, Lease, ROLLBACK_LIMIT, STEP_LIMIT};

/// A transaction on a leased connection.
pub struct PgChannelTx {
    lease: Option<Lease<Statements>>,
    state: State,
    instance: Arc<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    Open,
    Broken,
}

impl PgChannelTx {
    pub(super) fn new(lease: Lease<Statements>, instance: Arc<str>) -> Self {
        Self { lease: Some(lease), state: State::Idle, instance }
    }

    /// Takes the connection for one step. Until [`PgChannelTx::settle`] the transaction counts as broken: the step may be abandoned.
    fn enter(&mut self) -> Result<(Lease<Statements>, State), StoreError> {
        let before = std::mem::replace(&mut self.state, State::Broken);
        match self.lease.take() {
            Some(lease) if before != State::Broken => Ok((lease, before)),
            lease => {
                self.lease = lease;
                Err(broken())
            }
        }
    }

    /// Ends a step. An error of the server leaves a transaction that can be rolled back; without an answer the connection is closed.
    fn settle<T>(
        &mut self,
        lease: Lease<Statements>,
        answer: Result<Result<T, Error>, tokio::time::error::Elapsed>,
        what: &str,
    ) -> Result<T, StoreError> {
        let Ok(answer) = answer else {
            return Err(StoreError::Unavailable(format!("{what} was not answered within {STEP_LIMIT:?}")));
        };
        self.lease = Some(lease);
        let value = answer.map_err(|error| store_error(&error))?;
        self.state = State::Open;
        Ok(value)
    }
}

impl ChannelTx for PgChannelTx {
    async fn lock(&mut self, accounts: &[AccountNo], mode: LockMode) -> Result<Vec<Head>, StoreError> {
        let wanted: Vec<i64> = accounts.iter().map(|account| account.get()).collect();
        let (lease, before) = self.enter()?;
        let answer = timeout(STEP_LIMIT, lock(&lease, before, &wanted, mode)).await;
        self.settle(lease, answer, "locking sync rows")
    }

    async fn write(&mut self, writes: &AdvanceWrites) -> Result<(), StoreError> {
        let columns = Columns::of(writes);
        let instance = Arc::clone(&self.instance);
        let (lease, before) = self.enter()?;
        let steps = async {
            begin(&lease, before).await?;
            let (entries, heads, journal) = insert(&lease, &columns, &instance).await;
            entries?;
            heads?;
            journal
        };
        let answer = timeout(STEP_LIMIT, steps).await;
        self.settle(lease, answer, "writing rows")
    }

    async fn commit(mut self) -> CommitOutcome {
        let Ok((lease, before)) = self.enter() else { return CommitOutcome::Failed(broken()) };
        if before == State::Idle {
            lease.give_back();
            return CommitOutcome::Ok;
        }
        let answer = timeout(COMMIT_LIMIT, commit(&lease)).await;
        end(lease, answer.map(|commit| (None, commit)))
    }

    async fn write_and_commit(mut self, writes: &AdvanceWrites) -> CommitOutcome {
        let columns = Columns::of(writes);
        let instance = Arc::clone(&self.instance);
        let Ok((lease, before)) = self.enter() else { return CommitOutcome::Failed(broken()) };
        // One round trip. The server answers in order, so the last answer is COMMIT's; a failed step makes of it a ROLLBACK.
        let steps = async {
            begin(&lease, before).await?;
            Ok(join(insert(&lease, &columns, &instance), commit(&lease)).await)
        };
        match timeout(COMMIT_LIMIT, steps).await {
            // Nothing but BEGIN was sent; the lease is dropped.
            Ok(Err(error)) => CommitOutcome::Failed(store_error(&error)),
            Ok(Ok(((entries, heads, journal), commit))) => {
                end(lease, Ok((entries.and(heads).and(journal).err(), commit)))
            }
            Err(elapsed) => end(lease, Err(elapsed)),
        }
    }
}

impl Drop for PgChannelTx {
    fn drop(&mut self) {
        let Some(lease) = self.lease.take() else { return };
        if self.state == State::Idle {
            lease.give_back();
            return;
        }
        // Without a runtime (at shutdown) dropping the lease closes the connection, which rolls back as well.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let rolled_back = timeout(ROLLBACK_LIMIT, lease.client().batch_execute("ROLLBACK")).await;
                if matches!(rolled_back, Ok(Ok(()))) {
                    lease.give_back();
                }
            });
        }
    }
}

/// Judges a COMMIT. The connection goes back only when all went well: closing it ends whatever is still open there, which makes Failed
/// true.
fn end(
    lease: Lease<Statements>,
    answer: Result<(Option<Error>, Result<(), Error>), tokio::time::error::Elapsed>,
) -> CommitOutcome {
    let Ok((step, commit)) = answer else {
        return CommitOutcome::Unknown(format!("COMMIT was not answered within {COMMIT_LIMIT:?}"));
    };
    let outcome = judge_commit(step, commit);
    if matches!(outcome, CommitOutcome::Ok) {
        lease.give_back();
    }
    outcome
}

fn broken() -> StoreError {
    StoreError::Other("a step of this transaction failed before".to_owned())
}

/// BEGIN, where it has not been sent yet.
async fn begin(lease: &Lease<Statements>, before: State) -> Result<(), Error> {
    match before {
        State::Idle => lease.client().execute(&lease.statements().begin, &[]).await.map(drop),
        State::Open | State::Broken => Ok(()),
    }
}

async fn commit(lease: &Lease<Statements>) -> Result<(), Error> {
    lease.client().execute(&lease.statements().commit, &[]).await.map(drop)
}

/// Entries, heads and journal, pipelined.
async fn insert(
    lease: &Lease<Statements>,
    columns: &Columns<'_>,
    instance: &str,
) -> (Result<(), Error>, Result<(), Error>, Result<(), Error>) {
    let (client, sql) = (lease.client(), lease.statements());
    let (e, h, j) = (&columns.entries, &columns.heads, &columns.journal);
    let entries: [&(dyn ToSql + Sync); 7] =
        [&e.account, &e.seq, &e.transfer, &e.amount, &e.balance_after, &e.kind, &e.posted_at];
    let heads: [&(dyn ToSql + Sync); 4] = [&h.account, &h.from_seq, &h.to_seq, &h.balance];
    let journal: [&(dyn ToSql + Sync); 9] = [
        &j.account,
        &j.from_seq,
        &j.to_seq,
        &j.source,
        &j.topic,
        &j.partition,
        &j.record_offset,
        &j.generation,
        &instance,
    ];
    let (entries, heads, journal) = join3(
        client.execute(&sql.entries, &entries),
        client.execute(&sql.heads, &heads),
        client.execute(&sql.journal, &journal),
    )
    .await;
    (entries.map(drop), heads.map(drop), journal.map(drop))
}

/// Locks rows that exist in account order, then makes and so locks the missing ones.
async fn lock(lease: &Lease<Statements>, before: State, wanted: &[i64], mode: LockMode) -> Result<Vec<Head>, Error> {
    let (client, sql) = (lease.client(), lease.statements());
    let (select, make) = match mode {
        LockMode::SkipLocked => (&sql.lock_skip, &sql.make_skip),
        LockMode::Wait(_) => (&sql.lock_wait, &sql.make_wait),
    };
    let wait = match mode {
        LockMode::SkipLocked => None,
        LockMode::Wait(wait) => Some(lock_timeout(wait)),
    };
    let limit = async {
        match &wait {
            Some(wait) => client.execute(&sql.set_wait, &[wait]).await.map(drop),
            None => Ok(()),
        }
    };
    let asked: [&(dyn ToSql + Sync); 1] = [&wanted];
    let (begun, limited, rows) = futures_util::join!(begin(lease, before), limit, client.query(select, &asked));
    begun?;
    limited?;
    let mut heads: Vec<Head> = rows?.iter().map(head).collect();
    let missing = absent(wanted, &heads);
    if missing.is_empty() {
        return Ok(heads);
    }
    let made = client.query(make, &[&missing]).await?;
    heads.extend(made.iter().map(|row| Head { account: AccountNo::new(row.get(0)), seq: 0, balance: Won::ZERO }));
    if matches!(mode, LockMode::Wait(_)) {
        // Somebody else made them while we waited: now they can be locked like any other.
        let missing = absent(wanted, &heads);
        if !missing.is_empty() {
            heads.extend(client.query(select, &[&missing]).await?.iter().map(head));
        }
    }
    heads.sort_by_key(|head| head.account);
    Ok(heads)
}

fn absent(wanted: &[i64], heads: &[Head]) -> Vec<i64> {
    let here: BTreeSet<i64> = heads.iter().map(|head| head.account.get()).collect();
    wanted.iter().copied().filter(|number| !here.contains(number)).collect()
}

fn head(row: &Row) -> Head {
    Head {
        account: AccountNo::new(row.get("account")),
        seq: row.get("last_seq"),
        balance: Won::new(row.get("balance")),
    }
}

/// A `lock_timeout`. Zero would mean "for ever" there, so the least is 1 ms.
fn lock_timeout(wait: Duration) -> String {
    format!("{}ms", wait.as_millis().clamp(1, 1_000_000))
}

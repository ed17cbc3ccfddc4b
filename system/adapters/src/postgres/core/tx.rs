//! One transaction of core's database.
//!
//! In: steps. Out: pipelined statements. Elsewhere: the statements (`sql`), judging errors (`error`).
//!
//! The states: idle (BEGIN not sent yet), open, broken (a step failed; only ROLLBACK helps). Dropping an open one sends ROLLBACK from a
//! task; its connection is lent again after the answer, or closed. After a COMMIT it is lent again only if all went well.
//!
//! Pipelined statements stand by themselves: were BEGIN refused, the next one would commit on its own. So nothing but claims travels with
//! BEGIN, and a claim inserts nothing outside a transaction (`sql`); writes are sent when BEGIN was answered.

use std::collections::BTreeSet;
use std::time::Duration;

use bankstorm_contracts::{AccountNo, TransferId, WallMicros};
use bankstorm_outside::core_store::{Claim, Claimed, CoreTx, Locked, OpenHold, Writes};
use bankstorm_outside::{CommitOutcome, LockMode, StoreError};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use tokio::time::timeout;
use tokio_postgres::{Error, Row};
use uuid::Uuid;

use super::super::columns::lock_timeout;
use super::super::error::{judge_commit, store_error};
use super::super::pool::{COMMIT_LIMIT, Lease, ROLLBACK_LIMIT, STEP_LIMIT};
use super::account_row;
use super::claims::{ClaimColumns, insert, met, open_hold, read_standing};
use super::sql::CoreSql;

/// A transaction on a leased connection.
pub struct PgCoreTx {
    lease: Option<Lease<CoreSql>>,
    state: State,
    /// What this transaction claimed, reopened, and locked or read without a lock: it may write nothing else.
    claimed: BTreeSet<TransferId>,
    reopened: BTreeSet<TransferId>,
    locked: BTreeSet<AccountNo>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    Open,
    Broken,
}

impl PgCoreTx {
    pub(super) fn new(lease: Lease<CoreSql>) -> Self {
        Self {
            lease: Some(lease),
            state: State::Idle,
            claimed: BTreeSet::new(),
            reopened: BTreeSet::new(),
            locked: BTreeSet::new(),
        }
    }

    /// Runs a step, with BEGIN ahead of it if that is still to be sent. Any error breaks the transaction.
    async fn step<T>(
        &mut self,
        what: &str,
        step: impl AsyncFnOnce(&Lease<CoreSql>) -> Result<T, Error>,
    ) -> Result<T, StoreError> {
        let first = self.state == State::Idle;
        if self.state == State::Broken {
            return Err(StoreError::Other("a step of this transaction failed before".to_owned()));
        }
        // Until the answer is here, the transaction counts as broken: this future may be dropped.
        self.state = State::Broken;
        let lease = self.lease.as_ref().expect("a transaction has its connection until it ends");
        let steps = async {
            if !first {
                return step(lease).await;
            }
            let (begun, done) =
                futures_util::join!(lease.client().execute(&lease.statements().begin, &[]), step(lease));
            begun.and(done)
        };
        match timeout(STEP_LIMIT, steps).await {
            Ok(Ok(value)) => {
                self.state = State::Open;
                Ok(value)
            }
            Ok(Err(error)) => Err(store_error(&error)),
            Err(_) => {
                // The connection is closed, since nobody knows what it still does.
                self.lease = None;
                Err(StoreError::Unavailable(format!("{what} was not answered within {STEP_LIMIT:?}")))
            }
        }
    }

    /// Refuses writes to rows that this transaction does not hold.
    fn check_held(&self, writes: &Writes) -> Result<(), StoreError> {
        let held = writes.held.iter().map(|(account, _)| *account);
        let unlocked = writes.heads.iter().map(|head| head.account).chain(held).find(|no| !self.locked.contains(no));
        if let Some(account) = unlocked {
            return Err(StoreError::Other(format!("account {account} is not locked by this transaction")));
        }
        let settled = writes.settled.iter().map(|settled| settled.id);
        let mut ends = settled.chain(writes.ended.iter().map(|hold| hold.transfer));
        if let Some(id) = ends.find(|id| !self.claimed.contains(id) && !self.reopened.contains(id)) {
            return Err(StoreError::Other(format!(
                "transfer {id} is neither claimed nor reopened by this transaction"
            )));
        }
        match writes.released.iter().find(|id| !self.claimed.contains(id)) {
            Some(id) => Err(StoreError::Other(format!("transfer {id} is not claimed by this transaction"))),
            None => Ok(()),
        }
    }

    fn claims_met(&mut self, claims: &[Claim], new: &[Row], standing: &[Row]) -> Result<Vec<Claimed>, StoreError> {
        let new: BTreeSet<TransferId> = new.iter().map(|row| TransferId(row.get("id"))).collect();
        let met = met(claims, &new, standing);
        self.claimed.extend(new);
        self.breaks(met)
    }
}

impl CoreTx for PgCoreTx {
    async fn claim(&mut self, claims: &[Claim], wait: Duration) -> Result<Vec<Claimed>, StoreError> {
        let columns = ClaimColumns::of(claims);
        let wait = lock_timeout(wait);
        let (new, standing) = self
            .step("claiming ids", async |lease| {
                let (waits, new, standing) = futures_util::join!(
                    set_wait(lease, &wait),
                    insert(lease, &columns),
                    read_standing(lease, &columns)
                );
                waits?;
                Ok((new?, standing?))
            })
            .await?;
        self.claims_met(claims, &new, &standing)
    }

    async fn lock(&mut self, accounts: &[AccountNo], mode: LockMode) -> Result<Locked, StoreError> {
        let numbers: Vec<i64> = accounts.iter().map(|account| account.get()).collect();
        let wait = row_limit(mode).map(lock_timeout);
        let (rows, now) = self
            .step("locking accounts", async |lease| {
                let (waits, rows, now) = futures_util::join!(
                    set_some_wait(lease, wait.as_deref()),
                    lock_rows(lease, &numbers, mode),
                    read_now(lease)
                );
                waits?;
                Ok((rows?, now?))
            })
            .await?;
        self.locked(&rows, &now)
    }

    async fn claim_and_lock(
        &mut self,
        claims: &[Claim],
        wait: Duration,
        accounts: &[AccountNo],
        mode: LockMode,
    ) -> Result<(Vec<Claimed>, Locked), StoreError> {
        let columns = ClaimColumns::of(claims);
        let numbers: Vec<i64> = accounts.iter().map(|account| account.get()).collect();
        let claim_wait = lock_timeout(wait);
        let row_wait = row_limit(mode).filter(|row_wait| *row_wait != wait).map(lock_timeout);
        let (new, standing, rows, now) = self
            .step("claiming ids and locking accounts", async |lease| {
                // One round trip: all are sent before the first answer comes, in this order.
                let (waits, new, standing, row_waits, rows, now) = futures_util::join!(
                    set_wait(lease, &claim_wait),
                    insert(lease, &columns),
                    read_standing(lease, &columns),
                    set_some_wait(lease, row_wait.as_deref()),
                    lock_rows(lease, &numbers, mode),
                    read_now(lease)
                );
                waits?;
                let claimed = (new?, standing?);
                row_waits?;
                Ok((claimed.0, claimed.1, rows?, now?))
            })
            .await?;
        let met = self.claims_met(claims, &new, &standing)?;
        Ok((met, self.locked(&rows, &now)?))
    }

    async fn read_unlocked(&mut self, accounts: &[AccountNo]) -> Result<Locked, StoreError> {
        let numbers: Vec<i64> = accounts.iter().map(|account| account.get()).collect();
        let (rows, now) = self
            .step("reading accounts", async |lease| {
                let (rows, now) = futures_util::join!(read_unlocked(lease, &numbers), read_now(lease));
                Ok((rows?, now?))
            })
            .await?;
        self.locked(&rows, &now)
    }

    async fn reopen(&mut self, ids: &[TransferId], wait: Duration) -> Result<Vec<OpenHold>, StoreError> {
        let numbers: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        let (wait, no_more) = (lock_timeout(wait), lock_timeout(STEP_LIMIT));
        let rows = self
            .step("reopening transfers", async |lease| {
                let (waits, rows, resets) =
                    futures_util::join!(set_wait(lease, &wait), reopen(lease, &numbers), set_wait(lease, &no_more));
                waits?;
                let rows = rows?;
                resets.map(|()| rows)
            })
            .await?;
        let open = rows.iter().map(open_hold).collect::<Result<Vec<OpenHold>, _>>();
        let open = self.breaks(open)?;
        self.reopened.extend(open.iter().map(|hold| hold.transfer));
        Ok(open)
    }

    async fn write(&mut self, writes: &Writes) -> Result<(), StoreError> {
        if let Err(error) = self.check_held(writes) {
            self.state = State::Broken;
            return Err(error);
        }
        let columns = super::writes::Columns::of(writes);
        if self.state == State::Idle {
            self.step("beginning", async |_| Ok(())).await?;
        }
        self.step("writing rows", async |lease| {
            let done = join_all(columns.statements(lease)).await;
            done.into_iter().collect::<Result<Vec<()>, Error>>().map(drop)
        })
        .await
    }

    async fn commit(self) -> CommitOutcome {
        self.write_and_commit(&Writes::default()).await
    }

    async fn write_and_commit(mut self, writes: &Writes) -> CommitOutcome {
        if self.state == State::Broken {
            return CommitOutcome::Failed(StoreError::Other("a step of this transaction failed before".to_owned()));
        }
        if let Err(error) = self.check_held(writes) {
            return CommitOutcome::Failed(error);
        }
        if self.state == State::Idle
            && let Err(error) = self.step("beginning", async |_| Ok(())).await
        {
            return CommitOutcome::Failed(error);
        }
        self.state = State::Broken;
        let columns = super::writes::Columns::of(writes);
        let lease = self.lease.take().expect("a transaction has its connection until it ends");
        let answers = {
            // One round trip again. The server answers in order, so the last answer is COMMIT's.
            let mut sent: Vec<BoxFuture<'_, Result<(), Error>>> = columns.statements(&lease);
            sent.push(lease.client().execute(&lease.statements().commit, &[]).map(|done| done.map(drop)).boxed());
            timeout(COMMIT_LIMIT, join_all(sent)).await
        };
        let Ok(mut answers) = answers else {
            // The lease is dropped, which closes its connection.
            return CommitOutcome::Unknown(format!("COMMIT was not answered within {COMMIT_LIMIT:?}"));
        };
        let commit = answers.pop().expect("COMMIT was sent");
        let outcome = judge_commit(answers.into_iter().find_map(Result::err), commit);
        // After a COMMIT that was refused nobody knows what is still open there. Closing the connection ends it, which makes Failed true.
        if matches!(outcome, CommitOutcome::Ok) {
            lease.give_back();
        }
        outcome
    }
}

impl PgCoreTx {
    fn locked(&mut self, rows: &[Row], now: &Row) -> Result<Locked, StoreError> {
        let rows = rows.iter().map(account_row).collect::<Result<Vec<_>, _>>();
        let rows = self.breaks(rows)?;
        self.locked.extend(rows.iter().map(|row| row.head.account));
        Ok(Locked { rows, now: WallMicros(now.get("now_us")) })
    }

    fn breaks<T>(&mut self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        if result.is_err() {
            self.state = State::Broken;
        }
        result
    }
}

impl Drop for PgCoreTx {
    fn drop(&mut self) {
        let Some(lease) = self.lease.take() else { return };
        if self.state == State::Idle {
            lease.give_back();
            return;
        }
        // Without a runtime (at shutdown) dropping the lease closes the connection, which rolls back as well.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let rolled_back =
                    timeout(ROLLBACK_LIMIT, lease.client().execute(&lease.statements().rollback, &[])).await;
                if matches!(rolled_back, Ok(Ok(_))) {
                    lease.give_back();
                }
            });
        }
    }
}

async fn set_wait(lease: &Lease<CoreSql>, wait: &str) -> Result<(), Error> {
    lease.client().execute(&lease.statements().lock_wait, &[&wait]).await.map(drop)
}

async fn set_some_wait(lease: &Lease<CoreSql>, wait: Option<&str>) -> Result<(), Error> {
    match wait {
        Some(wait) => set_wait(lease, wait).await,
        None => Ok(()),
    }
}

async fn reopen(lease: &Lease<CoreSql>, ids: &Vec<Uuid>) -> Result<Vec<Row>, Error> {
    lease.client().query(&lease.statements().reopen, &[ids]).await
}

async fn lock_rows(lease: &Lease<CoreSql>, numbers: &Vec<i64>, mode: LockMode) -> Result<Vec<Row>, Error> {
    let statement = match mode {
        LockMode::SkipLocked => &lease.statements().lock_free,
        LockMode::Wait(_) => &lease.statements().lock,
    };
    lease.client().query(statement, &[numbers]).await
}

async fn read_unlocked(lease: &Lease<CoreSql>, numbers: &Vec<i64>) -> Result<Vec<Row>, Error> {
    lease.client().query(&lease.statements().read_unlocked, &[numbers]).await
}

async fn read_now(lease: &Lease<CoreSql>) -> Result<Row, Error> {
    lease.client().query_one(&lease.statements().now, &[&lock_timeout(STEP_LIMIT)]).await
}

const fn row_limit(mode: LockMode) -> Option<Duration> {
    match mode {
        LockMode::SkipLocked => None,
        LockMode::Wait(limit) => Some(limit),
    }
}

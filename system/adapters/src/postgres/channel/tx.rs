//! One transaction of the channel's database.
//!
//! In: steps. Out: pipelined statements. Elsewhere: the statements (`statements`), how rows are locked (`locks`), what a transfer's rows
//! are (`transfers`), judging errors (`error`).
//!
//! The states: idle (BEGIN not sent yet), open, broken (a step failed or was abandoned). Dropping an open one sends ROLLBACK from a task;
//! its connection is lent again after the answer, or closed. After a COMMIT it is lent again only if all went well.
//!
//! Pipelined statements stand by themselves: were BEGIN refused, the next one would commit on its own. So only what reads and locks
//! travels with BEGIN, and the storing of a transfer, which inserts nothing outside a transaction (`statements`); everything else that
//! writes is sent when BEGIN was answered.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bankstorm_contracts::{AccountNo, TransferId};
use bankstorm_outside::channel_store::{
    AdvanceWrites, ChannelTx, Fence, Locked, NewTransfer, Opened, SyncRow, TransferRow,
};
use bankstorm_outside::{CommitOutcome, LockMode, StoreError};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use tokio::time::timeout;
use tokio_postgres::{Error, Row};
use uuid::Uuid;

use super::columns::Columns;
use super::locks::{Owners, absent, existing, make_missing, reset_wait, set_wait};
use super::statements::Statements;
use super::transfers;
use crate::postgres::columns::lock_timeout;
use crate::postgres::error::{judge_commit, store_error};
use crate::postgres::pool::{COMMIT_LIMIT, Lease, ROLLBACK_LIMIT, STEP_LIMIT};

/// How often a transfer is tried to be stored while whoever is in the way is gone before he can be read.
const OPEN_TRIES: usize = 3;

/// A transaction on a leased connection.
pub struct PgChannelTx {
    lease: Option<Lease<Statements>>,
    state: State,
    instance: Arc<str>,
    /// The transfers that it locked: it may move no others.
    transfers: BTreeSet<TransferId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    Open,
    Broken,
}

impl PgChannelTx {
    pub(super) fn new(lease: Lease<Statements>, instance: Arc<str>) -> Self {
        Self { lease: Some(lease), state: State::Idle, instance, transfers: BTreeSet::new() }
    }

    /// Runs a step, with BEGIN ahead of it if that is still to be sent. Any error breaks the transaction.
    async fn step<T>(
        &mut self,
        what: &str,
        step: impl AsyncFnOnce(&Lease<Statements>) -> Result<T, Error>,
    ) -> Result<T, StoreError> {
        // Until the answer is here, the transaction counts as broken: this future may be dropped.
        let before = std::mem::replace(&mut self.state, State::Broken);
        let lease = match &self.lease {
            Some(lease) if before != State::Broken => lease,
            _ => return Err(broken()),
        };
        let steps = async {
            if before == State::Open {
                return step(lease).await;
            }
            let (begun, done) = futures_util::join!(begin(lease), step(lease));
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

    /// Sends BEGIN alone, where it has not been sent yet: before writes.
    async fn begun(&mut self) -> Result<(), StoreError> {
        match self.state {
            State::Idle => self.step("beginning", async |_| Ok(())).await,
            State::Open => Ok(()),
            State::Broken => Err(broken()),
        }
    }

    /// Makes the sync rows that are missing beside those that were locked.
    async fn complete(
        &mut self,
        wanted: &[i64],
        mode: LockMode,
        rows: Vec<SyncRow>,
    ) -> Result<Vec<SyncRow>, StoreError> {
        if absent(wanted, &rows).is_empty() {
            return Ok(rows);
        }
        let mut rows = rows;
        self.step("making sync rows", async |lease| {
            make_missing(lease, wanted, mode, &mut rows).await?;
            Ok(rows)
        })
        .await
    }

    /// Takes rows of transfers that are locked now.
    fn hold(&mut self, rows: &[Row]) -> Result<Vec<TransferRow>, StoreError> {
        let rows = self.breaks(transfers::transfers(rows))?;
        self.transfers.extend(rows.iter().map(|row| row.id));
        Ok(rows)
    }

    /// Refuses to move transfers that this transaction does not hold.
    fn check_held(&mut self, writes: &AdvanceWrites) -> Result<(), StoreError> {
        let stranger = writes.transfers.iter().find(|moved| !self.transfers.contains(&moved.id));
        let checked = match stranger {
            None => Ok(()),
            Some(moved) => Err(StoreError::Other(format!("transfer {} is not locked by this transaction", moved.id))),
        };
        self.breaks(checked)
    }

    fn breaks<T>(&mut self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        if result.is_err() {
            self.state = State::Broken;
        }
        result
    }

    /// Rolls back what was locked in the wrong order, and begins anew.
    async fn again(&mut self) -> Result<(), StoreError> {
        self.transfers.clear();
        self.step("beginning anew", async |lease| {
            lease.client().batch_execute("ROLLBACK").await?;
            begin(lease).await
        })
        .await
    }
}

impl ChannelTx for PgChannelTx {
    async fn fence(&mut self, topic: &str, held: &[(i32, i32)]) -> Result<Vec<i32>, StoreError> {
        let owners = Owners::of(Fence { topic, held });
        self.step("reading owners of partitions", async |lease| owners.refused(lease).await).await
    }

    async fn lock(&mut self, accounts: &[AccountNo], mode: LockMode) -> Result<Vec<SyncRow>, StoreError> {
        let wanted = numbers(accounts);
        let rows = self.step("locking sync rows", async |lease| existing(lease, &wanted, mode).await).await?;
        self.complete(&wanted, mode, rows).await
    }

    async fn open(&mut self, transfer: &NewTransfer, wait: Duration) -> Result<Opened, StoreError> {
        let wait = lock_timeout(wait);
        for _ in 0..OPEN_TRIES {
            let met = self
                .step("storing a transfer", async |lease| {
                    let (client, sql) = (lease.client(), lease.statements());
                    let (limited, met, reset) = futures_util::join!(
                        set_wait(lease, &wait),
                        transfers::insert(client, sql, transfer),
                        reset_wait(lease)
                    );
                    limited?;
                    let met = met?;
                    reset?;
                    Ok(met)
                })
                .await?;
            if let Some(opened) = self.breaks(met.opened())? {
                return Ok(opened);
            }
        }
        self.breaks(Err(StoreError::LockTimeout))
    }

    async fn lock_transfers(&mut self, ids: &[TransferId], wait: Duration) -> Result<Vec<TransferRow>, StoreError> {
        let ids = uuids(ids);
        let rows = self.step("locking transfers", async |lease| locked_transfers(lease, &ids, wait).await).await?;
        self.hold(&rows)
    }

    async fn lock_both(
        &mut self,
        accounts: &[AccountNo],
        mode: LockMode,
        transfers: &[TransferId],
        wait: Duration,
    ) -> Result<(Vec<SyncRow>, Vec<TransferRow>), StoreError> {
        let nobody = Fence { topic: "", held: &[] };
        let locked = self.fence_and_lock(nobody, accounts, mode, transfers, wait).await?;
        Ok((locked.rows, locked.transfers))
    }

    async fn fence_and_lock(
        &mut self,
        fence: Fence<'_>,
        accounts: &[AccountNo],
        mode: LockMode,
        transfers: &[TransferId],
        wait: Duration,
    ) -> Result<Locked, StoreError> {
        let (owners, wanted, ids) = (Owners::of(fence), numbers(accounts), uuids(transfers));
        // Transfers that were locked before may be followed by others, but sync rows come before all of them (D33).
        let at_once = self.state == State::Idle && !ids.is_empty();
        let now = if at_once { &ids[..] } else { &[] };
        let (refused, rows, held) = self
            .step("locking sync rows and transfers", async |lease| {
                // One round trip: all are sent before the first answer comes, in this order.
                let (refused, rows, held) = futures_util::join!(
                    owners.refused(lease),
                    existing(lease, &wanted, mode),
                    locked_transfers(lease, now, wait)
                );
                Ok((refused?, rows?, held?))
            })
            .await?;
        if at_once && matches!(mode, LockMode::Wait(_)) && !absent(&wanted, &rows).is_empty() {
            // The first advance of an account. Its row must be waited for before any transfer is held (D33).
            self.again().await?;
            let refused = self.step("reading owners of partitions", async |lease| owners.refused(lease).await).await?;
            let rows = self.lock(accounts, mode).await?;
            return Ok(Locked { refused, rows, transfers: self.lock_transfers(transfers, wait).await? });
        }
        // Making a row waits for nobody where transfers are held already.
        let rows = self.complete(&wanted, mode, rows).await?;
        let transfers =
            if at_once || ids.is_empty() { self.hold(&held)? } else { self.lock_transfers(transfers, wait).await? };
        Ok(Locked { refused, rows, transfers })
    }

    async fn write(&mut self, writes: &AdvanceWrites) -> Result<(), StoreError> {
        self.check_held(writes)?;
        let columns = Columns::of(writes, &self.instance);
        self.begun().await?;
        self.step("writing rows", async |lease| {
            let done = join_all(columns.statements(lease)).await;
            done.into_iter().collect::<Result<Vec<()>, Error>>().map(drop)
        })
        .await
    }

    async fn commit(mut self) -> CommitOutcome {
        if self.state == State::Idle
            && let Some(lease) = self.lease.take()
        {
            lease.give_back();
            return CommitOutcome::Ok;
        }
        self.write_and_commit(&AdvanceWrites::default()).await
    }

    async fn write_and_commit(mut self, writes: &AdvanceWrites) -> CommitOutcome {
        if self.state == State::Broken {
            return CommitOutcome::Failed(broken());
        }
        if let Err(error) = self.check_held(writes) {
            return CommitOutcome::Failed(error);
        }
        let columns = Columns::of(writes, &self.instance);
        if let Err(error) = self.begun().await {
            return CommitOutcome::Failed(error);
        }
        self.state = State::Broken;
        let lease = self.lease.take().expect("an open transaction has its connection until it ends");
        let answers = {
            // One round trip. The server answers in order, so the last answer is COMMIT's; a failed step makes of it a ROLLBACK.
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
        // The connection goes back only when all went well: closing it ends whatever is still open there, which makes Failed true.
        if matches!(outcome, CommitOutcome::Ok) {
            lease.give_back();
        }
        outcome
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

fn broken() -> StoreError {
    StoreError::Other("a step of this transaction failed before".to_owned())
}

fn numbers(accounts: &[AccountNo]) -> Vec<i64> {
    accounts.iter().map(|account| account.get()).collect()
}

fn uuids(ids: &[TransferId]) -> Vec<Uuid> {
    ids.iter().map(|id| id.0).collect()
}

async fn begin(lease: &Lease<Statements>) -> Result<(), Error> {
    lease.client().execute(&lease.statements().begin, &[]).await.map(drop)
}

/// Locks transfers in id order, each within `wait`.
async fn locked_transfers(lease: &Lease<Statements>, ids: &[Uuid], wait: Duration) -> Result<Vec<Row>, Error> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let wait = lock_timeout(wait);
    let (limited, rows, reset) = futures_util::join!(
        set_wait(lease, &wait),
        transfers::lock(lease.client(), lease.statements(), ids),
        reset_wait(lease)
    );
    limited?;
    let rows = rows?;
    reset.map(|()| rows)
}

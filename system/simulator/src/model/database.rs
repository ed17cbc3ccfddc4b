//! A model of a PostgreSQL server: all that is not tables.
//!
//! In: steps of transactions, plain reads, and what is done to the server. Out: answers, in their time, or none. Elsewhere: sessions and
//! their limits (`server`), clients that go (`gone`), connections (`pool`), a client's end of a transaction (`session`), row locks
//! (`locks`), tables (`core_store`, `channel_store`).
//!
//! Kept of PostgreSQL:
//! - row locks and unique-index waits in turn, each wait with its limit; whoever waited [`DEADLOCK_TIMEOUT`] and stands on a circle is the
//!   victim; a step that fails ends the transaction, and its locks are free at once;
//! - what the server does does not depend on whether the client still lives: a COMMIT that was sent is done in its own time, a wait that
//!   was begun is waited out, a transaction left without a COMMIT is rolled back when the server notices;
//! - a client that says nothing inside a transaction loses it;
//! - a kill breaks every connection and leaves what was committed; a pause leaves all that was sent to be done after it.
//!
//! A client has the limits of the real pool: [`STEP_LIMIT`], [`COMMIT_LIMIT`], [`LEASE_LIMIT`].

mod commit;
mod fault;
mod gone;
mod pool;
mod server;
mod session;

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use bankstorm_contracts::{AccountNo, WallMicros};
use bankstorm_outside::StoreError;
use tokio::sync::{Notify, Semaphore, oneshot};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::chance::Chance;
use super::hook::Hook;
use super::locks::{Asked, Key, Rest};
use crate::trace::{self, told};

pub use fault::{CommitFault, Refusal, StepFault};
pub(super) use session::{Session, Step};

use server::Server;

/// How long a client waits for a free connection.
pub const LEASE_LIMIT: Duration = Duration::from_secs(5);
/// How long a step may go unanswered before its connection is given up.
pub const STEP_LIMIT: Duration = Duration::from_secs(10);
/// How long a commit may go unanswered before its outcome is called unknown.
pub const COMMIT_LIMIT: Duration = Duration::from_secs(10);
/// How long a wait lasts before the server looks for a deadlock, unless it was told otherwise.
pub const DEADLOCK_TIMEOUT: Duration = Duration::from_secs(1);
/// Connections of a store for which nobody chose.
pub const CONNECTIONS: usize = 8;
/// The server's clock at the start of virtual time.
pub(crate) const EPOCH: WallMicros = WallMicros(1_700_000_000_000_000);

struct Inner {
    name: &'static str,
    chance: Chance,
    born: Instant,
    stepped_micros: AtomicI64,
    idle_limit: Duration,
    deadlock_millis: AtomicU64,
    server: Mutex<Server>,
    /// Rung at the end of a pause and at a kill.
    changed: Notify,
    connections: usize,
    /// Every process's connections.
    pools: Mutex<Vec<Weak<Semaphore>>>,
    commits: Hook<CommitFault>,
    steps: Hook<StepFault>,
    writes: Hook<StepFault>,
    at_kill: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

/// A PostgreSQL server on virtual time. Clones are the same server.
#[derive(Clone)]
pub struct ModelDatabase {
    inner: Arc<Inner>,
    /// The connections of the process that this is for.
    places: Arc<Semaphore>,
}

/// What a store chooses for its server.
pub(super) struct Setting {
    /// Its name in traces, and its random stream's.
    pub(super) name: &'static str,
    pub(super) seed: u64,
    /// Longest pause in milliseconds.
    pub(super) pace_ms: u64,
    /// How many transactions and reads of a process there can be at once.
    pub(super) connections: usize,
    /// `idle_in_transaction_session_timeout` of its clients.
    pub(super) idle_limit: Duration,
}

impl ModelDatabase {
    pub(super) fn new(setting: &Setting) -> Self {
        let connections = setting.connections.max(1);
        let places = Arc::new(Semaphore::new(connections));
        Self {
            inner: Arc::new(Inner {
                name: setting.name,
                chance: Chance::paced(setting.seed, setting.name, setting.pace_ms),
                born: Instant::now(),
                stepped_micros: AtomicI64::new(0),
                idle_limit: setting.idle_limit,
                deadlock_millis: AtomicU64::new(u64::try_from(DEADLOCK_TIMEOUT.as_millis()).unwrap_or(u64::MAX)),
                server: Mutex::new(Server::new(setting.name)),
                changed: Notify::new(),
                connections,
                pools: Mutex::new(vec![Arc::downgrade(&places)]),
                commits: Hook::default(),
                steps: Hook::default(),
                writes: Hook::default(),
                at_kill: OnceLock::new(),
            }),
            places,
        }
    }

    /// What a kill does to the tables, besides leaving out what was not committed.
    pub(super) fn at_kill(&self, lose: impl Fn() + Send + Sync + 'static) {
        // Said once, by the store that made this server.
        let _ = self.inner.at_kill.set(Box::new(lose));
    }

    /// Kills the server (SIGKILL): every connection breaks, and what was not committed is gone. Steps and reads fail until
    /// [`Self::start`]; commits under way are unknown, whether they had happened or not.
    pub fn kill(&self) {
        self.server().kill();
        if let Some(lose) = self.inner.at_kill.get() {
            lose();
        }
        self.inner.changed.notify_waiters();
    }

    /// Accepts connections again.
    pub fn start(&self) {
        trace::note_of(self.inner.name, || "accepts connections".to_owned());
        self.server().up = true;
    }

    /// Freezes the server (SIGSTOP): nothing is answered.
    pub fn pause(&self) {
        trace::note_of(self.inner.name, || "is frozen".to_owned());
        let mut server = self.server();
        server.paused = server.up;
    }

    /// Goes on (SIGCONT): what was sent meanwhile is done now, whether its client still waits or not.
    pub fn resume(&self) {
        trace::note_of(self.inner.name, || "goes on".to_owned());
        let waits = self.server().resume(Instant::now());
        for (owner, until) in waits {
            self.wait_out(owner, until);
        }
        self.inner.changed.notify_waiters();
    }

    /// Whether it runs; a frozen server does.
    pub fn is_up(&self) -> bool {
        self.server().up
    }

    /// Sets the server's clock forwards or backwards.
    pub fn step_clock(&self, by_ms: i64) {
        self.inner.stepped_micros.fetch_add(by_ms.saturating_mul(1000), Ordering::Relaxed);
    }

    /// Sets `deadlock_timeout`, in milliseconds, for waits that begin from now on.
    pub fn set_deadlock_timeout(&self, millis: u64) {
        self.inner.deadlock_millis.store(millis, Ordering::Relaxed);
    }

    fn deadlock_timeout(&self) -> Duration {
        Duration::from_millis(self.inner.deadlock_millis.load(Ordering::Relaxed))
    }

    /// How many transactions were ended to break a deadlock.
    pub fn deadlocks(&self) -> u64 {
        self.server().deadlocks
    }

    /// What commits meet.
    pub fn commits(&self) -> &Hook<CommitFault> {
        &self.inner.commits
    }

    /// What steps meet: those of transactions (claim, lock, write) and plain reads alike.
    pub fn steps(&self) -> &Hook<StepFault> {
        &self.inner.steps
    }

    /// What writes of transactions meet.
    pub fn writes(&self) -> &Hook<StepFault> {
        &self.inner.writes
    }

    /// How many transactions wait for an id or a row at this moment.
    pub fn waiting(&self) -> usize {
        self.server().locks.waiting()
    }

    /// How many sessions are in a transaction at this moment, outsiders' included.
    pub fn open_transactions(&self) -> usize {
        self.server().sessions()
    }

    /// The number of the session that began last: they are numbered from 1 on.
    pub fn last_session(&self) -> u64 {
        self.server().last_session()
    }

    /// Ends a session's connection from outside (`pg_terminate_backend`); its locks are free at once.
    pub fn end_session(&self, session: u64) {
        self.server().end(session, Instant::now());
    }

    /// Somebody else locks a row, in turn, and keeps it for `lasts`.
    pub(super) fn hold_row(&self, account: AccountNo, lasts: Duration) {
        let database = self.clone();
        in_the_background(async move {
            let owner = {
                let mut server = database.server();
                if !server.up {
                    return;
                }
                server.open(None, None)
            };
            let asked = database.server().locks.acquire(owner, Key::Row(account), None, Rest::default);
            let held = match asked {
                Asked::Held => true,
                Asked::Waits(granted) => granted.await.is_ok(),
            };
            if held {
                trace::note_of(database.inner.name, || {
                    format!("somebody else has the row of {} for {}", told::account(account), told::seconds(lasts))
                });
                sleep(lasts).await;
                trace::note_of(database.inner.name, || format!("the row of {} is free again", told::account(account)));
            }
            database.client_gone(owner);
        });
    }

    /// The server's clock.
    pub(super) fn now(&self) -> WallMicros {
        let passed = i64::try_from(self.inner.born.elapsed().as_micros()).unwrap_or(i64::MAX);
        let stepped = self.inner.stepped_micros.load(Ordering::Relaxed);
        WallMicros(EPOCH.0.saturating_add(passed).saturating_add(stepped))
    }

    /// Begins a transaction.
    pub(super) async fn begin(&self) -> Result<Session, StoreError> {
        self.travel().await;
        let place = self.connection().await?;
        let mut server = self.server();
        let id = server.open(Some(place), Some(self.inner.idle_limit));
        let incarnation = server.incarnation;
        drop(server);
        Ok(Session::new(self.clone(), id, incarnation))
    }

    /// A plain read.
    pub(super) async fn ask<T>(&self, read: impl FnOnce() -> T) -> Result<T, StoreError> {
        let _place = self.connection().await?;
        self.travel().await;
        self.strike()?;
        let incarnation = self.running(Instant::now() + STEP_LIMIT).await?;
        let value = read();
        self.travel().await;
        self.still(incarnation)?;
        Ok(value)
    }

    /// A plain write, a transaction of its own: once sent it is done, whether its client still waits or not.
    pub(super) async fn execute<T: Send + 'static>(
        &self,
        write: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        let place = self.connection().await?;
        self.travel().await;
        self.strike()?;
        let (incarnation, paused) = {
            let server = self.server();
            (server.incarnation, server.paused)
        };
        self.still(incarnation)?;
        let value = if paused {
            let (answer, answered) = oneshot::channel();
            let database = self.clone();
            in_the_background(async move {
                let _place = place;
                if database.after_pause().await == Some(incarnation) {
                    // Nobody may be waiting any more.
                    let _ = answer.send(write());
                }
            });
            match timeout(STEP_LIMIT, answered).await {
                Ok(answer) => answer.map_err(|_| lost())?,
                Err(_) => return Err(unanswered()),
            }
        } else {
            write()
        };
        self.travel().await;
        self.still(incarnation)?;
        Ok(value)
    }

    /// Whether a transaction holds a lock that a plain statement would have to wait for.
    pub(super) fn is_locked(&self, key: Key) -> bool {
        let mut server = self.server();
        // Numbers of transactions begin with 1.
        server.outlive(key, 0, Instant::now());
        server.locks.holder(key).is_some()
    }

    fn server(&self) -> MutexGuard<'_, Server> {
        self.inner.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A pause each way.
    async fn travel(&self) {
        self.inner.chance.pause().await;
    }

    /// Waits until the server is not frozen, up to `limit`; its incarnation.
    async fn running(&self, limit: Instant) -> Result<u64, StoreError> {
        {
            let server = self.server();
            if server.up && !server.paused {
                return Ok(server.incarnation);
            }
        }
        timeout_at(limit, self.after_pause()).await.map_err(|_| unanswered())?.ok_or_else(down)
    }

    /// Waits until the server is not frozen; its incarnation, if it runs.
    async fn after_pause(&self) -> Option<u64> {
        loop {
            // Before the look, so that what changes after it is not missed.
            let changed = self.inner.changed.notified();
            {
                let server = self.server();
                if !server.paused {
                    return server.up.then_some(server.incarnation);
                }
            }
            changed.await;
        }
    }

    /// Whether the server is the one that was asked.
    fn still(&self, incarnation: u64) -> Result<(), StoreError> {
        let server = self.server();
        if server.up && server.incarnation == incarnation { Ok(()) } else { Err(lost()) }
    }

    /// A plain read or write meets what steps meet.
    fn strike(&self) -> Result<(), StoreError> {
        let error = match self.inner.steps.call() {
            None => return Ok(()),
            Some(StepFault::Dropped) => lost(),
            Some(StepFault::Refused(refusal)) => refusal.error(),
        };
        let name = self.inner.name;
        trace::note_of(trace::actor(name), || format!("{name} does not answer a plain statement: {error}"));
        Err(error)
    }
}

/// What a server does must not end with the process that asked for it, so it is no task of that process.
fn in_the_background(task: impl Future<Output = ()> + Send + 'static) {
    // A runtime that ends drops transactions too; there is nothing left to do for them then.
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        drop(runtime.spawn(task));
    }
}

fn lost() -> StoreError {
    StoreError::Unavailable("the connection was lost".to_owned())
}

fn down() -> StoreError {
    StoreError::Unavailable("no connection: the server does not run".to_owned())
}

fn unanswered() -> StoreError {
    StoreError::Unavailable(format!("not answered within {STEP_LIMIT:?}"))
}

#[cfg(test)]
mod tests;

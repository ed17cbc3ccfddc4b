//! Workers: jobs into transactions, and what is tried again.
//!
//! In: jobs (one account's records each). Out: completions. Elsewhere: which job may start (`partitions`), the transaction (`advance`).
//!
//! In `keyed_batched` mode jobs gather while all transactions are busy, and the next transaction takes what is there; nobody waits for a
//! window. An account whose row is held elsewhere, that has a gap, or that was in a transaction that failed, leaves the batch and is
//! advanced alone (D37). An outage of the store keeps the batch and is waited out; it is nobody's attempt (D38).
//!
//! | counter | counts |
//! |---|---|
//! | `channel_poison_total` | failed attempts that are the record's or its account's own fault |
//! | `channel_unreadable_total` | attempts at records that could not be read |
//! | `channel_outage_retries_total` | attempts ended by an outage of store or core |
//! | `channel_contention_retries_total` | attempts ended by another transaction's lock |
//! | `channel_lock_skips_total` | accounts that left a batch because their row was held |
//! | `channel_given_up_total` | jobs given up because their partition went away |

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use bankstorm_contracts::AccountNo;
use bankstorm_outside::LockMode;
use bankstorm_outside::bundle::ChannelOutside;
use bankstorm_outside::process::{Metrics, Scope};
use tokio::sync::mpsc::UnboundedSender;

use crate::advance::{AdvanceError, Advancer, Fault, Moved, Next};
use crate::config::{ChannelConfig, WorkerMode};
use crate::partitions::{Completion, Job};

/// Jobs that wait for a transaction.
#[derive(Debug, Default)]
struct Gathered {
    jobs: VecDeque<Job>,
    runners: usize,
}

/// The workers of one process.
#[derive(Debug)]
pub(crate) struct Workers<O> {
    outside: O,
    config: ChannelConfig,
    advancer: Arc<Advancer<O>>,
    gathered: Mutex<Gathered>,
    completions: UnboundedSender<Completion>,
}

impl<O: ChannelOutside> Workers<O> {
    /// Workers that tell `completions` what they are through with.
    pub(crate) fn new(
        outside: O,
        config: ChannelConfig,
        advancer: Arc<Advancer<O>>,
        completions: UnboundedSender<Completion>,
    ) -> Arc<Self> {
        Arc::new(Self { outside, config, advancer, gathered: Mutex::default(), completions })
    }

    /// Starts a job. It ends with exactly one completion.
    pub(crate) fn submit(self: &Arc<Self>, job: Job) {
        if self.config.sync_cost.is_zero() {
            self.begin(job);
        } else {
            let workers = Arc::clone(self);
            self.outside.scope().spawn("channel-sync", async move {
                tokio::time::sleep(workers.config.sync_cost).await;
                workers.begin(job);
            });
        }
    }

    fn begin(self: &Arc<Self>, job: Job) {
        if self.config.worker_mode != WorkerMode::KeyedBatched || job.unreadable.is_some() {
            self.leave(job);
            return;
        }
        let mut gathered = self.gathered();
        gathered.jobs.push_back(job);
        if gathered.runners < self.config.transactions.max(1) {
            gathered.runners += 1;
            drop(gathered);
            let workers = Arc::clone(self);
            self.outside.scope().spawn("channel-batches", async move { workers.run_batches().await });
        }
    }

    /// Takes batches until nothing is gathered.
    async fn run_batches(self: Arc<Self>) {
        loop {
            let batch = self.next_batch();
            if batch.is_empty() {
                return;
            }
            self.run_batch(batch).await;
        }
    }

    /// What is there, up to the limits, an account once. Empty ends the runner.
    fn next_batch(&self) -> BTreeMap<AccountNo, Job> {
        let mut gathered = self.gathered();
        let mut batch = BTreeMap::new();
        let mut records = 0;
        while let Some(job) = gathered.jobs.front() {
            let full = batch.len() >= self.config.batch_accounts.max(1)
                || records + job.mv.records.len() > self.config.batch_records
                || batch.contains_key(&job.mv.account);
            if full && !batch.is_empty() {
                break;
            }
            let job = gathered.jobs.pop_front().expect("it was just seen");
            records += job.mv.records.len();
            batch.insert(job.mv.account, job);
        }
        if batch.is_empty() {
            gathered.runners -= 1;
        }
        batch
    }

    async fn run_batch(self: &Arc<Self>, mut batch: BTreeMap<AccountNo, Job>) {
        for attempt in 0.. {
            let (gone, here): (BTreeMap<_, _>, BTreeMap<_, _>) = batch
                .into_iter()
                .partition(|(_, job)| if attempt == 0 { job.epoch.has_ended() } else { !job.epoch.is_live() });
            for job in gone.into_values() {
                self.give_up(job).await;
            }
            batch = here;
            let Some(salt) = batch.keys().next().map(|account| account.get().cast_unsigned()) else { return };
            let mut moves: Vec<_> = batch.values_mut().map(|job| &mut job.mv).collect();
            match self.advancer.transact(&mut moves, LockMode::SkipLocked).await {
                Ok(moved) => return self.sort_out(batch, &moved),
                Err(error @ AdvanceError::Store(_)) if error.fault() == Fault::Outage => {
                    self.tell(&error, attempt, "a batch");
                    tokio::time::sleep(self.config.pause(attempt, salt)).await;
                }
                Err(error) => {
                    tracing::warn!(%error, accounts = batch.len(), "a batch failed: its accounts go on alone");
                    batch.into_values().for_each(|job| self.leave(job));
                    return;
                }
            }
        }
    }

    fn sort_out(self: &Arc<Self>, batch: BTreeMap<AccountNo, Job>, moved: &[Moved]) {
        for (job, moved) in batch.into_values().zip(moved) {
            match moved {
                Moved::Locked { next: Next::Complete, .. } => self.complete(job, true),
                Moved::Locked { next: Next::Pull { .. }, .. } => self.leave(job),
                Moved::Held => {
                    self.outside.metrics().count("channel_lock_skips_total", 1);
                    self.leave(job);
                }
            }
        }
    }

    /// The job goes on alone.
    fn leave(self: &Arc<Self>, job: Job) {
        let workers = Arc::clone(self);
        self.outside.scope().spawn("channel-account", async move { workers.run_alone(job).await });
    }

    async fn run_alone(&self, mut job: Job) {
        for attempt in 0.. {
            if job.epoch.has_ended() || (attempt > 0 && !job.epoch.is_live()) {
                return self.give_up(job).await;
            }
            match self.advance_alone(&mut job).await {
                Ok(()) => return self.complete(job, true),
                Err(error) => {
                    self.tell(&error, attempt, &format!("account {} of {:?}", job.mv.account, job.epoch.at));
                    tokio::time::sleep(self.config.pause(attempt, job.mv.account.get().cast_unsigned())).await;
                }
            }
        }
    }

    async fn advance_alone(&self, job: &mut Job) -> Result<(), AdvanceError> {
        if let Some(unreadable) = &job.unreadable {
            self.outside.metrics().count("channel_unreadable_total", 1);
            tracing::error!(at = ?job.epoch.at, offset = unreadable.offset, why = unreadable.why, "unreadable record");
            if !unreadable.repairable {
                return Err(AdvanceError::Unreadable(unreadable.why.clone()));
            }
        }
        if !job.mv.records.is_empty() {
            self.advancer.advance_alone(&mut job.mv, None).await?;
        }
        match &job.unreadable {
            Some(unreadable) => self.advancer.advance_to_core(&mut job.mv, unreadable.offset).await,
            None => Ok(()),
        }
    }

    fn tell(&self, error: &AdvanceError, attempt: u32, whose: &str) {
        let (counter, what) = match error.fault() {
            Fault::Outage => ("channel_outage_retries_total", "outage"),
            Fault::Contention => ("channel_contention_retries_total", "contention"),
            Fault::Record => ("channel_poison_total", "the record cannot be applied"),
        };
        self.outside.metrics().count(counter, 1);
        // Every attempt is counted; the log hears of the 1st, 2nd, 4th, 8th ...
        if (attempt + 1).is_power_of_two() {
            if error.fault() == Fault::Record {
                tracing::error!(%error, attempt, whose, "{what}: tried again");
            } else {
                tracing::warn!(%error, attempt, whose, "{what}: tried again");
            }
        }
    }

    async fn give_up(&self, mut job: Job) {
        self.outside.metrics().count("channel_given_up_total", 1);
        if job.mv.unsure.is_some() {
            let tell = |error: &AdvanceError, attempt| self.tell(error, attempt, "a commit without an answer");
            self.advancer.find_out(&mut job.mv, &self.config, tell).await;
        }
        self.complete(job, false);
    }

    fn complete(&self, job: Job, done: bool) {
        // Nobody listens once the consumer has ended, and then nobody needs to.
        let _ = self.completions.send(job.complete(done));
    }

    fn gathered(&self) -> std::sync::MutexGuard<'_, Gathered> {
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

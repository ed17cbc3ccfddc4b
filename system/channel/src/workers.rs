//! Workers: jobs into transactions, and what is tried again.
//!
//! In: jobs (one account's records each). Out: completions. Elsewhere: which job may start (`partitions`), the transaction (`advance`), a job
//! by itself (`alone`).
//!
//! In `keyed_batched` and `slots` mode jobs gather while all transactions are busy, and the next transaction takes what is there; nobody
//! waits for a window. An account whose row is held elsewhere, that has a gap, or that was in a transaction that failed, leaves the batch and
//! is advanced alone (D37). An outage of the store keeps the batch and is waited out; it is nobody's attempt (D38).
//!
//! A record that fails by its own fault is tried `attempts` times, or once where that cannot help, and then parked (`letters`): with several
//! records in work they go on one by one first, so that it is known which one fails. Its offset is done when its letter is durable.
//!
//! | counter | counts |
//! |---|---|
//! | `channel_coalesced_total` | records that shared an account sync with one before them |
//! | `channel_poison_total` | failed attempts that are the record's or its account's own fault |
//! | `channel_unreadable_total` | records that could not be read |
//! | `channel_outage_retries_total` | attempts ended by an outage of store, log or core |
//! | `channel_contention_retries_total` | attempts ended by another transaction's lock |
//! | `channel_lock_skips_total` | accounts that left a batch because their row was held |
//! | `channel_given_up_total` | jobs given up because their partition went away |
//! | `channel_fenced_total` | of these, jobs that the store refused because a newer generation owns the partition (D36) |

mod alone;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use bankstorm_contracts::AccountNo;
use bankstorm_outside::LockMode;
use bankstorm_outside::bundle::ChannelOutside;
use bankstorm_outside::process::{Metrics, Scope};
use tokio::sync::mpsc::UnboundedSender;

use crate::advance::{AdvanceError, Advancer, Fault, Moved, Next};
use crate::config::{ChannelConfig, Retrying, WorkerMode};
use crate::letters::Letters;
use crate::partitions::{Completion, End, Job};

/// Jobs that wait for a transaction.
#[derive(Debug, Default)]
struct Gathered {
    jobs: VecDeque<Job>,
    runners: usize,
}

/// The workers of one process.
pub(crate) struct Workers<O: ChannelOutside> {
    outside: O,
    config: ChannelConfig,
    advancer: Arc<Advancer<O>>,
    letters: Letters<O>,
    gathered: Mutex<Gathered>,
    completions: UnboundedSender<Completion>,
}

impl<O: ChannelOutside> Workers<O> {
    /// Workers that tell `completions` what they are through with.
    pub(crate) fn new(
        outside: O,
        config: ChannelConfig,
        advancer: Arc<Advancer<O>>,
        letters: Letters<O>,
        completions: UnboundedSender<Completion>,
    ) -> Arc<Self> {
        Arc::new(Self { outside, config, advancer, letters, gathered: Mutex::default(), completions })
    }

    /// Starts a job. It ends with exactly one completion.
    pub(crate) fn submit(self: &Arc<Self>, job: Job) {
        let coalesced = job.mv.records.len().saturating_sub(1) as u64;
        if coalesced > 0 {
            self.outside.metrics().count("channel_coalesced_total", coalesced);
        }
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
        let batched = matches!(self.config.worker_mode, WorkerMode::KeyedBatched | WorkerMode::Slots);
        if !batched || job.mv.records.is_empty() {
            self.leave(job, None);
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
                self.give_up(job, End::GivenUp).await;
            }
            batch = here;
            let Some(salt) = batch.keys().next().map(|account| account.get().cast_unsigned()) else { return };
            let mut moves: Vec<_> = batch.values_mut().map(|job| &mut job.mv).collect();
            match self.advancer.transact(&mut moves, LockMode::SkipLocked).await {
                Ok(moved) => return self.sort_out(batch, &moved),
                Err(error @ AdvanceError::Store(_)) if error.fault() == Fault::Outage && self.waits_out() => {
                    self.tell(&error, attempt, "a batch");
                    tokio::time::sleep(self.config.pause(attempt, salt)).await;
                }
                Err(error) => {
                    tracing::warn!(%error, accounts = batch.len(), "a batch failed: its accounts go on alone");
                    // Whose fault an outage is nobody has to find out: where it is not waited out, it is everybody's (P17).
                    let failed = (!self.waits_out() && error.fault().passes()).then_some(error);
                    batch.into_values().for_each(|job| self.leave(job, failed.clone()));
                    return;
                }
            }
        }
    }

    fn sort_out(self: &Arc<Self>, batch: BTreeMap<AccountNo, Job>, moved: &[Moved]) {
        for (job, moved) in batch.into_values().zip(moved) {
            match moved {
                Moved::Locked { next: Next::Complete, .. } if !job.has_more() => self.complete(job, End::Done),
                Moved::Locked { .. } => self.leave(job, None),
                Moved::Fenced => self.leave_fenced(job),
                Moved::Held => {
                    self.outside.metrics().count("channel_lock_skips_total", 1);
                    self.leave(job, None);
                }
            }
        }
    }

    /// Whether outages and locks are waited out: the one place that decides it (P17).
    fn waits_out(&self) -> bool {
        self.config.retrying == Retrying::InPlace
    }

    /// The job is somebody else's now.
    fn leave_fenced(self: &Arc<Self>, job: Job) {
        self.tell(&AdvanceError::Fenced(job.mv.account), 0, "a batch");
        let workers = Arc::clone(self);
        self.outside.scope().spawn("channel-fenced", async move { workers.give_up(job, End::Fenced).await });
    }

    /// The job goes on alone; `failed` is an attempt that counts as its own.
    fn leave(self: &Arc<Self>, job: Job, failed: Option<AdvanceError>) {
        let workers = Arc::clone(self);
        self.outside.scope().spawn("channel-account", async move { workers.run_alone(job, failed).await });
    }

    fn tell(&self, error: &AdvanceError, attempt: u32, whose: &str) {
        let (counter, what) = match error.fault() {
            Fault::Outage => ("channel_outage_retries_total", "outage"),
            Fault::Contention => ("channel_contention_retries_total", "contention"),
            Fault::Record(_) => ("channel_poison_total", "the record cannot be applied"),
            Fault::Fenced => ("channel_fenced_total", "fenced"),
        };
        self.outside.metrics().count(counter, 1);
        // Every attempt is counted; the log hears of the 1st, 2nd, 4th, 8th ...
        if (attempt + 1).is_power_of_two() {
            if error.fault().passes() {
                tracing::warn!(%error, attempt, whose, "{what}: tried again");
            } else {
                tracing::error!(%error, attempt, whose, "{what}");
            }
        }
    }

    async fn give_up(&self, mut job: Job, end: End) {
        self.outside.metrics().count("channel_given_up_total", 1);
        self.find_out(&mut job).await;
        self.complete(job, end);
    }

    /// What a commit without an answer did, where there was one.
    async fn find_out(&self, job: &mut Job) {
        if job.mv.unsure.is_some() {
            let tell = |error: &AdvanceError, attempt| self.tell(error, attempt, "a commit without an answer");
            self.advancer.find_out(&mut job.mv, &self.config, tell).await;
        }
    }

    fn complete(&self, job: Job, end: End) {
        // Nobody listens once the consumer has ended, and then nobody needs to.
        let _ = self.completions.send(job.complete(end));
    }

    fn gathered(&self) -> std::sync::MutexGuard<'_, Gathered> {
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! Posting: deposits gathered into batches, and the steps of a posting transaction.
//!
//! In: jobs. Out: committed rows, a ring for the relay, an answer to every asker. Elsewhere: the rules (`book`), what waits (`queue`).
//!
//! A slot takes whatever queued while all slots were busy, and needs two round trips: claim + lock, then write + commit. A batch never
//! waits for a stranger's row lock (D37): accounts that are held leave it and are posted by themselves, each account's deposits
//! together, under a limit. What the store refuses for its rows, or cannot claim for an id in work elsewhere, is halved until the deposit
//! at fault stands alone.
//!
//! Metrics: `core_queue_depth`, `core_batches_total`, `core_batch_deposits_total`, `core_batch_size`, `core_deposits_*_total`.

mod alone;
mod busy;

use std::sync::Arc;

use bankstorm_contracts::AccountNo;
use bankstorm_contracts::core_api::CoreResponse;
use bankstorm_contracts::problem::{Problem, ProblemKind};
use bankstorm_contracts::{TransferState, core_api::Verdict};
use bankstorm_outside::bundle::CoreOutside;
use bankstorm_outside::core_store::{Claim, Claimed, CoreStore, CoreTx, Locked};
use bankstorm_outside::process::{Metrics, Points, Scope};
use bankstorm_outside::{CommitOutcome, LockMode, StoreError};
use tokio::sync::Notify;

use crate::book::{self, Absent, Answer, Order, Plan};
use crate::config::CoreConfig;
use crate::markers;
use crate::queue::{Job, Queue, collapse};

use alone::Alone;
use busy::AtWork;
pub(crate) use busy::Busy;

/// The posting slots and what waits for them.
pub(crate) struct Posting<O: CoreOutside> {
    outside: O,
    config: CoreConfig,
    queue: Queue<Job>,
    alone: Alone,
    busy: Busy,
    doorbell: Arc<Notify>,
}

/// How a transaction treats rows that others hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// With strangers: never waits for a row.
    Batch,
    /// One account's deposits: waits up to the limit.
    Alone,
}

/// How an attempt at a group of jobs ended.
enum Attempt {
    /// All were answered, but for these, which must be posted alone.
    Done(Vec<Job>),
    /// Nothing was done; to be tried again in these groups.
    Split(Vec<Vec<Job>>),
}

/// Why claim and lock did not come about.
enum Refusal {
    /// An id was not to be had in time.
    IdInWork,
    /// An account's row was not to be had in time.
    RowHeld,
    /// The store said no.
    Store(StoreError),
}

impl<O: CoreOutside> Posting<O> {
    /// Starts the slots.
    pub(crate) fn start(outside: &O, config: &CoreConfig, doorbell: Arc<Notify>) -> Arc<Self> {
        let posting = Arc::new(Self {
            outside: outside.clone(),
            config: config.clone(),
            queue: Queue::default(),
            alone: Alone::new(config.alone_slots),
            busy: Busy::default(),
            doorbell,
        });
        for _ in 0..config.posting_slots {
            outside.scope().spawn("core-posting", Arc::clone(&posting).slot(posting.busy.begin()));
        }
        posting
    }

    /// Queues a job; its asker is answered in any case.
    pub(crate) fn submit(&self, job: Job) {
        match self.queue.push(job) {
            Ok(depth) => self.depth(depth),
            Err(job) => self.not_started(job, "core is stopping"),
        }
    }

    /// What of posting is still at work; over after the stop, once the queue is closed and the last transaction has ended.
    pub(crate) fn busy(&self) -> Busy {
        self.busy.clone()
    }

    async fn slot(self: Arc<Self>, _at_work: AtWork) {
        loop {
            let (jobs, depth) = self.queue.take(self.config.batch_max);
            if jobs.is_empty() {
                let scope = self.outside.scope();
                if scope.is_stopping() && self.queue.close_if_empty() {
                    return;
                }
                tokio::select! {
                    biased;
                    () = scope.stopping() => {}
                    () = self.queue.arrived() => {}
                }
                continue;
            }
            self.depth(depth);
            let jobs = self.in_time(jobs);
            let leftovers = self.post(Mode::Batch, jobs).await;
            self.post_alone(leftovers);
        }
    }

    /// Those that have not waited for too long; the others are told that nothing was done.
    fn in_time(&self, jobs: Vec<Job>) -> Vec<Job> {
        let limit = self.config.queue_wait;
        let (late, in_time): (Vec<_>, Vec<_>) = jobs.into_iter().partition(|job| job.since.elapsed() >= limit);
        if !late.is_empty() {
            self.outside.metrics().count("core_deposits_late_total", late.len() as u64);
            self.none_started(late, &format!("nothing was done: its turn did not come within queue_wait = {limit:?}"));
        }
        in_time
    }

    /// Posts jobs and answers them; gives back those that must be posted alone, once everything here is committed.
    async fn post(&self, mode: Mode, jobs: Vec<Job>) -> Vec<Job> {
        let batch = collapse(jobs);
        if batch.collapsed > 0 {
            self.outside.points().reached(markers::COLLAPSED);
        }
        let mut leftovers = batch.later;
        let mut groups = vec![batch.jobs];
        while let Some(group) = groups.pop().filter(|group| !group.is_empty()) {
            match self.attempt(mode, group).await {
                Attempt::Done(left) => leftovers.extend(left),
                Attempt::Split(parts) => groups.extend(parts),
            }
        }
        leftovers
    }

    /// One transaction.
    async fn attempt(&self, mode: Mode, jobs: Vec<Job>) -> Attempt {
        self.count_batch(jobs.len());
        let mut tx = match self.outside.store().begin().await {
            Ok(tx) => tx,
            Err(error) => return self.none_started(jobs, &format!("nothing was done: {error}")),
        };
        let orders: Vec<Order> = jobs.iter().map(|job| job.order.clone()).collect();
        let (claimed, locked) = match self.claim_and_lock(&mut tx, mode, &orders).await {
            Ok(answer) => answer,
            Err(refusal) => {
                drop(tx);
                return self.refused(mode, jobs, refusal);
            }
        };
        let absent = match mode {
            Mode::Batch => Absent::MaybeHeld,
            Mode::Alone => Absent::Unknown,
        };
        let plan = book::plan(&orders, &claimed, &locked, absent);
        if !plan.must_commit() {
            // Only verdicts that stood, and releases: rolling back does both.
            drop(tx);
            return self.answer_all(jobs, plan, None);
        }
        match tx.write_and_commit(&plan.writes).await {
            CommitOutcome::Ok => {
                if !plan.writes.outbox.is_empty() {
                    self.doorbell.notify_one();
                }
                self.answer_all(jobs, plan, None)
            }
            CommitOutcome::Failed(error) => self.refused(mode, jobs, Refusal::Store(error)),
            CommitOutcome::Unknown(detail) => {
                self.outside.points().reached(markers::COMMIT_UNKNOWN);
                tracing::warn!(deposits = jobs.len(), detail, "nobody can tell how a commit ended");
                self.doorbell.notify_one();
                self.answer_all(jobs, plan, Some(&detail))
            }
        }
    }

    async fn claim_and_lock(
        &self,
        tx: &mut <O::Store as CoreStore>::Tx,
        mode: Mode,
        orders: &[Order],
    ) -> Result<(Vec<Claimed>, Locked), Refusal> {
        let claims: Vec<Claim> = orders.iter().map(Order::claim).collect();
        let mut accounts: Vec<AccountNo> = orders.iter().map(|order| order.deposit.account).collect();
        accounts.sort_unstable();
        accounts.dedup();
        match mode {
            Mode::Batch => tx
                .claim_and_lock(&claims, self.config.batch_claim_wait, &accounts, LockMode::SkipLocked)
                .await
                .map_err(|error| Refusal::of(error, Refusal::IdInWork)),
            Mode::Alone => {
                // Two round trips here: an id in work is `processing`, a held row means that nothing was done.
                let wait = self.config.lock_timeout;
                let claimed = tx.claim(&claims, wait).await.map_err(|error| Refusal::of(error, Refusal::IdInWork))?;
                let locked = tx
                    .lock(&accounts, LockMode::Wait(wait))
                    .await
                    .map_err(|error| Refusal::of(error, Refusal::RowHeld))?;
                Ok((claimed, locked))
            }
        }
    }

    /// Nothing was done: who tries again, and who is told so.
    fn refused(&self, mode: Mode, jobs: Vec<Job>, refusal: Refusal) -> Attempt {
        match refusal {
            // Somebody's id is in work elsewhere: strangers must not wait for it, here or for one of the few slots of those alone.
            Refusal::IdInWork if mode == Mode::Batch => {
                self.outside.points().reached(markers::BATCH_SPLIT);
                if jobs.len() == 1 { Attempt::Done(jobs) } else { halves(jobs) }
            }
            Refusal::IdInWork if jobs.len() > 1 => {
                self.outside.points().reached(markers::BATCH_SPLIT);
                Attempt::Split(jobs.into_iter().map(|job| vec![job]).collect())
            }
            Refusal::IdInWork => {
                jobs.into_iter().for_each(|job| self.processing(job));
                Attempt::Done(Vec::new())
            }
            Refusal::RowHeld => {
                let limit = self.config.lock_timeout;
                self.none_started(jobs, &format!("nothing was done: the account's row was held for over {limit:?}"))
            }
            Refusal::Store(error @ (StoreError::Data { .. } | StoreError::Deadlock)) if jobs.len() > 1 => {
                self.outside.points().reached(markers::BATCH_SPLIT);
                tracing::warn!(deposits = jobs.len(), %error, "a batch is split");
                halves(jobs)
            }
            Refusal::Store(error) => self.none_started(jobs, &format!("nothing was done: {error}")),
        }
    }

    /// Answers each job by the plan; `unknown` says why nobody can tell whether the plan's writes are there.
    fn answer_all(&self, jobs: Vec<Job>, plan: Plan, unknown: Option<&str>) -> Attempt {
        let mut left = Vec::new();
        for (job, answer) in jobs.into_iter().zip(plan.answers) {
            match (answer, unknown) {
                (None, _) => left.push(job),
                (Some(Answer::Settled(verdict)), None) => self.settled(job, verdict),
                (Some(Answer::Settled(_)), Some(detail)) => self.unknown(job, detail),
                (Some(Answer::Stood(verdict)), _) => self.stood(job, verdict),
                (Some(Answer::Drift), _) => self.drifted(job),
                (Some(Answer::Processing), _) => self.processing(job),
            }
        }
        if !left.is_empty() {
            self.outside.points().reached(markers::ACCOUNT_SKIPPED);
            self.outside.metrics().count("core_deposits_skipped_total", left.len() as u64);
        }
        Attempt::Done(left)
    }

    fn settled(&self, job: Job, verdict: Verdict) {
        if verdict.state == TransferState::Completed {
            self.outside.metrics().count("core_deposits_completed_total", 1);
            job.answer(CoreResponse::Created(verdict));
        } else {
            self.outside.metrics().count("core_deposits_rejected_total", 1);
            job.answer(CoreResponse::Verdict(verdict));
        }
    }

    fn stood(&self, job: Job, verdict: Verdict) {
        let late = verdict.reason == Some(bankstorm_contracts::RejectReason::NotReceived);
        self.outside.points().reached(if late { markers::LATE } else { markers::REPLAY });
        self.outside.metrics().count("core_deposits_replayed_total", 1);
        job.answer(CoreResponse::Verdict(verdict));
    }

    fn drifted(&self, job: Job) {
        self.outside.points().reached(markers::PARAM_DRIFT);
        self.outside.metrics().count("core_deposits_drifted_total", 1);
        let detail = format!("id {} was used before with other parameters", job.order.deposit.id);
        job.answer(CoreResponse::Problem(Problem {
            field: Some("id".to_owned()),
            ..Problem::new(ProblemKind::ParamDrift, detail)
        }));
    }

    fn processing(&self, job: Job) {
        self.outside.points().reached(markers::PROCESSING);
        self.outside.metrics().count("core_deposits_processing_total", 1);
        let detail = format!("id {} is in work; ask again or resolve it", job.order.deposit.id);
        job.answer(CoreResponse::Problem(Problem::new(ProblemKind::Processing, detail)));
    }

    fn unknown(&self, job: Job, detail: &str) {
        self.outside.metrics().count("core_deposits_unknown_total", 1);
        let detail = format!("whether id {} was posted is not known: {detail}", job.order.deposit.id);
        job.answer(CoreResponse::Problem(Problem::new(ProblemKind::Unknown, detail)));
    }

    fn none_started(&self, jobs: Vec<Job>, detail: &str) -> Attempt {
        tracing::warn!(deposits = jobs.len(), detail, "deposits are answered not-started");
        jobs.into_iter().for_each(|job| self.not_started(job, detail));
        Attempt::Done(Vec::new())
    }

    fn not_started(&self, job: Job, detail: &str) {
        self.outside.metrics().count("core_deposits_not_started_total", 1);
        job.answer(CoreResponse::Problem(Problem::new(ProblemKind::NotStarted, detail)));
    }

    fn count_batch(&self, deposits: usize) {
        if deposits > 1 {
            self.outside.points().reached(markers::BATCH_GATHERED);
        }
        let metrics = self.outside.metrics();
        metrics.count("core_batches_total", 1);
        metrics.count("core_batch_deposits_total", deposits as u64);
        metrics.gauge("core_batch_size", i64::try_from(deposits).unwrap_or(i64::MAX));
    }

    fn depth(&self, depth: usize) {
        self.outside.metrics().gauge("core_queue_depth", i64::try_from(depth).unwrap_or(i64::MAX));
    }
}

fn halves(mut jobs: Vec<Job>) -> Attempt {
    let half = jobs.split_off(jobs.len() / 2);
    Attempt::Split(vec![half, jobs])
}

impl Refusal {
    fn of(error: StoreError, timeout: Self) -> Self {
        match error {
            StoreError::LockTimeout => timeout,
            other => Self::Store(other),
        }
    }
}

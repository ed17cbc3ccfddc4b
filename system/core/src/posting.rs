//! Posting: deposits and transfers gathered into batches, and the way of a batch.
//!
//! In: jobs. Out: committed rows, holds for `outbound`, an answer to every asker. Elsewhere: the rules (`book`), what waits (`queue`), how
//! what is booked is published (`publishing`).
//!
//! A slot takes whatever queued while all slots were busy, and needs two round trips: claim + lock, then write + commit. A batch never
//! waits for a stranger's row lock (D37): what needs an account that is held leaves it and is posted with those that need the same
//! account, and nobody else, under a limit. What the store refuses for its rows, or cannot claim for an id in work elsewhere, is halved
//! until the request at fault stands alone; after the first wait for an id the parts hardly wait for it again, so that it holds up the others
//! of its batch for `batch_claim_wait` and a few round trips, not for as much at each halving.
//!
//! | file | what it is |
//! |---|---|
//! | `steps` | the steps of a transaction up to the plan |
//! | `booking` | where its ids are claimed, and how it commits |
//! | `refused` | what follows when they did not come about |
//! | `answers` | who is told what |
//! | `alone` | those who had to leave their batch |
//! | `counters` | the names of the counters |
//!
//! Metrics: `core_queue_depth`, `core_batches_total`, `core_batch_requests_total`, `core_batch_size`, `core_posting_seconds` (a histogram:
//! from admission to commit of each posting, refusals and holds included, A18), `core_deposits_*_total`, `core_transfers_*_total`,
//! `core_outbounds_*_total`.

mod alone;
mod answers;
mod booking;
mod counters;
mod refused;
mod steps;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use bankstorm_outside::CommitOutcome;
use bankstorm_outside::bundle::CoreOutside;
use bankstorm_outside::process::{Metrics, Points, Scope};

use crate::book::{self, Absent, OneOrTwo, Order, Terms};
use crate::busy::{AtWork, Busy};
use crate::config::CoreConfig;
use crate::markers;
use crate::outbound::Outbound;
use crate::publishing::Publishing;
use crate::queue::{Job, Queue, collapse};

use alone::{Alone, Left};
use counters::Event;
use refused::Refusal;
use steps::Met;

/// The posting slots and what waits for them.
pub(crate) struct Posting<O: CoreOutside> {
    outside: O,
    config: CoreConfig,
    queue: Queue<Job>,
    alone: Alone,
    outbound: Arc<Outbound<O>>,
    busy: Busy,
    publishing: Arc<Publishing<O>>,
    /// How many ids that stood were claimed once more (P1 off).
    attempts: AtomicU64,
}

/// How a transaction treats rows that others hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// With strangers: never waits for a row.
    Batch,
    /// Jobs that all need these accounts: waits for them, each up to the limit, and for no others.
    Alone(OneOrTwo),
}

/// How an attempt at a group of jobs ended.
enum Attempt {
    /// All were answered, but for these, which must be posted alone.
    Done(Vec<Left>),
    /// Nothing was done; to be tried again in these groups.
    Split(Vec<Vec<Job>>),
    /// The same, because an id was in work: that has been waited for.
    Parted(Vec<Vec<Job>>),
}

impl<O: CoreOutside> Posting<O> {
    /// Starts the slots.
    pub(crate) fn start(
        outside: &O,
        config: &CoreConfig,
        outbound: Arc<Outbound<O>>,
        busy: &Busy,
        publishing: Arc<Publishing<O>>,
    ) -> Arc<Self> {
        let posting = Arc::new(Self {
            outside: outside.clone(),
            config: config.clone(),
            queue: Queue::default(),
            alone: Alone::new(config.alone_slots),
            outbound,
            busy: busy.clone(),
            publishing,
            attempts: AtomicU64::new(0),
        });
        for _ in 0..config.posting_slots {
            outside.scope().spawn("core-posting", Arc::clone(&posting).slot(busy.begin()));
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
            let left = self.post(Mode::Batch, jobs).await;
            self.post_alone(left);
        }
    }

    /// Those that have not waited for too long; the others are told that nothing was done.
    fn in_time(&self, jobs: Vec<Job>) -> Vec<Job> {
        let limit = self.config.queue_wait;
        let (late, in_time): (Vec<_>, Vec<_>) = jobs.into_iter().partition(|job| job.since.elapsed() >= limit);
        if !late.is_empty() {
            late.iter().for_each(|job| self.count(Event::Late, job));
            self.none_started(late, &format!("nothing was done: its turn did not come within queue_wait = {limit:?}"));
        }
        in_time
    }

    /// Posts jobs and answers them; gives back those that must be posted alone, once everything here is committed.
    async fn post(&self, mode: Mode, jobs: Vec<Job>) -> Vec<Left> {
        if !self.config.posting_cost.is_zero() {
            // Once, however often the group is taken apart.
            tokio::time::sleep(self.config.posting_cost).await;
        }
        let batch = collapse(jobs);
        if batch.collapsed > 0 {
            self.outside.points().reached(markers::COLLAPSED);
        }
        let order = self.config.protections.lock_order;
        let mut leftovers: Vec<Left> = batch.later.into_iter().map(|job| Left::after(mode, order, job)).collect();
        let mut groups = vec![(batch.jobs, self.claim_wait(mode))];
        while let Some((group, claim_wait)) = groups.pop().filter(|(group, _)| !group.is_empty()) {
            match self.attempt(mode, claim_wait, group).await {
                Attempt::Done(left) => leftovers.extend(left),
                Attempt::Split(parts) => groups.extend(parts.into_iter().map(|part| (part, claim_wait))),
                Attempt::Parted(parts) => {
                    let again = claim_wait.min(self.config.claim_again_wait);
                    groups.extend(parts.into_iter().map(|part| (part, again)));
                }
            }
        }
        leftovers
    }

    /// How long a group waits for an id that another transaction holds, the first time.
    const fn claim_wait(&self, mode: Mode) -> Duration {
        match mode {
            Mode::Batch => self.config.batch_claim_wait,
            Mode::Alone(_) => self.config.lock_timeout,
        }
    }

    /// One transaction.
    async fn attempt(&self, mode: Mode, claim_wait: Duration, jobs: Vec<Job>) -> Attempt {
        self.count_batch(jobs.len());
        let mut booking = match self.begin().await {
            Ok(booking) => booking,
            Err(error) => return self.none_started(jobs, &format!("nothing was done: {error}")),
        };
        let orders: Vec<Order> = jobs.iter().map(|job| job.order.clone()).collect();
        let Met { claimed, locked, expired } = match self.meet(&mut booking, mode, claim_wait, &jobs, &orders).await {
            Ok(met) => met,
            Err(refusal) => {
                drop(booking);
                return self.refused(mode, jobs, refusal);
            }
        };
        let absent = match mode {
            Mode::Batch => Absent::MaybeHeld,
            Mode::Alone(waited) => Absent::UnknownAmong(waited),
        };
        let terms = Terms { absent, expired: &expired, binding: self.config.protections.binding };
        let mut plan = book::plan(&orders, &claimed, &locked, &terms);
        if !plan.must_commit() {
            // Only verdicts that stood, and releases: rolling back does both.
            drop(booking);
            return self.answer_all(mode, jobs, plan, &locked, None);
        }
        match self.commit(booking, std::mem::take(&mut plan.writes)).await {
            CommitOutcome::Ok => self.answer_all(mode, jobs, plan, &locked, None),
            CommitOutcome::Failed(error) => self.refused(mode, jobs, Refusal::Store(error)),
            CommitOutcome::Unknown(detail) => {
                self.outside.points().reached(markers::COMMIT_UNKNOWN);
                tracing::warn!(requests = jobs.len(), detail, "nobody can tell how a commit ended");
                self.answer_all(mode, jobs, plan, &locked, Some(&detail))
            }
        }
    }

    fn count_batch(&self, requests: usize) {
        if requests > 1 {
            self.outside.points().reached(markers::BATCH_GATHERED);
        }
        let metrics = self.outside.metrics();
        metrics.count("core_batches_total", 1);
        metrics.count("core_batch_requests_total", requests as u64);
        metrics.gauge("core_batch_size", i64::try_from(requests).unwrap_or(i64::MAX));
    }

    fn depth(&self, depth: usize) {
        self.outside.metrics().gauge("core_queue_depth", i64::try_from(depth).unwrap_or(i64::MAX));
    }
}

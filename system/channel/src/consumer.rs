//! The consumer: the loop between the log and the workers.
//!
//! In: events of the log, completions, the request to stop. Out: jobs, pauses, commits of watermarks. Elsewhere: what is known of each
//! partition (`partitions`), the work (`workers`).
//!
//! Order of the select: stop, completions, commits and drains that are due, new events last. A revocation is a state, not a place in the
//! code: while its partitions drain, all others go on.
//!
//! | counter | counts |
//! |---|---|
//! | `channel_records_total` | records taken in |
//! | `channel_redelivered_total` | records delivered again within an assignment |
//! | `channel_stray_records_total` | records of partitions that were not this member's any more |
//! | `channel_late_completions_total` | completions of assignments that had ended |
//! | `channel_offset_commits_total`, `channel_offset_commit_failures_total` | offset commits |
//! | `channel_drain_limit_total` | drains that met their limit |
//! | `channel_consumer_restarts_total` | consumers replaced after a fatal error |
//! | `channel_in_work` (gauge), `channel_partitions` (gauge) | jobs that workers have; partitions assigned |

use std::sync::Arc;

use bankstorm_contracts::event::ENTRIES_TOPIC;
use bankstorm_outside::bundle::ChannelOutside;
use bankstorm_outside::log::{ConsumerEvent, EventConsumer, EventLog, LogError, TopicPartition};
use bankstorm_outside::process::{Metrics, Points, Scope};
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use crate::config::ChannelConfig;
use crate::markers;
use crate::partitions::{Completion, Delivery, Epoch, Partitions};
use crate::workers::Workers;

/// Consumes until the scope is asked to stop. A consumer that fails for good is replaced.
pub(crate) async fn run<O: ChannelOutside>(outside: O, config: ChannelConfig) {
    let (sender, completions) = mpsc::unbounded_channel();
    let workers = Workers::new(outside.clone(), config.clone(), sender);
    let partitions = Partitions::new(&config);
    let mut member = Member { outside: outside.clone(), config, workers, partitions, completions, drains: Vec::new() };
    let mut failures = 0;
    while !outside.scope().is_stopping() {
        if let Err(error) = member.session(&mut failures).await {
            outside.metrics().count("channel_consumer_restarts_total", 1);
            tracing::warn!(%error, failures, "the consumer is replaced");
            let pause = member.config.pause(failures, u64::from(failures));
            failures += 1;
            tokio::select! { biased; () = outside.scope().stopping() => {}, () = tokio::time::sleep(pause) => {} }
        }
    }
}

/// Partitions that go away, and whoever waits for it.
struct Drain {
    epochs: Vec<Arc<Epoch>>,
    done: oneshot::Sender<()>,
    due: Instant,
}

/// What woke the loop.
enum Wake {
    Stop,
    Completed(Completion),
    Due,
    Event(Result<ConsumerEvent, LogError>),
}

struct Member<O: ChannelOutside> {
    outside: O,
    config: ChannelConfig,
    workers: Arc<Workers<O>>,
    partitions: Partitions,
    completions: UnboundedReceiver<Completion>,
    drains: Vec<Drain>,
}

type ConsumerOf<O> = <<O as ChannelOutside>::Log as EventLog>::Consumer;

impl<O: ChannelOutside> Member<O> {
    /// One consumer's life, from joining to leaving.
    async fn session(&mut self, failures: &mut u32) -> Result<(), LogError> {
        let mut consumer = tokio::select! {
            biased;
            () = self.outside.scope().stopping() => return Ok(()),
            consumer = self.outside.log().consumer(&self.config.group, &[ENTRIES_TOPIC]) => consumer?,
        };
        let result = self.consume(&mut consumer, failures).await;
        if result.is_ok() {
            self.drain_everything(&mut consumer).await;
        }
        self.partitions.lose(&self.partitions.all());
        self.drains.clear();
        self.gauge();
        if timeout(self.config.close_limit, consumer.close()).await.is_err() {
            tracing::warn!(limit = ?self.config.close_limit, "leaving the group met its limit (close_limit)");
        }
        result
    }

    async fn consume(&mut self, consumer: &mut ConsumerOf<O>, failures: &mut u32) -> Result<(), LogError> {
        let mut commit_due = Instant::now() + self.config.commit_every;
        loop {
            let due = self.drains.iter().map(|drain| drain.due).fold(commit_due, Instant::min);
            let wake = tokio::select! {
                biased;
                () = self.outside.scope().stopping() => Wake::Stop,
                Some(completion) = self.completions.recv() => Wake::Completed(completion),
                () = tokio::time::sleep_until(due) => Wake::Due,
                event = consumer.next() => Wake::Event(event),
            };
            match wake {
                Wake::Stop => return Ok(()),
                Wake::Completed(completion) => self.complete_all(&completion),
                Wake::Due => {}
                Wake::Event(event) => {
                    self.take_event(event?);
                    *failures = 0;
                }
            }
            self.finish_drains(consumer).await;
            if Instant::now() >= commit_due {
                self.commit(consumer).await;
                commit_due = Instant::now() + self.config.commit_every;
            }
            self.dispatch(consumer)?;
        }
    }

    fn take_event(&mut self, event: ConsumerEvent) {
        match event {
            ConsumerEvent::Assigned(assignment) => {
                tracing::info!(partitions = ?numbers(&assignment.partitions), generation = assignment.generation, "assigned");
                self.partitions.assign(assignment);
            }
            ConsumerEvent::Revoked { partitions, done } => {
                tracing::info!(partitions = ?numbers(&partitions), "revoked: draining");
                let epochs = self.partitions.drain(&partitions);
                self.drains.push(Drain { epochs, done, due: Instant::now() + self.config.drain_limit });
            }
            ConsumerEvent::Lost(partitions) => {
                tracing::warn!(partitions = ?numbers(&partitions), "lost");
                self.partitions.lose(&partitions);
            }
            ConsumerEvent::Record(record) => {
                let counter = match self.partitions.deliver(record) {
                    Delivery::Queued => "channel_records_total",
                    Delivery::Again => "channel_redelivered_total",
                    Delivery::NotOurs => "channel_stray_records_total",
                };
                self.outside.metrics().count(counter, 1);
            }
        }
    }

    /// This completion and all others that are there already.
    fn complete_all(&mut self, first: &Completion) {
        self.complete(first);
        while let Ok(completion) = self.completions.try_recv() {
            self.complete(&completion);
        }
    }

    fn complete(&mut self, completion: &Completion) {
        if !self.partitions.complete(completion) {
            self.outside.metrics().count("channel_late_completions_total", 1);
        }
    }

    /// Gives jobs to free workers, and turns the taps of partitions by their span.
    fn dispatch(&mut self, consumer: &mut ConsumerOf<O>) -> Result<(), LogError> {
        while let Some(job) = self.partitions.next_job() {
            self.workers.submit(job);
        }
        self.gauge();
        let (pause, resume) = self.partitions.turn();
        for (partitions, turn) in [(pause, true), (resume, false)] {
            if partitions.is_empty() {
                continue;
            }
            let turned = if turn { consumer.pause(&partitions) } else { consumer.resume(&partitions) };
            match turned {
                // It went away between two events; the event that says so is on its way.
                Err(LogError::NotAssigned(detail)) => tracing::debug!(detail, "not turned"),
                other => other?,
            }
        }
        Ok(())
    }

    fn gauge(&self) {
        let metrics = self.outside.metrics();
        metrics.gauge("channel_in_work", i64::try_from(self.partitions.in_work()).unwrap_or(i64::MAX));
        metrics.gauge("channel_partitions", i64::try_from(self.partitions.len()).unwrap_or(i64::MAX));
    }

    /// Ends the drains that are through or at their limit: commit, forget, acknowledge.
    async fn finish_drains(&mut self, consumer: &mut ConsumerOf<O>) {
        let now = Instant::now();
        let (over, going): (Vec<_>, Vec<_>) = std::mem::take(&mut self.drains)
            .into_iter()
            .partition(|drain| now >= drain.due || self.partitions.in_work_of(&drain.epochs) == 0);
        self.drains = going;
        for drain in over {
            self.end_drain(&drain.epochs, consumer).await;
            // The log may have stopped waiting by its own limit.
            let _ = drain.done.send(());
        }
    }

    async fn end_drain(&mut self, epochs: &[Arc<Epoch>], consumer: &mut ConsumerOf<O>) {
        let left = self.partitions.in_work_of(epochs);
        if left == 0 {
            self.outside.points().reached(markers::REVOKED_DRAINED);
        } else {
            self.outside.metrics().count("channel_drain_limit_total", 1);
            tracing::warn!(left, limit = ?self.config.drain_limit, "a drain met its limit (drain_limit)");
        }
        self.commit(consumer).await;
        self.partitions.forget(epochs);
    }

    /// The end: everything in work gets the drain limit, then the watermarks are committed.
    async fn drain_everything(&mut self, consumer: &mut ConsumerOf<O>) {
        let epochs = self.partitions.drain(&self.partitions.all());
        let due = Instant::now() + self.config.drain_limit;
        while self.partitions.in_work_of(&epochs) > 0 {
            tokio::select! {
                biased;
                Some(completion) = self.completions.recv() => self.complete_all(&completion),
                () = tokio::time::sleep_until(due) => break,
            }
        }
        self.end_drain(&epochs, consumer).await;
    }

    /// Commits the watermarks that moved. A failure is told and tried again with the next commit.
    async fn commit(&mut self, consumer: &mut ConsumerOf<O>) {
        let offsets = self.partitions.committable();
        if offsets.is_empty() {
            return;
        }
        let metrics = self.outside.metrics();
        let failure = match timeout(self.config.commit_limit, consumer.commit(&offsets)).await {
            Ok(Ok(())) => {
                metrics.count("channel_offset_commits_total", 1);
                self.partitions.committed(&offsets);
                return;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {:?} (commit_limit)", self.config.commit_limit),
        };
        metrics.count("channel_offset_commit_failures_total", 1);
        tracing::warn!(failure, "offsets not committed");
    }
}

fn numbers(partitions: &[TopicPartition]) -> Vec<i32> {
    partitions.iter().map(|at| at.partition).collect()
}

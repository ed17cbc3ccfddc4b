//! The consumer: the loop between the log and the workers.
//!
//! In: events of the log, completions, the request to stop. Out: jobs, pauses, commits of watermarks. Elsewhere: what is known of each
//! partition (`partitions`), the work (`workers`), what the store is told of a new generation (`ownership`).
//!
//! Order of the select: stop, completions, the end of an offset commit, what is due, new events last. Revocations and offset commits are
//! states, not places in the code: while partitions drain and while a commit waits for its answer, everything else goes on. Only a drain
//! waits for a commit, because its partitions are given up after it.
//!
//! | counter | counts |
//! |---|---|
//! | `channel_records_total` | records taken in |
//! | `channel_redelivered_total` | records delivered again within an assignment |
//! | `channel_stray_records_total` | records of partitions that were not this member's any more |
//! | `channel_foreign_records_total` | records of accounts that lie in another database, done as they came (A21) |
//! | `channel_late_completions_total` | completions of assignments that had ended |
//! | `channel_offset_commits_total`, `channel_offset_commit_failures_total` | offset commits |
//! | `channel_drain_limit_total` | drains that met their limit |
//! | `channel_drain_uncommitted_total` | drains that ended while an offset commit had no answer |
//! | `channel_consumer_restarts_total` | consumers replaced after a fatal error |
//! | `channel_generation_unknown_total` | assignments without a generation: nothing of them is fenced (D36) |
//! | `channel_own_retries_total` | attempts to own partitions that the store refused |
//! | `channel_partitions_fenced_total` | partitions given up because the store knows a newer owner: the consumer is replaced |
//! | `channel_in_work` (gauge) | jobs that workers have |
//! | `channel_slots_used` (gauge) | over the partitions assigned: slots that ever had work; without slots, the most accounts at once |
//! | `channel_partitions` (gauge) | partitions assigned |

use std::sync::Arc;

use bankstorm_outside::bundle::ChannelOutside;
use bankstorm_outside::log::{ConsumerEvent, EventConsumer, EventLog, LogError, TopicPartition};
use bankstorm_outside::process::{Metrics, Points, Scope};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{Instant, sleep_until, timeout};

use crate::advance::Advancer;
use crate::commits::{Commits, Ended};
use crate::config::{ChannelConfig, GenerationFence};
use crate::letters::Letters;
use crate::markers;
use crate::ownership::{CALLS, Claim, Owned, tell_store};
use crate::partitions::{Completion, Delivery, Epoch, Partitions};
use crate::workers::Workers;

/// Consumes until the scope is asked to stop. A consumer that fails for good is replaced.
pub(crate) async fn run<O: ChannelOutside>(outside: O, config: ChannelConfig, advancer: Arc<Advancer<O>>) {
    let (sender, completions) = mpsc::unbounded_channel();
    let letters = Letters::new(outside.clone(), config.clone(), Arc::clone(&advancer));
    let workers = Workers::new(outside.clone(), config.clone(), advancer, letters, sender);
    let (owner, owned) = mpsc::unbounded_channel();
    let partitions = Partitions::new(&config);
    let mut member = Member {
        outside: outside.clone(),
        config,
        workers,
        partitions,
        completions,
        owner,
        owned,
        owning: Arc::new(Semaphore::new(CALLS)),
        drains: Vec::new(),
        commits: Commits::default(),
        knows_generations: false,
        replaced: None,
    };
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
    /// When workers are not waited for any more.
    due: Instant,
    /// When the offset commit is not waited for any more either.
    last: Instant,
    stage: Stage,
}

/// How far a drain is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Workers have jobs of it.
    Working,
    /// Its watermarks stand; the commit that takes them has not begun.
    Owed,
    /// That commit has begun.
    Committing,
}

/// What woke the loop.
enum Wake {
    Stop,
    Completed(Completion),
    Owned(Owned),
    Committed(Ended),
    Due,
    Event(Result<ConsumerEvent, LogError>),
}

struct Member<O: ChannelOutside> {
    outside: O,
    config: ChannelConfig,
    workers: Arc<Workers<O>>,
    partitions: Partitions,
    completions: UnboundedReceiver<Completion>,
    owner: UnboundedSender<Owned>,
    owned: UnboundedReceiver<Owned>,
    owning: Arc<Semaphore>,
    drains: Vec<Drain>,
    commits: Commits,
    /// Whether the log ever told a generation.
    knows_generations: bool,
    /// Why this consumer has to join anew.
    replaced: Option<&'static str>,
}

type ConsumerOf<O> = <<O as ChannelOutside>::Log as EventLog>::Consumer;

impl<O: ChannelOutside> Member<O> {
    /// One consumer's life, from joining to leaving.
    async fn session(&mut self, failures: &mut u32) -> Result<(), LogError> {
        let topics = [self.config.topic.as_str()];
        let mut consumer = tokio::select! {
            biased;
            () = self.outside.scope().stopping() => return Ok(()),
            consumer = self.outside.log().consumer(&self.config.group, &topics) => consumer?,
        };
        self.replaced = None;
        let result = self.consume(&mut consumer, failures).await;
        if result.is_ok() {
            self.drain_everything(&mut consumer).await;
        }
        self.partitions.lose(&self.partitions.all());
        self.commits.forget();
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
            let due = self.next_due(commit_due);
            let wake = tokio::select! {
                biased;
                () = self.outside.scope().stopping() => Wake::Stop,
                Some(completion) = self.completions.recv() => Wake::Completed(completion),
                Some(owned) = self.owned.recv() => Wake::Owned(owned),
                ended = self.commits.ended() => Wake::Committed(ended),
                () = sleep_until(due) => Wake::Due,
                event = consumer.next() => Wake::Event(event),
            };
            match wake {
                Wake::Stop => return Ok(()),
                Wake::Completed(completion) => self.complete_all(&completion),
                Wake::Owned(Owned { claim, refused }) => {
                    let lost = self.partitions.adopt(&claim, &refused);
                    self.fenced(&lost);
                }
                Wake::Committed(ended) => self.commit_ended(ended),
                Wake::Due => {}
                Wake::Event(event) => {
                    self.take_event(event?);
                    // A member that the store goes on refusing joins less and less often.
                    if self.partitions.are_owned() {
                        *failures = 0;
                    }
                }
            }
            if let Some(why) = self.replaced {
                return Err(LogError::Other(why.to_owned()));
            }
            self.serve_drains(consumer);
            if !self.commits.is_running() && Instant::now() >= commit_due {
                self.begin_commit(consumer);
                commit_due = Instant::now() + self.config.commit_every;
            }
            self.dispatch(consumer)?;
        }
    }

    /// When something is to be done although nothing happens. A commit that is due waits for the one under way.
    fn next_due(&self, commit_due: Instant) -> Instant {
        let drains = self.drains.iter().map(|drain| if drain.stage == Stage::Working { drain.due } else { drain.last });
        let commit = (!self.commits.is_running()).then_some(commit_due);
        // Without drains a commit is under way, and its end is waited for anyway.
        drains.chain(commit).min().unwrap_or_else(|| Instant::now() + self.config.commit_limit)
    }

    fn take_event(&mut self, event: ConsumerEvent) {
        match event {
            ConsumerEvent::Assigned(assignment) => {
                tracing::info!(partitions = ?numbers(&assignment.partitions), generation = assignment.generation, "assigned");
                if assignment.generation.is_none() && self.config.generation_fence == GenerationFence::On {
                    self.outside.metrics().count("channel_generation_unknown_total", 1);
                    if self.knows_generations {
                        // Taken as it is, nothing would fence it: it may be a member that was thrown out again meanwhile.
                        self.replaced = Some("assigned without a generation");
                        return;
                    }
                }
                self.knows_generations |= assignment.generation.is_some();
                let claims = self.partitions.assign(assignment).map(Claim::of_each);
                for claim in claims.into_iter().flatten() {
                    let (owning, owner) = (Arc::clone(&self.owning), self.owner.clone());
                    let telling = tell_store(self.outside.clone(), self.config.clone(), claim, owning, owner);
                    self.outside.scope().spawn("channel-own", telling);
                }
            }
            ConsumerEvent::Revoked { partitions, done } => {
                tracing::info!(partitions = ?numbers(&partitions), "revoked: draining");
                let epochs = self.partitions.drain(&partitions);
                let due = Instant::now() + self.config.drain_limit;
                let last = due + self.config.drain_commit;
                self.drains.push(Drain { epochs, done, due, last, stage: Stage::Working });
            }
            ConsumerEvent::Lost(partitions) => {
                tracing::warn!(partitions = ?numbers(&partitions), "lost");
                self.partitions.lose(&partitions);
                self.forget_commit_of(&partitions);
            }
            ConsumerEvent::Record(record) => {
                let counter = match self.partitions.deliver(record) {
                    Delivery::Queued => "channel_records_total",
                    Delivery::Again => "channel_redelivered_total",
                    Delivery::NotOurs => "channel_stray_records_total",
                    Delivery::Foreign => "channel_foreign_records_total",
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
            self.outside.points().reached(markers::LATE_COMPLETION);
        } else if let Some(lost) = completion.lost() {
            self.fenced(std::slice::from_ref(lost));
        }
    }

    /// Partitions that the store says are somebody else's: lost, though the log has not told so yet (D36). It may never tell, where the
    /// group has it that they are this member's: he joins anew, in a higher generation.
    fn fenced(&mut self, lost: &[TopicPartition]) {
        if lost.is_empty() {
            return;
        }
        self.outside.metrics().count("channel_partitions_fenced_total", lost.len() as u64);
        self.outside.points().reached(markers::FENCED);
        tracing::error!(partitions = ?numbers(lost), "a newer generation owns them: given up");
        self.forget_commit_of(lost);
        self.replaced = Some("a newer generation owns partitions of this member");
    }

    /// A commit under way that is about these partitions would be refused, or be taken for a later assignment of them.
    fn forget_commit_of(&mut self, partitions: &[TopicPartition]) {
        if self.commits.touches(partitions) {
            self.forget_commit("partitions of it were lost");
        }
    }

    /// Gives jobs to free workers, and turns the taps of partitions by their span.
    fn dispatch(&mut self, consumer: &ConsumerOf<O>) -> Result<(), LogError> {
        while let Some(job) = self.partitions.next_job() {
            self.workers.submit(job);
        }
        self.gauge();
        for (at, pause) in self.partitions.to_turn() {
            let only = std::slice::from_ref(&at);
            match if pause { consumer.pause(only) } else { consumer.resume(only) } {
                Ok(()) => self.partitions.turned(&at, pause),
                // It went away between two events; the event that says so is on its way.
                Err(LogError::NotAssigned(detail)) => tracing::debug!(detail, "not turned"),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn gauge(&self) {
        let metrics = self.outside.metrics();
        let gauges = [
            ("channel_in_work", self.partitions.in_work()),
            ("channel_slots_used", self.partitions.slots_used()),
            ("channel_partitions", self.partitions.len()),
        ];
        for (name, value) in gauges {
            metrics.gauge(name, i64::try_from(value).unwrap_or(i64::MAX));
        }
    }

    /// Moves the drains on: workers through, commit begun, commit ended, partitions forgotten and acknowledged.
    fn serve_drains(&mut self, consumer: &ConsumerOf<O>) {
        if self.drains.is_empty() {
            return;
        }
        let now = Instant::now();
        let mut drains = std::mem::take(&mut self.drains);
        for drain in drains.iter_mut().filter(|drain| drain.stage == Stage::Working) {
            if now >= drain.due || self.partitions.in_work_of(&drain.epochs) == 0 {
                self.tell_drained(&drain.epochs);
                drain.stage = Stage::Owed;
            }
        }
        let mut owed = drains.iter_mut().filter(|drain| drain.stage == Stage::Owed).peekable();
        if owed.peek().is_some() && !self.commits.is_running() {
            self.begin_commit(consumer);
            owed.for_each(|drain| drain.stage = Stage::Committing);
        }
        for drain in drains {
            let through = drain.stage == Stage::Committing && !self.commits.is_running();
            if !through && (drain.stage == Stage::Working || now < drain.last) {
                self.drains.push(drain);
                continue;
            }
            if !through {
                self.outside.metrics().count("channel_drain_uncommitted_total", 1);
                self.forget_commit("a drain met its limit (drain_commit)");
            }
            self.partitions.forget(&drain.epochs);
            // The log may have stopped waiting by its own limit.
            let _ = drain.done.send(());
        }
    }

    fn tell_drained(&self, epochs: &[Arc<Epoch>]) {
        let left = self.partitions.in_work_of(epochs);
        if left == 0 {
            self.outside.points().reached(markers::REVOKED_DRAINED);
        } else {
            self.outside.metrics().count("channel_drain_limit_total", 1);
            tracing::warn!(left, limit = ?self.config.drain_limit, "a drain met its limit (drain_limit)");
        }
    }

    /// The end: everything in work gets the drain limit, then the watermarks are committed.
    async fn drain_everything(&mut self, consumer: &mut ConsumerOf<O>) {
        let epochs = self.partitions.drain(&self.partitions.all());
        let due = Instant::now() + self.config.drain_limit;
        while self.partitions.in_work_of(&epochs) > 0 {
            tokio::select! {
                biased;
                Some(completion) = self.completions.recv() => self.complete_all(&completion),
                ended = self.commits.ended() => self.commit_ended(ended),
                () = sleep_until(due) => break,
            }
        }
        self.tell_drained(&epochs);
        // What is under way knows older watermarks: the last commit comes after it, and both have one limit.
        let last = Instant::now() + self.config.commit_limit;
        self.await_commit(last).await;
        self.begin_commit(consumer);
        self.await_commit(last).await;
        self.partitions.forget(&epochs);
    }

    async fn await_commit(&mut self, last: Instant) {
        if !self.commits.is_running() {
            return;
        }
        tokio::select! {
            biased;
            ended = self.commits.ended() => self.commit_ended(ended),
            () = sleep_until(last) => self.forget_commit("the stop met its limit (commit_limit)"),
        }
    }

    /// Begins to commit the watermarks that moved, if any did. Only while no commit is under way.
    fn begin_commit(&mut self, consumer: &ConsumerOf<O>) {
        let offsets = self.partitions.committable();
        if !offsets.is_empty() {
            self.commits.begin(consumer, offsets, self.config.commit_limit);
        }
    }

    /// A failure is told and tried again with the next commit.
    fn commit_ended(&mut self, Ended { offsets, result }: Ended) {
        match result {
            Ok(()) => {
                self.outside.metrics().count("channel_offset_commits_total", 1);
                self.partitions.committed(&offsets);
            }
            Err(failure) => self.commit_failed(&failure),
        }
    }

    /// Waits no longer for the commit under way; what it was about is committed again.
    fn forget_commit(&mut self, why: &str) {
        if self.commits.forget() {
            self.commit_failed(why);
        }
    }

    fn commit_failed(&self, failure: &str) {
        self.outside.metrics().count("channel_offset_commit_failures_total", 1);
        tracing::warn!(failure, "offsets not committed");
    }
}

fn numbers(partitions: &[TopicPartition]) -> Vec<i32> {
    partitions.iter().map(|at| at.partition).collect()
}

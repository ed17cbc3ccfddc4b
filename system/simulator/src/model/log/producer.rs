//! A producer of the model log.
//!
//! In: records, in the order of calls. Out: appended records, acknowledgements. Elsewhere: what fails when (`ModelLog::produces`).
//!
//! A task stands for the network: it takes what was handed over, needs a moment, appends, needs another moment, answers. Without a broker
//! it waits, as long as it takes (the real one has no time-out of its own, D35), and sends again; what had been appended is recognised and
//! only answered. Whatever a producer had under way when it was dropped may still be appended; what was not under way is not. A discard
//! waits for what is under way; when its connection breaks or its limit is hit, it is given up, and never appended after that.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bankstorm_contracts::event::DEAD_LETTERS_TOPIC;
use bankstorm_outside::log::{Delivered, EventProducer, LogError, Outgoing};
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::broker::Broker;
use super::partitions::Fate;
use super::session::RECONNECT_MOST;
use super::{DISCARD_LIMIT, ModelLog, ProduceFault, RecordFault};
use crate::trace::told::{Value, seconds};
use crate::trace::{self, note_of};

/// What one trip carries at most: as in Kafka, an idempotent producer has several batches under way, in order.
const BATCH: usize = 16;

type Acknowledgement = Result<Delivered, LogError>;

fn not_delivered(why: &str) -> LogError {
    LogError::NotDelivered(why.to_owned())
}

struct Handed {
    record: Outgoing,
    answer: oneshot::Sender<Acknowledgement>,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Handed>,
    /// Records may be on their way.
    busy: bool,
    /// Nothing more is taken.
    closed: bool,
    /// Nothing is appended any more either.
    given_up: bool,
}

#[derive(Default)]
struct Line {
    state: Mutex<State>,
    /// Something was handed over, or the producer was closed.
    bell: Notify,
    /// Nothing is on its way any more.
    idle: Notify,
}

impl Line {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing more is taken; what was not taken is answered.
    fn close(&self) {
        let unsent = {
            let mut state = self.state();
            state.closed = true;
            std::mem::take(&mut state.queue)
        };
        for handed in unsent {
            // Its future may have been dropped.
            let _ = handed.answer.send(Err(not_delivered("the producer was given up")));
        }
        self.bell.notify_one();
    }

    async fn idle(&self) {
        loop {
            let idle = self.idle.notified();
            if !self.state().busy {
                return;
            }
            idle.await;
        }
    }
}

/// How a producer stands to the broker.
enum Way {
    /// What it sends arrives.
    Open,
    /// Nothing passes now.
    Closed,
    /// The broker is there again; this connection is to be made.
    Broken(u64),
    /// Nothing of it will pass any more.
    Never,
}

/// The network between a producer and the broker.
struct Network {
    log: ModelLog,
    line: Arc<Line>,
    /// The connection that it has.
    connection: u64,
    /// How often its process's clients had failed when it was made.
    failures: u64,
    /// A record was not delivered: no later one may slip past it.
    failed: bool,
}

impl Network {
    async fn run(mut self) {
        while let Some(batch) = self.take().await {
            self.carry(batch).await;
            self.line.state().busy = false;
            self.line.idle.notify_one();
        }
    }

    /// The next batch; `None` at the end. A frozen process sends nothing.
    async fn take(&self) -> Option<Vec<Handed>> {
        loop {
            let rung = self.line.bell.notified();
            let changed = self.log.inner.changed.notified();
            let apart = {
                let log = self.log.state();
                let client = &log.clients[self.log.client];
                // What a client that failed has left is refused at once.
                client.is_apart() && client.failures == self.failures
            };
            let waiting = {
                let mut state = self.line.state();
                if state.closed {
                    return None;
                }
                let waiting = !state.queue.is_empty();
                if waiting && !apart {
                    state.busy = true;
                    let count = state.queue.len().min(BATCH);
                    return Some(state.queue.drain(..count).collect());
                }
                waiting
            };
            tokio::select! {
                biased;
                () = rung => {}
                () = changed, if waiting => {}
            }
        }
    }

    async fn carry(&mut self, batch: Vec<Handed>) {
        self.log.inner.chance.pause().await;
        let mut answers = Vec::with_capacity(batch.len());
        for Handed { record, answer } in batch {
            let result = self.deliver(record).await;
            answers.push((answer, result));
        }
        self.log.inner.chance.pause().await;
        // Sent again on a new connection, records that had been appended are only answered.
        let answered = self.reach().await;
        for (answer, result) in answers {
            let result = if answered { result } else { result.and(Err(not_delivered("the acknowledgement was lost"))) };
            // Its future may have been dropped.
            let _ = answer.send(result);
        }
    }

    async fn deliver(&mut self, record: Outgoing) -> Acknowledgement {
        if self.failed {
            return Err(not_delivered("the producer has failed"));
        }
        if !self.reach().await {
            self.failed = true;
            return Err(not_delivered("the producer was given up"));
        }
        let fault = self.log.inner.produces.call();
        if let Some(ProduceFault::Stalled(lasts)) = fault {
            note_of(self.log.who, || format!("kafka: a record takes {}", seconds(lasts)));
            if !self.stall(lasts).await || !self.reach().await {
                self.failed = true;
                return Err(not_delivered("the producer was given up"));
            }
        }
        self.append(record, fault)
    }

    fn append(&mut self, record: Outgoing, fault: Option<ProduceFault>) -> Acknowledgement {
        self.failed = matches!(fault, Some(ProduceFault::Before | ProduceFault::After));
        if fault == Some(ProduceFault::Before) {
            note_of(self.log.who, || "kafka: a record is refused".to_owned());
            return Err(not_delivered("the record was refused"));
        }
        let mut state = self.log.state();
        let slots = state.partitions.slots_of(&record.topic);
        if slots.is_empty() {
            self.failed = true;
            return Err(not_delivered("there is no such topic"));
        }
        let slot = slots[partition_of(&record.key, slots.len())];
        let partition = state.partitions.number(slot);
        if fault == Some(ProduceFault::Swallowed) {
            note_of(self.log.who, || "kafka: a record is swallowed".to_owned());
            return Ok(Delivered { partition, offset: state.partitions.end(slot) });
        }
        // Nobody consumes letters, so nothing can be wrong with them.
        let is_letter = record.topic == DEAD_LETTERS_TOPIC;
        let fault_of_record = if is_letter { None } else { self.log.inner.appends.call() };
        let fate = match fault_of_record {
            None | Some(RecordFault::Doubled) => Fate::Whole,
            Some(RecordFault::Lost) => Fate::Lost,
            Some(RecordFault::Damaged(damage)) => Fate::Damaged(damage.of(&record.value)),
        };
        let told = match &fate {
            Fate::Whole => "",
            Fate::Lost => ", and no consumer will see it",
            Fate::Damaged(_) => ", and consumers will see it damaged",
        };
        let what = trace::text(&Value(&record.value));
        if fault_of_record == Some(RecordFault::Doubled) {
            note_of(self.log.who, || {
                format!("kafka: appended twice, first {}/{partition}@{}", record.topic, state.partitions.end(slot))
            });
            state.partitions.append(slot, record.key.clone(), record.value.clone(), Fate::Whole);
        }
        let offset = state.partitions.append(slot, record.key, record.value, fate);
        state.wake_readers(slot);
        drop(state);
        note_of(self.log.who, || {
            format!("kafka: appended {}/{partition}@{offset}: {}{told}", record.topic, what.unwrap_or_default())
        });
        if fault == Some(ProduceFault::After) {
            note_of(self.log.who, || "kafka: its acknowledgement is lost".to_owned());
            return Err(not_delivered("the acknowledgement was lost"));
        }
        Ok(Delivered { partition, offset })
    }

    /// Waits until the broker takes requests on a connection of this producer; false when it is given up before.
    async fn reach(&mut self) -> bool {
        loop {
            match self.way() {
                Way::Open => return true,
                Way::Never => return false,
                Way::Closed | Way::Broken(_) => {}
            }
            let inner = Arc::clone(&self.log.inner);
            let changed = inner.changed.notified();
            let Way::Broken(connection) = self.way() else {
                changed.await;
                continue;
            };
            let most = u64::try_from(RECONNECT_MOST.as_millis()).expect("a short time");
            let backoff = Duration::from_millis(inner.chance.below(most));
            tokio::select! {
                biased;
                // Whatever it was, the next look tells.
                () = changed => {}
                () = sleep(backoff) => self.connection = connection,
            }
        }
    }

    fn way(&self) -> Way {
        let (log, line) = (self.log.state(), self.line.state());
        let client = &log.clients[self.log.client];
        let (is_up, broken) = (log.broker == Broker::Up, log.connection != self.connection);
        if line.given_up || client.failures != self.failures {
            Way::Never
        } else if client.cut {
            Way::Closed
        } else if is_up && !broken {
            // What a stopped process had sent before arrives.
            Way::Open
        } else if line.closed && (broken || log.broker == Broker::Down) {
            // Without a connection nothing of a closed producer is sent again.
            Way::Never
        } else if is_up && !client.is_apart() {
            Way::Broken(log.connection)
        } else {
            Way::Closed
        }
    }

    /// Lets time pass; false when the producer is given up before.
    async fn stall(&self, lasts: Duration) -> bool {
        let end = Instant::now() + lasts;
        loop {
            let changed = self.log.inner.changed.notified();
            if self.line.state().given_up {
                return false;
            }
            tokio::select! {
                biased;
                () = changed => {}
                () = sleep_until(end) => return true,
            }
        }
    }
}

/// An idempotent producer on virtual time.
pub struct ModelProducer {
    log: ModelLog,
    line: Arc<Line>,
}

impl ModelProducer {
    pub(super) fn start(log: ModelLog) -> Self {
        let line = Arc::new(Line::default());
        let (connection, failures) = {
            let state = log.state();
            (state.connection, state.clients[log.client].failures)
        };
        let network = Network { log: log.clone(), line: Arc::clone(&line), connection, failures, failed: false };
        #[expect(clippy::disallowed_methods, reason = "the network is no task of any process")]
        tokio::spawn(network.run());
        Self { log, line }
    }

    fn close(&self) {
        self.line.close();
        self.log.inner.changed.notify_waiters();
    }
}

/// Any stable hash will do: one model, one client.
fn partition_of(key: &[u8], partitions: usize) -> usize {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in key {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    // A last bit of mixing: neighbouring short keys differ in few bits of this hash.
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash ^= hash >> 27;
    usize::try_from(hash >> 33).expect("31 bits") % partitions
}

impl EventProducer for ModelProducer {
    fn produce(&self, record: Outgoing) -> impl Future<Output = Acknowledgement> + Send + 'static {
        let (answer, receive) = oneshot::channel();
        self.line.state().queue.push_back(Handed { record, answer });
        self.line.bell.notify_one();
        async move { receive.await.unwrap_or_else(|_| Err(not_delivered("the producer ended before the answer"))) }
    }

    async fn discard(self) {
        self.close();
        if timeout(DISCARD_LIMIT, self.line.idle()).await.is_err() {
            note_of(self.log.who, || format!("kafka: a discard meets its limit of {}", seconds(DISCARD_LIMIT)));
            self.line.state().given_up = true;
            self.log.inner.changed.notify_waiters();
            self.line.idle().await;
        }
    }
}

impl Drop for ModelProducer {
    fn drop(&mut self) {
        self.close();
    }
}

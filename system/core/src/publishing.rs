//! How what is booked gets to the log: where its records wait, which of them are next, and under which key they go.
//!
//! In: what a booking is about to write, and how its commit ended. Out: outbox rows and a ring for the relay, its next rows, their records.
//! Elsewhere: the bookings (`posting::booking`, `outbound::settle`), sending and sending again (`relay`).
//!
//! The records of a booking wait in rows that its own transaction writes: they are there if it is, whatever dies in between (R9). The weaker
//! arms keep them in memory, from where the same relay sends them, or send them first and commit then.
//!
//! Metrics, of the weaker arms alone: `core_direct_waiting`, records in memory; `core_direct_forgotten_total`, records of commits that nobody
//! answered; `core_produced_early_total`, records acknowledged before their commit; `core_produced_early_errors_total`, bookings rolled back
//! because theirs were not.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bankstorm_contracts::{Entry, event};
use bankstorm_outside::bundle::CoreOutside;
use bankstorm_outside::core_store::{CoreStore, OutboxRow, Writes};
use bankstorm_outside::log::{EventLog, EventProducer, LogError, Outgoing};
use bankstorm_outside::process::{Metrics, Scope};
use bankstorm_outside::{CommitOutcome, StoreError};
use futures_util::future::try_join_all;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::config::{CoreConfig, Outbox, RecordKey, RelayScan};

/// The way from bookings to the relay.
pub(crate) struct Publishing<O: CoreOutside> {
    outside: O,
    config: CoreConfig,
    /// Rings when there is something new for the relay.
    doorbell: Notify,
    /// The highest id that was published (P11 off).
    published: AtomicI64,
    /// Records that wait in memory (P9 off).
    memory: Mutex<Memory>,
    /// Who produces before commits (P10 off).
    early: tokio::sync::Mutex<Early<<O::Log as EventLog>::Producer>>,
}

/// What follows once a booking's commit was answered.
#[derive(Debug)]
#[must_use]
pub(crate) enum Due {
    /// Nothing.
    Nothing,
    /// The relay finds rows.
    Rows,
    /// These are to be kept in mind for the relay.
    Records(Vec<Entry>),
}

#[derive(Debug, Default)]
struct Memory {
    rows: BTreeMap<i64, Entry>,
    /// The last id given here.
    last: i64,
}

/// A producer, and how many there were before it.
struct Early<P> {
    producer: Option<P>,
    number: u64,
}

impl<O: CoreOutside> Publishing<O> {
    pub(crate) fn new(outside: &O, config: &CoreConfig) -> Self {
        Self {
            outside: outside.clone(),
            config: config.clone(),
            doorbell: Notify::new(),
            published: AtomicI64::new(0),
            memory: Mutex::default(),
            early: tokio::sync::Mutex::new(Early { producer: None, number: 0 }),
        }
    }

    /// Before a booking is written, with its rows locked. Decision point P9, P10: where its records wait for the log.
    pub(crate) async fn before(&self, writes: &mut Writes) -> Result<Due, StoreError> {
        if writes.outbox.is_empty() {
            return Ok(Due::Nothing);
        }
        match self.config.protections.outbox {
            Outbox::InTheBooking => Ok(Due::Rows),
            Outbox::DirectProduce => Ok(Due::Records(std::mem::take(&mut writes.outbox))),
            Outbox::ProduceBeforeCommit => {
                self.produce_early(&std::mem::take(&mut writes.outbox)).await?;
                Ok(Due::Nothing)
            }
        }
    }

    /// After its commit was answered, or was not.
    pub(crate) fn after(&self, due: Due, outcome: &CommitOutcome) {
        match (due, outcome) {
            (Due::Nothing, _) | (_, CommitOutcome::Failed(_)) => {}
            // Rows whose commit nobody answered are found as well, if they are there.
            (Due::Rows, CommitOutcome::Ok | CommitOutcome::Unknown(_)) => self.doorbell.notify_one(),
            (Due::Records(entries), CommitOutcome::Ok) => {
                let waiting = self.memory().keep(entries);
                self.gauge(waiting);
                self.doorbell.notify_one();
            }
            (Due::Records(entries), CommitOutcome::Unknown(_)) => {
                self.outside.metrics().count("core_direct_forgotten_total", entries.len() as u64);
            }
        }
    }

    /// Completes when there may be something new.
    pub(crate) async fn rung(&self) {
        self.doorbell.notified().await;
    }

    /// The rows that the relay sends next, oldest ids first, at most `relay_rows_max`. Decision point P11: which.
    pub(crate) async fn next(&self) -> Result<Vec<OutboxRow>, StoreError> {
        let (store, most) = (self.outside.store(), self.config.relay_rows_max);
        let protections = &self.config.protections;
        match (protections.outbox, protections.relay_scan) {
            (Outbox::DirectProduce, _) => Ok(self.memory().first(most)),
            (_, RelayScan::UnsentRows) => store.unsent(most).await,
            (_, RelayScan::IdWatermark) => store.unsent_above(self.published.load(Ordering::Relaxed), most).await,
        }
    }

    /// The log has acknowledged these rows.
    pub(crate) async fn sent(&self, rows: &[OutboxRow]) -> Result<(), StoreError> {
        let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
        if self.config.protections.outbox == Outbox::DirectProduce {
            let waiting = self.memory().forget(&ids);
            self.gauge(waiting);
            return Ok(());
        }
        let highest = ids.iter().copied().max().unwrap_or(0);
        self.published.fetch_max(highest, Ordering::Relaxed);
        self.outside.store().mark_sent(&ids).await
    }

    /// An entry's record. Decision point P12: its key, and so its partition.
    pub(crate) fn record(&self, entry: &Entry) -> Outgoing {
        Outgoing {
            topic: event::ENTRIES_TOPIC.to_owned(),
            key: match self.config.protections.record_key {
                RecordKey::Account => event::key(entry.account),
                RecordKey::Random => format!("{}-{}", entry.transfer, entry.seq).into_bytes(),
            },
            value: event::encode(entry),
        }
    }

    /// Produces the records of a booking that is not committed, and waits for the acknowledgements (P10 off).
    async fn produce_early(&self, entries: &[Entry]) -> Result<(), StoreError> {
        let limit = self.config.produce_wait;
        let why = match timeout(limit, self.acknowledged(entries)).await {
            Ok(Ok(())) => {
                self.outside.metrics().count("core_produced_early_total", entries.len() as u64);
                return Ok(());
            }
            Ok(Err(error)) => error.to_string(),
            // They may be appended all the same.
            Err(_) => format!("{} records were not acknowledged within produce_wait = {limit:?}", entries.len()),
        };
        self.outside.metrics().count("core_produced_early_errors_total", 1);
        Err(StoreError::Unavailable(format!("rolled back before its commit: {why}")))
    }

    async fn acknowledged(&self, entries: &[Entry]) -> Result<(), LogError> {
        let (acks, number) = {
            let mut early = self.early.lock().await;
            let number = early.number;
            let producer = match early.producer.take() {
                Some(producer) => producer,
                None => self.outside.log().producer().await?,
            };
            let acks: Vec<_> = entries.iter().map(|entry| producer.produce(self.record(entry))).collect();
            early.producer = Some(producer);
            (acks, number)
        };
        let acknowledged = try_join_all(acks).await;
        if acknowledged.is_err() {
            self.give_up(number).await;
        }
        acknowledged.map(drop)
    }

    /// The producer of this number has failed: the next booking takes another one.
    async fn give_up(&self, number: u64) {
        let failed = {
            let mut early = self.early.lock().await;
            if early.number != number {
                return;
            }
            early.number += 1;
            early.producer.take()
        };
        if let Some(producer) = failed {
            self.outside.scope().spawn("core-producer-discard", producer.discard());
        }
    }

    fn gauge(&self, waiting: usize) {
        self.outside.metrics().gauge("core_direct_waiting", i64::try_from(waiting).unwrap_or(i64::MAX));
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        // No code under this lock panics half-way.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    /// Takes entries in; how many wait now.
    fn keep(&mut self, entries: Vec<Entry>) -> usize {
        for entry in entries {
            self.last += 1;
            self.rows.insert(self.last, entry);
        }
        self.rows.len()
    }

    fn first(&self, most: u32) -> Vec<OutboxRow> {
        let rows = self.rows.iter().map(|(id, entry)| OutboxRow { id: *id, entry: entry.clone() });
        rows.take(most as usize).collect()
    }

    /// Lets rows go; how many wait now.
    fn forget(&mut self, ids: &[i64]) -> usize {
        for id in ids {
            self.rows.remove(id);
        }
        self.rows.len()
    }
}

//! The relay: from the outbox to the log, at least once and in each account's order (D35).
//!
//! In: unsent outbox rows, rings after commits. Out: records on `core.entries`, rows marked sent. Elsewhere: writing the rows (`posting`).
//!
//! Rows are found by being unsent, never by an id above a watermark: ids are given before commits are ordered, and a watermark skips
//! the late committer (R10). After a record that was not delivered nothing later goes through that producer: it is discarded, which
//! waits until nothing of it is in flight, and the scan starts over. Records may then come twice; consumers drop them by serial.
//!
//! Metrics: `core_relay_sent_total`, `core_relay_restarts_total`, `core_relay_errors_total`, `core_relay_in_flight`.

use std::sync::Arc;
use std::time::Duration;

use bankstorm_contracts::event;
use bankstorm_outside::bundle::CoreOutside;
use bankstorm_outside::core_store::{CoreStore, OutboxRow};
use bankstorm_outside::log::{EventLog, EventProducer, LogError, Outgoing};
use bankstorm_outside::process::{Metrics, Points, Scope};
use futures_util::future::try_join_all;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use crate::config::CoreConfig;
use crate::markers;

/// The first pause after an error.
const BACKOFF_FIRST: Duration = Duration::from_millis(10);

/// Why a producer is of no more use.
enum Ended {
    /// The process stops.
    Stopping,
    /// A record was not delivered, or not in time.
    NotDelivered(LogError),
}

/// Runs until the process stops.
pub(crate) async fn run<O: CoreOutside>(outside: O, config: CoreConfig, doorbell: Arc<Notify>) {
    let mut relay = Relay { outside, config, doorbell, backoff: BACKOFF_FIRST };
    while !relay.outside.scope().is_stopping() {
        let producer = match relay.outside.log().producer().await {
            Ok(producer) => producer,
            Err(error) => {
                relay.back_off("no producer", &error).await;
                continue;
            }
        };
        let ended = relay.drain(&producer).await;
        producer.discard().await;
        match ended {
            Ended::Stopping => return,
            Ended::NotDelivered(error) => {
                relay.outside.points().reached(markers::RELAY_RESTARTED);
                relay.outside.metrics().count("core_relay_restarts_total", 1);
                relay.back_off("producer discarded", &error).await;
            }
        }
    }
}

struct Relay<O: CoreOutside> {
    outside: O,
    config: CoreConfig,
    doorbell: Arc<Notify>,
    backoff: Duration,
}

impl<O: CoreOutside> Relay<O> {
    /// Sends what is unsent, again and again, through one producer.
    async fn drain(&mut self, producer: &<O::Log as EventLog>::Producer) -> Ended {
        loop {
            if self.outside.scope().is_stopping() {
                return Ended::Stopping;
            }
            let rows = match self.outside.store().unsent(self.config.relay_rows_max).await {
                Ok(rows) => rows,
                Err(error) => {
                    self.back_off("outbox not read", &error).await;
                    continue;
                }
            };
            if rows.is_empty() {
                self.rest().await;
                continue;
            }
            if let Err(ended) = self.send(producer, &rows).await {
                return ended;
            }
            self.backoff = BACKOFF_FIRST;
            let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
            if let Err(error) = self.outside.store().mark_sent(&ids).await {
                // They are sent again by the next scan, which is harmless.
                self.back_off("rows not marked sent", &error).await;
            }
        }
    }

    /// Produces rows in their order and waits for every acknowledgement.
    async fn send(&self, producer: &<O::Log as EventLog>::Producer, rows: &[OutboxRow]) -> Result<(), Ended> {
        let acks: Vec<_> = rows.iter().map(|row| producer.produce(record(row))).collect();
        let in_flight = i64::try_from(rows.len()).unwrap_or(i64::MAX);
        self.outside.metrics().gauge("core_relay_in_flight", in_flight);
        let limit = self.config.relay_ack_wait;
        let sent = tokio::select! {
            biased;
            () = self.outside.scope().stopping() => return Err(Ended::Stopping),
            sent = timeout(limit, try_join_all(acks)) => sent,
        };
        self.outside.metrics().gauge("core_relay_in_flight", 0);
        match sent {
            Ok(Ok(_)) => {
                self.outside.metrics().count("core_relay_sent_total", rows.len() as u64);
                Ok(())
            }
            Ok(Err(error)) => Err(Ended::NotDelivered(error)),
            Err(_) => Err(Ended::NotDelivered(LogError::NotDelivered(format!(
                "{} records were not acknowledged within relay_ack_wait = {limit:?}",
                rows.len()
            )))),
        }
    }

    /// Until a commit rings, the poll interval is over or the process stops.
    async fn rest(&self) {
        tokio::select! {
            biased;
            () = self.outside.scope().stopping() => {}
            () = self.doorbell.notified() => {}
            () = sleep(self.config.relay_poll) => {}
        }
    }

    async fn back_off(&mut self, what: &str, error: &(dyn std::error::Error + Sync)) {
        self.outside.metrics().count("core_relay_errors_total", 1);
        tracing::warn!(what, %error, pause = ?self.backoff, "the relay pauses");
        tokio::select! {
            biased;
            () = self.outside.scope().stopping() => {}
            () = sleep(self.backoff) => {}
        }
        self.backoff = (self.backoff * 2).min(self.config.relay_backoff_max);
    }
}

fn record(row: &OutboxRow) -> Outgoing {
    Outgoing {
        topic: event::ENTRIES_TOPIC.to_owned(),
        key: event::key(row.entry.account),
        value: event::encode(&row.entry),
    }
}

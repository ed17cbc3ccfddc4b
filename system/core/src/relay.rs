//! The relay: from the outbox to the log, at least once and in each account's order (D35).
//!
//! In: unsent outbox rows, rings after commits. Out: records on `core.entries`, rows marked sent. Elsewhere: which rows are next and what
//! their records look like (`publishing`), writing the rows (`posting`).
//!
//! Rows are found by being unsent, never by an id above a watermark: ids are given before commits are ordered, and a watermark skips
//! the late committer (R10). After a record that was not delivered nothing later goes through that producer: it is discarded, which
//! waits until nothing of it is in flight, and the scan starts over. Records may then come twice; consumers drop them by serial.
//!
//! At the stop the relay outlives posting: it ends when a scan that began after the last posting finds nothing, or at its limit.
//!
//! Metrics: `core_relay_sent_total`, `core_relay_restarts_total`, `core_relay_errors_total`, `core_relay_in_flight`.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bankstorm_outside::bundle::CoreOutside;
use bankstorm_outside::core_store::OutboxRow;
use bankstorm_outside::log::{EventLog, EventProducer, LogError};
use bankstorm_outside::process::{Metrics, Points};
use futures_util::future::try_join_all;
use tokio::time::{sleep, timeout};

use crate::busy::Busy;
use crate::config::CoreConfig;
use crate::markers;
use crate::publishing::Publishing;

/// The first pause after an error.
const BACKOFF_FIRST: Duration = Duration::from_millis(10);

/// Why a producer is of no more use.
enum Ended {
    /// Posting is over and all of it is published.
    Drained,
    /// Posting is over, and the relay's time too.
    CutOff,
    /// A record was not delivered, or not in time.
    NotDelivered(LogError),
}

/// Runs until posting is over and published, at most `relay_stop_wait` longer than posting.
pub(crate) async fn run<O: CoreOutside>(outside: O, config: CoreConfig, publishing: Arc<Publishing<O>>, posting: Busy) {
    let stop_wait = config.relay_stop_wait;
    let mut limit = pin!(async {
        posting.over().await;
        sleep(stop_wait).await;
    });
    let mut relay = Relay { outside, config, publishing, posting: posting.clone(), backoff: BACKOFF_FIRST };
    loop {
        let producer = tokio::select! {
            biased;
            () = limit.as_mut() => return relay.cut_off(),
            producer = relay.producer() => producer,
        };
        let ended = tokio::select! {
            biased;
            () = limit.as_mut() => Ended::CutOff,
            ended = relay.drain(&producer) => ended,
        };
        producer.discard().await;
        match ended {
            Ended::Drained => return,
            Ended::CutOff => return relay.cut_off(),
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
    publishing: Arc<Publishing<O>>,
    posting: Busy,
    backoff: Duration,
}

impl<O: CoreOutside> Relay<O> {
    /// A producer, however often it takes.
    async fn producer(&mut self) -> <O::Log as EventLog>::Producer {
        loop {
            match self.outside.log().producer().await {
                Ok(producer) => return producer,
                Err(error) => self.back_off("no producer", &error).await,
            }
        }
    }

    /// Sends what is unsent, again and again, through one producer.
    async fn drain(&mut self, producer: &<O::Log as EventLog>::Producer) -> Ended {
        loop {
            // Asked before the scan: what was committed before the answer, the scan sees.
            let last = self.posting.is_over();
            let rows = match self.publishing.next().await {
                Ok(rows) => rows,
                Err(error) => {
                    self.back_off("outbox not read", &error).await;
                    continue;
                }
            };
            if rows.is_empty() {
                if last {
                    return Ended::Drained;
                }
                self.rest().await;
                continue;
            }
            if let Err(ended) = self.send(producer, &rows).await {
                return ended;
            }
            self.backoff = BACKOFF_FIRST;
            if let Err(error) = self.publishing.sent(&rows).await {
                // They are sent again by the next scan, which is harmless.
                self.back_off("rows not marked sent", &error).await;
            }
        }
    }

    /// Produces rows in their order and waits for every acknowledgement.
    async fn send(&self, producer: &<O::Log as EventLog>::Producer, rows: &[OutboxRow]) -> Result<(), Ended> {
        let acks: Vec<_> = rows.iter().map(|row| producer.produce(self.publishing.record(&row.entry))).collect();
        let in_flight = i64::try_from(rows.len()).unwrap_or(i64::MAX);
        self.outside.metrics().gauge("core_relay_in_flight", in_flight);
        let limit = self.config.relay_ack_wait;
        let sent = timeout(limit, try_join_all(acks)).await;
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

    /// Until a commit rings, the poll interval is over or posting is.
    async fn rest(&self) {
        tokio::select! {
            biased;
            () = self.posting.over() => {}
            () = self.publishing.rung() => {}
            () = sleep(self.config.relay_poll) => {}
        }
    }

    async fn back_off(&mut self, what: &str, error: &(dyn std::error::Error + Sync)) {
        self.outside.metrics().count("core_relay_errors_total", 1);
        tracing::warn!(what, %error, pause = ?self.backoff, "the relay pauses");
        sleep(self.backoff).await;
        self.backoff = (self.backoff * 2).min(self.config.relay_backoff_max);
    }

    fn cut_off(&self) {
        let limit = self.config.relay_stop_wait;
        tracing::warn!(relay_stop_wait = ?limit, "the relay ends with the outbox not published; the next start goes on");
    }
}

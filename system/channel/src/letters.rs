//! Dead letters: records that could not be applied leave the partition's way, and nothing is forgotten (D1-D3).
//!
//! In: a record and why it failed. Out: a letter on the topic, then its row with the marks of its account, in this order (R17): a crash in
//! between brings the record again, and a second letter of one record is no harm. Elsewhere: what counts as a failure (`advance::error`),
//! when a record is parked (`workers`), how a letter is driven again (`redrive`).
//!
//! A letter says no more than "this account has to reach this serial". Later records of the account are not diverted: they see the gap and
//! pull from core, which heals the account and closes the letter (D3).
//!
//! | counter | counts |
//! |---|---|
//! | `channel_dead_letters_total` | letters parked |
//! | `channel_letter_failures_total` | attempts at it that the log or the store refused |
//! | `channel_dropped_total` | records dropped instead: 0 unless a protection is off (P18) |

mod redrive;

use std::sync::Arc;

use bankstorm_contracts::dead_letter::{self, Class, DeadLetter, hex};
use bankstorm_contracts::event::DEAD_LETTERS_TOPIC;
use bankstorm_contracts::{AccountNo, Seq};
use bankstorm_outside::bundle::ChannelOutside;
use bankstorm_outside::channel_store::Letter;
use bankstorm_outside::log::{EventLog, EventProducer, Outgoing, TopicPartition};
use bankstorm_outside::process::{Metrics, Points};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::advance::{AdvanceError, Advancer, Origin};
use crate::config::{ChannelConfig, DeadLetters};
use crate::markers;

pub(crate) use redrive::Redrive;

type ProducerOf<O> = <<O as ChannelOutside>::Log as EventLog>::Producer;

/// A record that failed, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failed {
    /// Where it lay.
    pub(crate) at: TopicPartition,
    /// Its offset there.
    pub(crate) offset: i64,
    /// Its key.
    pub(crate) key: Vec<u8>,
    /// Its value.
    pub(crate) value: Vec<u8>,
    /// Whose it is, where that can be read.
    pub(crate) account: Option<AccountNo>,
    /// Its serial, where that can be read.
    pub(crate) seq: Option<Seq>,
    /// Whether trying again may help.
    pub(crate) class: Class,
    /// What failed, in a word.
    pub(crate) code: String,
    /// What failed, for people.
    pub(crate) detail: String,
    /// How often it was tried.
    pub(crate) attempts: u32,
}

impl Failed {
    fn record(&self) -> Outgoing {
        let letter = DeadLetter {
            topic: self.at.topic.clone(),
            partition: self.at.partition,
            offset: self.offset,
            account: self.account,
            seq: self.seq,
            class: self.class,
            code: self.code.clone(),
            detail: self.detail.clone(),
            attempts: self.attempts,
            key: hex(&self.key),
            value: hex(&self.value),
        };
        Outgoing { topic: DEAD_LETTERS_TOPIC.to_owned(), key: self.key.clone(), value: dead_letter::encode(&letter) }
    }

    fn row(&self) -> Letter {
        Letter {
            topic: self.at.topic.clone(),
            partition: self.at.partition,
            offset: self.offset,
            account: self.account,
            seq: self.seq,
            class: self.class,
            code: self.code.clone(),
            // What a database keeps as text has no zero byte.
            detail: self.detail.replace('\0', "?"),
            attempts: self.attempts,
        }
    }
}

/// Where records that failed go to. One producer a process, replaced when it failed (D35).
pub(crate) struct Letters<O: ChannelOutside> {
    outside: O,
    config: ChannelConfig,
    advancer: Arc<Advancer<O>>,
    producer: Mutex<Option<ProducerOf<O>>>,
}

impl<O: ChannelOutside> Letters<O> {
    /// Letters whose rows are written through `advancer`.
    pub(crate) fn new(outside: O, config: ChannelConfig, advancer: Arc<Advancer<O>>) -> Self {
        Self { outside, config, advancer, producer: Mutex::new(None) }
    }

    /// Parks a record. `sent` remembers between attempts that the topic has it. The one place that decides what becomes of it (P18).
    pub(crate) async fn park(&self, origin: &Origin, failed: &Failed, sent: &mut bool) -> Result<(), AdvanceError> {
        match self.config.dead_letters {
            DeadLetters::Topic => {}
            DeadLetters::Drop => {
                self.outside.metrics().count("channel_dropped_total", 1);
                return Ok(());
            }
        }
        let parked = self.try_park(origin, failed, sent).await;
        if parked.is_err() {
            self.outside.metrics().count("channel_letter_failures_total", 1);
        }
        parked
    }

    async fn try_park(&self, origin: &Origin, failed: &Failed, sent: &mut bool) -> Result<(), AdvanceError> {
        if !*sent {
            self.send(failed).await?;
            *sent = true;
        }
        let parked = self.advancer.park(origin, failed.row()).await?;
        self.outside.metrics().count("channel_dead_letters_total", 1);
        let points = self.outside.points();
        points.reached(markers::PARKED);
        if parked.again {
            points.reached(markers::LETTER_AGAIN);
        }
        if parked.overtaken {
            points.reached(markers::LETTER_OVERTAKEN);
        }
        Ok(())
    }

    /// Produces the letter and waits for the acknowledgement.
    async fn send(&self, failed: &Failed) -> Result<(), AdvanceError> {
        let refused = |detail: String| AdvanceError::Letter(detail);
        let limit = self.config.letter_limit;
        let mut producer = self.producer.lock().await;
        if producer.is_none() {
            let made = timeout(limit, self.outside.log().producer()).await;
            let made = made.map_err(|_| refused(format!("no producer within {limit:?} (letter_limit)")))?;
            *producer = Some(made.map_err(|error| refused(error.to_string()))?);
        }
        let acknowledged = producer.as_ref().expect("it was just made").produce(failed.record());
        let error = match timeout(limit, acknowledged).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no acknowledgement within {limit:?} (letter_limit)"),
        };
        // Nothing later may go through this one. What it may still deliver is a second letter at worst.
        if let Some(failed) = producer.take()
            && timeout(limit, failed.discard()).await.is_err()
        {
            tracing::warn!(?limit, "giving up a producer met its limit (letter_limit)");
        }
        Err(refused(error))
    }
}

#[cfg(test)]
mod tests;

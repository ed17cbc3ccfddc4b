//! The log with a bug, or without.
//!
//! In: the model, a bug. Out: the port. Elsewhere: what each bug does (its own file), the model (`model::log`).

use std::future::Future;

use bankstorm_outside::log::{
    ConsumerEvent, Delivered, EventConsumer, EventLog, EventProducer, LogError, Outgoing, TopicPartition,
};

use super::keeps_failed_producer::Kept;
use super::{Planted, acks_early, highest_offset, offset_before_apply};
use crate::model::log::{ModelConsumer, ModelLog, ModelProducer};

/// The log as one process sees it.
#[derive(Clone)]
pub struct Log {
    inner: ModelLog,
    planted: Option<Planted>,
}

impl Log {
    /// The model, with a bug or without.
    pub const fn new(inner: ModelLog, planted: Option<Planted>) -> Self {
        Self { inner, planted }
    }

    /// The model.
    pub const fn model(&self) -> &ModelLog {
        &self.inner
    }
}

impl EventLog for Log {
    type Producer = Producer;
    type Consumer = Consumer;

    async fn producer(&self) -> Result<Producer, LogError> {
        let inner = self.inner.producer().await?;
        Ok(Producer(match self.planted {
            Some(Planted::AcksEarly) => Sends::Early(inner),
            Some(Planted::KeepsFailedProducer) => Sends::Kept(Kept::new(self.inner.clone(), inner)),
            _ => Sends::Plain(inner),
        }))
    }

    async fn consumer(&self, group: &str, topics: &[&str]) -> Result<Consumer, LogError> {
        let inner = self.inner.consumer(group, topics).await?;
        Ok(match self.planted {
            Some(Planted::HighestOffset) => Consumer { inner, takes: Takes::Noting(highest_offset::Taken::default()) },
            Some(Planted::OffsetBeforeApply) => {
                Consumer { inner, takes: Takes::Committing(offset_before_apply::Taking::default()) }
            }
            _ => Consumer { inner, takes: Takes::Plainly },
        })
    }
}

/// A producer.
pub struct Producer(Sends);

enum Sends {
    Plain(ModelProducer),
    Early(ModelProducer),
    Kept(Kept),
}

/// What the caller of `produce` waits for.
enum Waits<Plain, Later> {
    Acknowledged(Plain),
    Nothing(Delivered),
    Later(Later),
}

impl EventProducer for Producer {
    fn produce(&self, record: Outgoing) -> impl Future<Output = Result<Delivered, LogError>> + Send + 'static {
        let waits = match &self.0 {
            Sends::Plain(inner) => Waits::Acknowledged(inner.produce(record)),
            Sends::Early(inner) => Waits::Nothing(acks_early::produce(inner, record)),
            Sends::Kept(kept) => Waits::Later(kept.produce(record)),
        };
        async move {
            match waits {
                Waits::Acknowledged(answer) => answer.await,
                Waits::Nothing(delivered) => Ok(delivered),
                Waits::Later(answer) => answer.await,
            }
        }
    }

    async fn discard(self) {
        match self.0 {
            Sends::Plain(inner) | Sends::Early(inner) => inner.discard().await,
            Sends::Kept(kept) => kept.discard().await,
        }
    }
}

/// A member of a group.
pub struct Consumer {
    inner: ModelConsumer,
    takes: Takes,
}

enum Takes {
    Plainly,
    Noting(highest_offset::Taken),
    Committing(offset_before_apply::Taking),
}

/// What the caller of `commit` waits for.
enum Commits<Plain> {
    Plainly(Plain),
    Instead(highest_offset::Committing),
    Already,
}

impl EventConsumer for Consumer {
    async fn next(&mut self) -> Result<ConsumerEvent, LogError> {
        match &mut self.takes {
            Takes::Plainly => self.inner.next().await,
            Takes::Noting(taken) => {
                let event = self.inner.next().await?;
                taken.note(&event);
                Ok(event)
            }
            Takes::Committing(taking) => taking.next(&mut self.inner).await,
        }
    }

    fn commit(&self, offsets: &[(TopicPartition, i64)]) -> impl Future<Output = Result<(), LogError>> + Send + 'static {
        let commits = match &self.takes {
            Takes::Plainly => Commits::Plainly(self.inner.commit(offsets)),
            Takes::Noting(taken) => Commits::Instead(taken.commit(&self.inner, offsets)),
            Takes::Committing(_) => Commits::Already,
        };
        async move {
            match commits {
                Commits::Plainly(committing) => committing.await,
                Commits::Instead(committing) => committing.await,
                Commits::Already => Ok(()),
            }
        }
    }

    fn pause(&self, partitions: &[TopicPartition]) -> Result<(), LogError> {
        self.inner.pause(partitions)
    }

    fn resume(&self, partitions: &[TopicPartition]) -> Result<(), LogError> {
        self.inner.resume(partitions)
    }

    async fn close(self) {
        self.inner.close().await;
    }
}

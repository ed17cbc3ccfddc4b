//! `highest_offset`: what is committed is the highest offset taken in, whatever is still in work below it.
//!
//! People do this by keeping one number per partition beside several workers.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;

use bankstorm_outside::log::{ConsumerEvent, EventConsumer, LogError, TopicPartition};

use crate::model::log::ModelConsumer;

/// A commit under way.
pub(super) type Committing = Pin<Box<dyn Future<Output = Result<(), LogError>> + Send>>;

/// The offset after the last record taken in, per partition.
#[derive(Default)]
pub(super) struct Taken(BTreeMap<TopicPartition, i64>);

impl Taken {
    /// Hears of an event.
    pub(super) fn note(&mut self, event: &ConsumerEvent) {
        match event {
            ConsumerEvent::Record(record) => {
                self.0.insert(record.at.clone(), record.offset + 1);
            }
            ConsumerEvent::Assigned(assignment) => assignment.partitions.iter().for_each(|at| {
                self.0.remove(at);
            }),
            ConsumerEvent::Revoked { .. } | ConsumerEvent::Lost(_) => {}
        }
    }

    /// Commits what was taken in instead of the watermarks.
    pub(super) fn commit(&self, inner: &ModelConsumer, watermarks: &[(TopicPartition, i64)]) -> Committing {
        let instead = |(at, low): &(TopicPartition, i64)| (at.clone(), self.0.get(at).copied().unwrap_or(*low));
        let offsets: Vec<_> = watermarks.iter().map(instead).collect();
        Box::pin(inner.commit(&offsets))
    }
}

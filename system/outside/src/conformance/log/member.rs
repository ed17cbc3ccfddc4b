//! A member that does what a service does: it keeps account of its partitions, acknowledges revocations, collects records.
//!
//! In: events. Out: what it owns and what it saw. Elsewhere: the cases (`order`, `groups`).

use std::collections::{BTreeMap, BTreeSet};

use tokio::time::timeout;

use super::LIMIT;
use crate::log::{ConsumerEvent, Delivered, EventConsumer, EventLog, EventProducer, Outgoing, Record, TopicPartition};

/// What a member does with a revocation before it acknowledges it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum OnRevoke {
    /// Nothing.
    Acknowledge,
    /// Commits everything that it saw of the revoked partitions.
    Commit,
}

/// A member of a group.
pub(super) struct Member<C> {
    pub(super) consumer: C,
    pub(super) owned: BTreeSet<i32>,
    pub(super) seen: Vec<Record>,
    /// Partitions in the order in which they were revoked.
    pub(super) revoked: Vec<i32>,
    /// The generations that it was told, one per assignment.
    pub(super) generations: Vec<i32>,
    on_revoke: OnRevoke,
}

impl<C: EventConsumer> Member<C> {
    pub(super) async fn join<L: EventLog<Consumer = C>>(
        log: &L,
        group: &str,
        topic: &str,
        on_revoke: OnRevoke,
    ) -> Self {
        let consumer = log.consumer(group, &[topic]).await.expect("a member can be made");
        Self {
            consumer,
            owned: BTreeSet::new(),
            seen: Vec::new(),
            revoked: Vec::new(),
            generations: Vec::new(),
            on_revoke,
        }
    }

    /// Takes one event in.
    pub(super) async fn take(&mut self, event: ConsumerEvent) {
        match event {
            ConsumerEvent::Assigned(assignment) => {
                if let Some(generation) = assignment.generation {
                    let before = self.generations.last().copied();
                    assert!(
                        before.is_none_or(|before| before < generation),
                        "generation {generation} after {before:?}"
                    );
                    self.generations.push(generation);
                }
                for at in assignment.partitions {
                    assert!(self.owned.insert(at.partition), "partition {} was assigned twice", at.partition);
                }
            }
            ConsumerEvent::Revoked { partitions, done } => {
                if self.on_revoke == OnRevoke::Commit {
                    let offsets = self.ends_of(&partitions);
                    self.consumer.commit(&offsets).await.expect("a commit inside a revocation is taken");
                }
                for at in &partitions {
                    assert!(
                        self.owned.remove(&at.partition),
                        "partition {} was revoked without being assigned",
                        at.partition
                    );
                    self.revoked.push(at.partition);
                }
                // Nobody waits any more when the log's limit was hit; what follows from that is what the case looks at.
                let _ = done.send(());
            }
            ConsumerEvent::Lost(partitions) => {
                for at in partitions {
                    self.owned.remove(&at.partition);
                }
            }
            ConsumerEvent::Record(record) => {
                let partition = record.at.partition;
                assert!(self.owned.contains(&partition), "a record of partition {partition}, which is not assigned");
                self.seen.push(record);
            }
        }
    }

    /// Takes events until `enough`.
    pub(super) async fn until(&mut self, what: &str, enough: impl Fn(&Self) -> bool + Send) {
        while !enough(self) {
            let next = timeout(LIMIT, self.consumer.next()).await;
            let event = next.unwrap_or_else(|_| panic!("limit of {LIMIT:?} hit while waiting for: {what}"));
            self.take(event.expect("the consumer is of use")).await;
        }
    }

    /// The generation of which it is, as far as it knows.
    pub(super) fn generation(&self) -> Option<i32> {
        self.generations.last().copied()
    }

    /// Commits everything that was seen.
    pub(super) async fn commit_seen(&mut self) {
        let partitions: Vec<_> = self.seen.iter().map(|record| record.at.clone()).collect();
        let offsets = self.ends_of(&partitions);
        self.consumer.commit(&offsets).await.expect("a commit for own partitions is taken");
    }

    /// One past the last offset seen, for those of `partitions` of which anything was seen.
    fn ends_of(&self, partitions: &[TopicPartition]) -> Vec<(TopicPartition, i64)> {
        let mut ends = BTreeMap::new();
        for record in self.seen.iter().filter(|record| partitions.contains(&record.at)) {
            ends.insert(record.at.clone(), record.offset + 1);
        }
        ends.into_iter().collect()
    }

    /// The values seen, in the order in which they came.
    pub(super) fn values(&self) -> Vec<String> {
        self.seen.iter().map(|record| text(&record.value)).collect()
    }
}

/// Takes events of two members until `enough`. Both are driven all the time: a rebalance needs the acknowledgement of either.
pub(super) async fn both<C: EventConsumer>(
    first: &mut Member<C>,
    second: &mut Member<C>,
    what: &str,
    enough: impl Fn(&Member<C>, &Member<C>) -> bool + Send,
) {
    while !enough(first, second) {
        let next = timeout(LIMIT, async {
            tokio::select! {
                biased;
                event = first.consumer.next() => (true, event),
                event = second.consumer.next() => (false, event),
            }
        });
        let (is_first, event) =
            next.await.unwrap_or_else(|_| panic!("limit of {LIMIT:?} hit while waiting for: {what}"));
        let event = event.expect("the consumer is of use");
        if is_first { first.take(event).await } else { second.take(event).await }
    }
}

/// Whether two members share `partitions` partitions, each having some.
pub(super) fn shared<C>(first: &Member<C>, second: &Member<C>, partitions: usize) -> bool {
    !first.owned.is_empty()
        && !second.owned.is_empty()
        && first.owned.is_disjoint(&second.owned)
        && first.owned.len() + second.owned.len() == partitions
}

/// A record with a key and a value of plain text.
pub(super) fn outgoing(topic: &str, key: &str, value: impl ToString) -> Outgoing {
    Outgoing { topic: topic.to_owned(), key: key.as_bytes().to_vec(), value: value.to_string().into_bytes() }
}

/// Produces `(key, value)` pairs, all handed over before the first answer is awaited.
pub(super) async fn produce<P: EventProducer>(
    producer: &P,
    topic: &str,
    records: impl IntoIterator<Item = (String, String)>,
) -> Vec<Delivered> {
    let handed: Vec<_> =
        records.into_iter().map(|(key, value)| producer.produce(outgoing(topic, &key, value))).collect();
    let mut delivered = Vec::with_capacity(handed.len());
    for answer in handed {
        delivered.push(acknowledged(answer).await);
    }
    delivered
}

/// Awaits an acknowledgement.
pub(super) async fn acknowledged(
    answer: impl Future<Output = Result<Delivered, crate::log::LogError>> + Send,
) -> Delivered {
    let answer = timeout(LIMIT, answer).await;
    answer.unwrap_or_else(|_| panic!("limit of {LIMIT:?} hit while waiting for an acknowledgement")).expect("delivered")
}

/// `count` records over `keys` keys, with the numbers from `first` on as values.
pub(super) fn numbered(first: usize, count: usize, keys: usize) -> impl Iterator<Item = (String, String)> {
    (first..first + count).map(move |number| (format!("key-{}", number % keys), number.to_string()))
}

/// Bytes as text.
pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("cases use plain text")
}

//! A log in memory: takes records at once, and is away or refuses them when a test says so. It outlives the process.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard};

use bankstorm_contracts::{Entry, event};
use bankstorm_outside::log::{
    ConsumerEvent, Delivered, EventConsumer, EventLog, EventProducer, LogError, Outgoing, TopicPartition,
};
use tokio::sync::oneshot;

type Acknowledgement = Result<Delivered, LogError>;

#[derive(Default)]
struct Inner {
    away: bool,
    /// How many of the next records are refused at their hand-over.
    refuses: usize,
    records: Vec<Outgoing>,
    /// Handed over while it was away, with their producers.
    queue: VecDeque<(usize, Outgoing, oneshot::Sender<Acknowledgement>)>,
    producers: usize,
}

#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Inner>>);

/// A producer. Dropped without a discard, as by a kill, it leaves nothing behind.
pub(crate) struct Producer {
    log: Log,
    number: usize,
}

impl Log {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().expect("no panic holds it")
    }

    /// From now on records wait.
    pub(crate) fn goes_away(&self) {
        self.inner().away = true;
    }

    /// What waits is appended, in the order of the hand-overs, and what comes at once.
    pub(crate) fn comes_back(&self) {
        let mut inner = self.inner();
        inner.away = false;
        for (_, record, answer) in std::mem::take(&mut inner.queue) {
            let _gone = answer.send(inner.append(record));
        }
    }

    /// The next record is refused.
    pub(crate) fn refuses_once(&self) {
        self.inner().refuses += 1;
    }

    /// What was appended.
    pub(crate) fn records(&self) -> Vec<Outgoing> {
        self.inner().records.clone()
    }

    /// The entries that it has, in the order of their records.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.records().iter().map(|record| event::decode(&record.value).expect("an entry")).collect()
    }

    /// How many producers there ever were.
    pub(crate) fn producers(&self) -> usize {
        self.inner().producers
    }

    fn forget(&self, number: usize) {
        self.inner().queue.retain(|(of, ..)| *of != number);
    }
}

impl Inner {
    fn append(&mut self, record: Outgoing) -> Acknowledgement {
        self.records.push(record);
        Ok(Delivered { partition: 0, offset: i64::try_from(self.records.len()).expect("few") })
    }
}

impl EventLog for Log {
    type Producer = Producer;
    type Consumer = NoConsumer;

    async fn producer(&self) -> Result<Producer, LogError> {
        let mut inner = self.inner();
        inner.producers += 1;
        Ok(Producer { log: self.clone(), number: inner.producers })
    }

    async fn consumer(&self, _group: &str, _topics: &[&str]) -> Result<NoConsumer, LogError> {
        Err(LogError::Other("core consumes nothing".to_owned()))
    }
}

impl EventProducer for Producer {
    fn produce(&self, record: Outgoing) -> impl Future<Output = Acknowledgement> + Send + 'static {
        let (answer, acknowledged) = oneshot::channel();
        {
            let mut inner = self.log.inner();
            if inner.refuses > 0 {
                inner.refuses -= 1;
            } else if inner.away {
                inner.queue.push_back((self.number, record, answer));
            } else {
                let _here = answer.send(inner.append(record));
            }
        }
        async move { acknowledged.await.unwrap_or_else(|_| Err(LogError::NotDelivered("refused".to_owned()))) }
    }

    async fn discard(self) {
        self.log.forget(self.number);
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        self.log.forget(self.number);
    }
}

/// There is none.
pub(crate) enum NoConsumer {}

impl EventConsumer for NoConsumer {
    async fn next(&mut self) -> Result<ConsumerEvent, LogError> {
        match *self {}
    }

    #[expect(clippy::manual_async_fn, reason = "the future must not borrow the consumer")]
    fn commit(
        &self,
        _offsets: &[(TopicPartition, i64)],
    ) -> impl Future<Output = Result<(), LogError>> + Send + 'static {
        async { Ok(()) }
    }

    fn pause(&self, _partitions: &[TopicPartition]) -> Result<(), LogError> {
        match *self {}
    }

    fn resume(&self, _partitions: &[TopicPartition]) -> Result<(), LogError> {
        match *self {}
    }

    async fn close(self) {}
}

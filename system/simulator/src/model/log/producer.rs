//! A producer of the model log.
//!
//! In: records, in the order of calls. Out: appended records, acknowledgements. Elsewhere: what fails when (`ModelLog::produces`).
//!
//! A task stands for the network: it takes what was handed over, needs a moment, appends, needs another moment, answers. Whatever a
//! producer had under way when it was dropped may still be appended; what was not under way is not.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bankstorm_outside::log::{Delivered, EventProducer, LogError, Outgoing};
use tokio::sync::{Notify, oneshot};

use super::{ModelLog, ProduceFault, Stored};

/// What one trip carries at most: as in Kafka, an idempotent producer has several batches under way, in order.
const BATCH: usize = 16;

type Acknowledgement = Result<Delivered, LogError>;

struct Handed {
    record: Outgoing,
    answer: oneshot::Sender<Acknowledgement>,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Handed>,
    /// Records may be on their way.
    busy: bool,
    failed: bool,
    closed: bool,
}

#[derive(Default)]
struct Line {
    state: Mutex<State>,
    /// Something was handed over, or the producer was given up.
    bell: Notify,
    /// Nothing is on its way any more.
    idle: Notify,
}

impl Line {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next batch; `None` at the end.
    async fn take(&self) -> Option<Vec<Handed>> {
        loop {
            let rung = self.bell.notified();
            {
                let mut state = self.state();
                if state.closed {
                    return None;
                }
                if !state.queue.is_empty() {
                    state.busy = true;
                    let count = state.queue.len().min(BATCH);
                    return Some(state.queue.drain(..count).collect());
                }
            }
            rung.await;
        }
    }

    fn rest(&self) {
        self.state().busy = false;
        self.idle.notify_one();
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
            let _ = handed.answer.send(Err(LogError::NotDelivered("the producer was given up".to_owned())));
        }
        self.bell.notify_one();
    }
}

/// An idempotent producer on virtual time.
pub struct ModelProducer {
    line: Arc<Line>,
}

impl ModelProducer {
    pub(super) fn start(log: ModelLog) -> Self {
        let line = Arc::new(Line::default());
        let carried = Arc::clone(&line);
        #[expect(clippy::disallowed_methods, reason = "the network is no task of any process")]
        tokio::spawn(async move {
            while let Some(batch) = carried.take().await {
                log.inner.chance.pause().await;
                let answers: Vec<_> = batch.into_iter().map(|handed| append(&log, &carried, handed)).collect();
                log.state().wake_all();
                log.inner.chance.pause().await;
                for (answer, result) in answers {
                    let _ = answer.send(result);
                }
                carried.rest();
            }
        });
        Self { line }
    }
}

fn append(log: &ModelLog, line: &Line, handed: Handed) -> (oneshot::Sender<Acknowledgement>, Acknowledgement) {
    let Handed { record, answer } = handed;
    let lost = |why: &str| Err(LogError::NotDelivered(why.to_owned()));
    if line.state().failed {
        return (answer, lost("the producer has failed"));
    }
    let fault = log.inner.produces.call();
    line.state().failed = matches!(fault, Some(ProduceFault::Before | ProduceFault::After));
    if fault == Some(ProduceFault::Before) {
        return (answer, lost("the record was refused"));
    }
    let mut state = log.state();
    let Some(partitions) = state.topics.get_mut(&record.topic) else {
        line.state().failed = true;
        return (answer, lost("there is no such topic"));
    };
    let index = partition_of(&record.key, partitions.len());
    let offset = i64::try_from(partitions[index].len()).expect("fewer records than numbers");
    if fault != Some(ProduceFault::Swallowed) {
        partitions[index].push(Stored { key: record.key, value: record.value });
    }
    let partition = i32::try_from(index).expect("a small number");
    match fault {
        Some(ProduceFault::After) => (answer, lost("the acknowledgement was lost")),
        _ => (answer, Ok(Delivered { partition, offset })),
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
        async move {
            receive
                .await
                .unwrap_or_else(|_| Err(LogError::NotDelivered("the producer ended before the answer".to_owned())))
        }
    }

    async fn discard(self) {
        self.line.close();
        loop {
            let idle = self.line.idle.notified();
            if !self.line.state().busy {
                return;
            }
            idle.await;
        }
    }
}

impl Drop for ModelProducer {
    fn drop(&mut self) {
        self.line.close();
    }
}

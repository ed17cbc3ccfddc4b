//! `keeps_failed_producer`: when a record fails, the ones behind it go on through a new producer, and it is tried again later.
//!
//! People do this by retrying each record by itself, or by several requests in flight without idempotence.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bankstorm_outside::log::{Delivered, EventLog, EventProducer, LogError, Outgoing};

use crate::model::log::{ModelLog, ModelProducer};

/// How long a record that failed waits for its next attempt.
const PAUSE: Duration = Duration::from_millis(20);

type Answer = Pin<Box<dyn Future<Output = Result<Delivered, LogError>> + Send>>;

/// The producer of the moment, and how many came before it.
struct Line {
    producer: Arc<ModelProducer>,
    number: u64,
}

/// A producer that goes on.
#[derive(Clone)]
pub(super) struct Kept {
    log: ModelLog,
    line: Arc<Mutex<Line>>,
}

impl Kept {
    pub(super) fn new(log: ModelLog, producer: ModelProducer) -> Self {
        Self { log, line: Arc::new(Mutex::new(Line { producer: Arc::new(producer), number: 0 })) }
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands over now; a record that fails is tried again for as long as somebody waits for it.
    pub(super) fn produce(&self, record: Outgoing) -> Answer {
        let (answer, mut number) = self.hand_over(&record);
        let kept = self.clone();
        Box::pin(async move {
            let mut answered = answer.await;
            while matches!(answered, Err(LogError::NotDelivered(_))) {
                if kept.replace(number).await? {
                    tokio::time::sleep(PAUSE).await;
                }
                let (answer, next) = kept.hand_over(&record);
                number = next;
                answered = answer.await;
            }
            answered
        })
    }

    fn hand_over(&self, record: &Outgoing) -> (Answer, u64) {
        let line = self.line();
        (Box::pin(line.producer.produce(record.clone())), line.number)
    }

    /// A new producer instead of that one; `false` when somebody else was faster.
    async fn replace(&self, number: u64) -> Result<bool, LogError> {
        if self.line().number != number {
            return Ok(false);
        }
        let fresh = Arc::new(self.log.producer().await?);
        let mut line = self.line();
        let first = line.number == number;
        if first {
            *line = Line { producer: fresh, number: number + 1 };
        }
        Ok(first)
    }

    pub(super) async fn discard(self) {
        let Self { log, line } = self;
        drop(log);
        // Whoever still waits for an answer holds the line; then it ends with them.
        let Some(line) = Arc::into_inner(line) else { return };
        let line = line.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(producer) = Arc::into_inner(line.producer) {
            producer.discard().await;
        }
    }
}

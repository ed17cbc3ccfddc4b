//! The offset commit that is under way: one at most, beside everything else.
//!
//! In: watermarks, a consumer. Out: how the commit ended, to whoever waits. Elsewhere: when one begins, what follows from its end
//! (`consumer`).

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bankstorm_outside::log::{EventConsumer, TopicPartition};
use tokio::time::timeout;

/// A partition and the offset below which everything is done.
pub(crate) type Watermarks = Vec<(TopicPartition, i64)>;

/// A commit that ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// What it was about.
    pub(crate) offsets: Watermarks,
    /// Why it failed, if it did.
    pub(crate) result: Result<(), String>,
}

struct Running {
    offsets: Watermarks,
    answer: Pin<Box<dyn Future<Output = Result<(), String>> + Send>>,
}

/// The commit under way, if there is one.
#[derive(Default)]
pub(crate) struct Commits {
    running: Option<Running>,
}

impl Commits {
    /// Begins a commit. Only while none is under way.
    pub(crate) fn begin<C: EventConsumer>(&mut self, consumer: &C, offsets: Watermarks, limit: Duration) {
        debug_assert!(self.running.is_none(), "a second commit could overtake the first");
        let committed = consumer.commit(&offsets);
        let answer = Box::pin(async move {
            match timeout(limit, committed).await {
                Ok(answer) => answer.map_err(|error| error.to_string()),
                Err(_) => Err(format!("no answer within {limit:?} (commit_limit)")),
            }
        });
        self.running = Some(Running { offsets, answer });
    }

    /// Whether a commit is under way.
    pub(crate) const fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Whether a commit is under way that is about any of these partitions.
    pub(crate) fn touches(&self, partitions: &[TopicPartition]) -> bool {
        let offsets = self.running.iter().flat_map(|running| &running.offsets);
        offsets.into_iter().any(|(at, _)| partitions.contains(at))
    }

    /// Waits no longer for the commit under way: nobody can tell how it ends. Whether there was one.
    pub(crate) fn forget(&mut self) -> bool {
        self.running.take().is_some()
    }

    /// The end of the commit under way; never, while there is none. Cancel-safe.
    pub(crate) async fn ended(&mut self) -> Ended {
        let Some(running) = &mut self.running else { return std::future::pending().await };
        let result = running.answer.as_mut().await;
        let offsets = std::mem::take(&mut running.offsets);
        self.running = None;
        Ended { offsets, result }
    }
}

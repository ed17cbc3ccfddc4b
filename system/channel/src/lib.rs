//! The channel: a copy of core's history that serves customers without asking core.
//!
//! In: records of `core.entries`, core's answers to gap fills, page requests. Out: the copy (entries, heads, apply journal), the visible
//! log, pages. Elsewhere: the ports (`outside`), PostgreSQL, Kafka and HTTP (`adapters`).
//!
//! | to read | what it is |
//! |---|---|
//! | [`advance`] | the one way a copy moves forward; its pure rule is [`advance::plan`] |
//! | [`watermark`], [`keys`] | pure: which offset may be committed, which account may be worked |
//! | `partitions` | what one member of the group knows of its partitions |
//! | `workers` | jobs into transactions, several accounts in each, and what is tried again |
//! | `consumer` | the loop: assigned, revoked, lost, records, commits |
//! | `commits` | the offset commit that is under way |
//! | `read` | pages |
//! | [`config`], [`markers`] | what may be set; what the protocol passes |
//!
//! # Records that cannot be applied
//! There are no dead letters yet. A record that fails is tried again with growing pauses, for ever, is counted in
//! `channel_poison_total` and logged; its account waits, others go on, and its partition's offset is not committed past it, so at `span`
//! offsets above it the partition pauses. Nothing is skipped. A record that cannot be read but has an account for its key is repaired
//! instead: its account is brought to core's present head, which contains whatever the record said.

pub mod advance;
mod commits;
pub mod config;
mod consumer;
pub mod keys;
pub mod markers;
mod partitions;
mod read;
pub mod watermark;
mod workers;

use std::sync::Arc;

use bankstorm_contracts::channel_api::{ChannelRequest, ChannelResponse};
use bankstorm_outside::bundle::ChannelOutside;
use bankstorm_outside::process::Scope;
use tokio::sync::Notify;

pub use config::{ChannelConfig, WorkerMode};

/// A running channel.
#[derive(Clone, Debug)]
pub struct Channel<O> {
    outside: O,
    left: Arc<Left>,
}

/// Whether the consumer has left its group for good.
#[derive(Debug, Default)]
pub(crate) struct Left {
    done: std::sync::atomic::AtomicBool,
    changed: Notify,
}

impl Left {
    fn set(&self) {
        self.done.store(true, std::sync::atomic::Ordering::SeqCst);
        self.changed.notify_waiters();
    }

    async fn wait(&self) {
        let mut changed = std::pin::pin!(self.changed.notified());
        changed.as_mut().enable();
        if !self.done.load(std::sync::atomic::Ordering::SeqCst) {
            changed.await;
        }
    }
}

impl<O: ChannelOutside> Channel<O> {
    /// Starts the consumer in the outside's scope. It ends when the scope is asked to stop.
    pub fn start(outside: O, config: ChannelConfig) -> Self {
        let left = Arc::new(Left::default());
        let (outside_too, left_too) = (outside.clone(), Arc::clone(&left));
        outside.scope().spawn("channel-consumer", async move {
            consumer::run(outside_too, config).await;
            left_too.set();
        });
        Self { outside, left }
    }

    /// Answers a customer.
    pub async fn handle(&self, request: ChannelRequest) -> ChannelResponse {
        read::handle(self.outside.store(), request).await
    }

    /// Completes when the consumer has drained, committed and left its group after the scope was asked to stop. Bounded by the
    /// configuration's drain, commit and close limits.
    pub async fn stopped(&self) {
        self.left.wait().await;
    }
}

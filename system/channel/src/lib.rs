//! The channel: a copy of core's history that serves customers without asking core.
//!
//! In: records of `core.entries`, core's answers to gap fills and transfers, requests of customers. Out: the copy (entries, heads, apply
//! journal), transfers, the visible log, pages. Elsewhere: the ports (`outside`), PostgreSQL, Kafka and HTTP (`adapters`).
//!
//! | to read | what it is |
//! |---|---|
//! | [`advance`] | the one way a copy moves forward and a transfer is completed; its pure rule is [`advance::plan`] |
//! | [`transfer`] | a transfer's life: stored, sent, settled; its pure rules are [`transfer::rules`] |
//! | `poller` | transfers that nobody answered for |
//! | [`watermark`], [`keys`] | pure: which offset may be committed, which account may be worked |
//! | `partitions` | what one member of the group knows of its partitions |
//! | `workers` | jobs into transactions, several accounts in each, and what is tried again |
//! | `consumer` | the loop: assigned, revoked, lost, records, commits |
//! | `commits` | the offset commit that is under way |
//! | `read` | pages |
//! | `parts` | what is still running |
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
mod parts;
mod poller;
mod read;
pub mod transfer;
pub mod watermark;
mod workers;

use std::sync::Arc;

use bankstorm_contracts::channel_api::{ChannelRequest, ChannelResponse};
use bankstorm_outside::bundle::ChannelOutside;
use bankstorm_outside::process::Scope;

use advance::Advancer;
use parts::Parts;
use transfer::{Recent, Transfers};

pub use config::{ChannelConfig, DueClock, Guard, NotStarted, Polling, Settling, WorkerMode};

/// A running channel. Clones are handles to the same one.
#[derive(Clone, Debug)]
pub struct Channel<O> {
    outside: O,
    transfers: Arc<Transfers<O>>,
    parts: Arc<Parts>,
}

impl<O: ChannelOutside> Channel<O> {
    /// Starts the consumer, and the poller unless it is off, in the outside's scope. They end when the scope is asked to stop.
    pub fn start(outside: O, config: ChannelConfig) -> Self {
        let parts = Arc::new(Parts::default());
        let recent = Arc::new(Recent::default());
        let advancer = Arc::new(Advancer::new(outside.clone(), &config, Arc::clone(&recent)));
        let transfers =
            Transfers::new(outside.clone(), config.clone(), Arc::clone(&advancer), recent, Arc::clone(&parts));
        let polling = config.polling;
        let (outside_too, part) = (outside.clone(), parts.begin());
        outside.scope().spawn("channel-consumer", async move {
            let _part = part;
            consumer::run(outside_too, config, advancer).await;
        });
        // The one place that decides whether anybody asks for transfers without a verdict (P8).
        if polling == Polling::On {
            let (polled, parts_too, part) = (Arc::clone(&transfers), Arc::clone(&parts), parts.begin());
            outside.scope().spawn("channel-poller", async move {
                let _part = part;
                poller::run(polled, parts_too).await;
            });
        }
        Self { outside, transfers, parts }
    }

    /// Answers a customer.
    pub async fn handle(&self, request: ChannelRequest) -> ChannelResponse {
        match request {
            ChannelRequest::History { account, cursor, limit } => {
                read::handle(self.outside.store(), account, cursor, limit).await
            }
            ChannelRequest::Submit(submit) => self.transfers.submit(submit).await,
            ChannelRequest::Transfer(id) => self.transfers.view(id).await,
        }
    }

    /// Completes when, after the scope was asked to stop, the consumer has drained, committed and left its group, and every transfer in
    /// work is answered for or left to the poller of another instance. Bounded by the configuration's limits.
    pub async fn stopped(&self) {
        self.parts.none().await;
    }
}

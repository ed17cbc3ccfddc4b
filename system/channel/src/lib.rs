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
//! | `ownership` | the generation that the store knows as a partition's owner |
//! | `slots` | pure: which of a partition's slots an account has |
//! | `letters` | records that could not be applied, and how they are driven again |
//! | `read` | pages; core is asked first where the copy may be behind |
//! | `button` | an account synced because its customer says so |
//! | `pulls` | what both of them and the sweep ask core: once for all who wait, a bounded number at once, with a breaker |
//! | `sweep` | copies compared with core though nothing says that they are behind; without a consumer, the only way they hear of news |
//! | `parts` | what is still running |
//! | [`config`], [`markers`] | what may be set; what the protocol passes |
//!
//! # Records that cannot be applied
//! Outages of the store, of core and of the log, and rows that somebody else holds, are waited out: they are nobody's fault, the partition's
//! offset stays, and `span` offsets above it the partition pauses (D38). What is the record's own fault is tried a few times where that may
//! help, and then becomes a dead letter: on the topic `core.entries.dlt`, then as a row that marks its account, and then its offset is done.
//! Later records of the account see the gap and pull from core (D3); what nobody healed so is driven again.

pub mod advance;
mod button;
mod commits;
pub mod config;
mod consumer;
pub mod keys;
mod letters;
pub mod markers;
mod ownership;
mod partitions;
mod parts;
mod poller;
mod pulls;
mod read;
mod slots;
mod sweep;
#[cfg(test)]
mod sync_tests;
pub mod transfer;
pub mod watermark;
mod workers;

use std::sync::Arc;

use bankstorm_contracts::channel_api::{ChannelRequest, ChannelResponse};
use bankstorm_contracts::problem::{Problem, ProblemKind};
use bankstorm_outside::bundle::ChannelOutside;
use bankstorm_outside::process::Scope;

use advance::Advancer;
use button::Button;
use letters::Redrive;
use parts::Parts;
use pulls::Pulls;
use read::Reads;
use sweep::Sweep;
use transfer::{Recent, Transfers};

pub use config::{
    Applying, ChannelConfig, Cursor, DeadLetters, DueClock, Gaps, GenerationFence, Guard, HistorySource, HoleMarker,
    NoShare, NotStarted, Offsets, Polling, ReadSync, Redriving, Retrying, Settling, Share, SlotHash, Sweeping,
    SyncMode, SyncWrites, WorkerMode,
};

/// A running channel. Clones are handles to the same one.
#[derive(Clone, Debug)]
pub struct Channel<O> {
    transfers: Arc<Transfers<O>>,
    reads: Arc<Reads<O>>,
    button: Arc<Button<O>>,
    redrive: Arc<Redrive<O>>,
    parts: Arc<Parts>,
    share: Option<Share>,
}

impl<O: ChannelOutside> Channel<O> {
    /// Starts the consumer or what takes its place, the poller and the sweep unless they are off, in the outside's scope. They end when the
    /// scope is asked to stop.
    pub fn start(outside: O, config: ChannelConfig) -> Self {
        let parts = Arc::new(Parts::default());
        let recent = Arc::new(Recent::default());
        let advancer = Arc::new(Advancer::new(outside.clone(), &config, Arc::clone(&recent)));
        let transfers =
            Transfers::new(outside.clone(), config.clone(), Arc::clone(&advancer), recent, Arc::clone(&parts));
        let pulls = Pulls::new(outside.clone(), config.clone(), Arc::clone(&advancer), Arc::clone(&parts));
        let reads = Arc::new(Reads::new(outside.clone(), config.clone(), Arc::clone(&pulls)));
        let button = Arc::new(Button::new(outside.clone(), config.clone(), Arc::clone(&pulls)));
        let redrive = Redrive::new(outside.clone(), config.clone(), Arc::clone(&advancer), Arc::clone(&parts));
        let (driving, part) = (Arc::clone(&redrive), parts.begin());
        outside.scope().spawn("channel-letters", async move {
            let _part = part;
            driving.run().await;
        });
        start_sweep(&outside, &config, &pulls, &parts);
        let (polling, share) = (config.polling, config.share);
        // The one place that decides how the copy hears of news (A20).
        if config.sync == SyncMode::Events {
            let (outside_too, part) = (outside.clone(), parts.begin());
            outside.scope().spawn("channel-consumer", async move {
                let _part = part;
                consumer::run(outside_too, config, advancer).await;
            });
        }
        // The one place that decides whether anybody asks for transfers without a verdict (P8).
        if polling == Polling::On {
            let (polled, parts_too, part) = (Arc::clone(&transfers), Arc::clone(&parts), parts.begin());
            outside.scope().spawn("channel-poller", async move {
                let _part = part;
                poller::run(polled, parts_too).await;
            });
        }
        Self { transfers, reads, button, redrive, parts, share }
    }

    /// Answers a customer.
    pub async fn handle(&self, request: ChannelRequest) -> ChannelResponse {
        if let Some(problem) = self.share.and_then(|share| elsewhere(&share, &request)) {
            return ChannelResponse::Problem(problem);
        }
        match request {
            ChannelRequest::History { account, cursor, limit } => self.reads.handle(account, cursor, limit).await,
            ChannelRequest::Submit(submit) => self.transfers.submit(submit).await,
            ChannelRequest::Transfer(id) => self.transfers.view(id).await,
            ChannelRequest::Sync(account) => self.button.press(account).await,
            ChannelRequest::Redrive(request) => self.redrive.handle(request).await,
        }
    }

    /// Completes when, after the scope was asked to stop, the consumer has drained, committed and left its group, and every transfer in
    /// work is answered for or left to the poller of another instance. Bounded by the configuration's limits.
    pub async fn stopped(&self) {
        self.parts.none().await;
    }
}

/// What to answer about an account of another database (A21): its history is not here, and neither is its customer's guard.
fn elsewhere(share: &Share, request: &ChannelRequest) -> Option<Problem> {
    let told = |account| format!("account {account} lies in database {} of the channels", share.database_of(account));
    match request {
        ChannelRequest::History { account, .. } | ChannelRequest::Sync(account) if !share.owns(*account) => {
            Some(Problem::new(ProblemKind::NotFound, told(*account)))
        }
        ChannelRequest::Submit(submit) if !share.owns(submit.from) => {
            Some(Problem::bad_field("from", told(submit.from)))
        }
        _ => None,
    }
}

/// Starts what compares copies with core. The one place that decides whether anybody does (P16): where nobody consumes, somebody must.
fn start_sweep<O: ChannelOutside>(outside: &O, config: &ChannelConfig, pulls: &Arc<Pulls<O>>, parts: &Arc<Parts>) {
    let sweep = Sweep::new(outside.clone(), config.clone(), Arc::clone(pulls));
    let (sync, sweeping, part) = (config.sync, config.sweeping, parts.begin());
    outside.scope().spawn("channel-sweep", async move {
        let _part = part;
        match (sync, sweeping) {
            (SyncMode::Poll(every), _) => sweep.poll(every).await,
            (SyncMode::Events, Sweeping::On) => sweep.run().await,
            (SyncMode::Events, Sweeping::Off) => {}
        }
    });
}

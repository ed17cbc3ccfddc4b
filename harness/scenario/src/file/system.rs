//! The bank as it is typed, under `[system]`.
//!
//! In: TOML. Out: [`System`]. Elsewhere: defaults and limits (`resolve/system`), what may be switched off (`protections`).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::protections;
use crate::units::DurationText;

/// The bank.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct System {
    /// Partitions of the topic of entries; 4 unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partitions: Option<i64>,
    /// Channel processes, which share the partitions; 2 unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel_instances: Option<i64>,
    /// Workers per assigned partition; 100 unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workers: Option<i64>,
    /// How a consumer spreads its work; `keyed_batched` unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker_mode: Option<WorkerMode>,
    /// Databases that the channels share, 1 to 4 and no more than channels: each customer's accounts lie in one of them; 1 unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel_databases: Option<i64>,
    /// How a channel learns of new entries; `events` unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync: Option<SyncMode>,
    /// Whom a customer's history is read from; `copy` unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history_source: Option<HistorySource>,
    /// For which accounts a read asks core first; `pending` unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_sync: Option<ReadSync>,
    /// How long such a read may wait for core before it answers as it is; 300ms unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_budget: Option<DurationText>,
    /// Questions to core at once that reads and the button may have under way, of each channel; 8 unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub core_pulls: Option<i64>,
    /// How often the button asks core about one account; 1s unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manual_every: Option<DurationText>,
    /// Attempts of a record before it becomes a dead letter; 3 unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead_letter_attempts: Option<i64>,
    /// Time between two looks of a channel at a stretch of its heads and core's, and at those marked dirty; 1s unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sweep_every: Option<DurationText>,
    /// Waited once per account sync, before its transaction; 0s unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync_cost: Option<DurationText>,
    /// Kafka brokers, 1 or 3; 1 unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kafka_brokers: Option<i64>,
    /// Of whom a channel takes one transfer at a time; `user` unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guard: Option<Guard>,
    /// How long a channel waits for core's answer to a transfer; 3s unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_timeout: Option<DurationText>,
    /// How long core may still post a transfer; 5s unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validity: Option<DurationText>,
    /// From when the validity counts; `relative` unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Deadline>,
    /// The most requests that core posts in one transaction; 200 unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub core_batch: Option<i64>,
    /// Transactions in which core posts at once; 4 unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub core_slots: Option<i64>,
    /// What each batch that core posts costs beyond the database's time, to have a core that sustains less; 0s unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub core_posting_cost: Option<DurationText>,
    /// The most requests that core takes on and has not answered yet, beyond which it refuses; 800 unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub core_admitted: Option<i64>,
    /// The most of them that one caller may have; 400 unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller_max: Option<i64>,
    /// The age from which core asks another bank that has not answered to cancel a transfer; 1m unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outbound_expiry: Option<DurationText>,
    /// Protections to switch off, each beside `allow_unsafe = true` only.
    #[serde(default)]
    pub protections: protections::Typed,
}

/// Of whom a channel takes one transfer at a time.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Guard {
    /// Of each customer.
    User,
    /// Of each account that pays.
    Account,
}

/// From when a transfer's validity counts.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Deadline {
    /// From its arrival at core, by core's clock.
    Relative,
    /// From when the channel began it, by the channel's clock, which core then trusts.
    Absolute,
}

/// How a channel's consumer spreads its work.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WorkerMode {
    /// One record after the other.
    Serial,
    /// Workers with a queue each, which an account's hash picks.
    Slots,
    /// A queue per account, one transaction an account.
    Keyed,
    /// A queue per account, several accounts a transaction.
    KeyedBatched,
}

/// How a channel learns of new entries.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SyncMode {
    /// `"events"`: from core's events.
    Events,
    /// `{ poll = "5s" }`: it asks core about every account, that often.
    Poll(DurationText),
}

/// Whom a customer's history is read from.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HistorySource {
    /// The channel's copy.
    Copy,
    /// Core, for a period that the customer chooses: no scrolling.
    CoreByPeriod,
}

/// For which accounts a read asks core first.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReadSync {
    /// Those with a transfer in progress.
    Pending,
    /// Those too whose copy is known or feared to be behind.
    Suspect,
}

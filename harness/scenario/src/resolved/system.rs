//! The resolved bank.
//!
//! In: `resolve/system`. Out: [`System`]. Elsewhere: what the settings do (`system`).

use std::time::Duration;

use crate::protections::Protections;

/// The bank under test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct System {
    /// Partitions of `core.entries`.
    pub partitions: u32,
    /// Channel processes.
    pub channel_instances: u32,
    /// Workers per assigned partition (D42).
    pub workers: u32,
    /// How a consumer spreads its work.
    pub worker_mode: WorkerMode,
    /// Databases that the channels share, no more than channels (A21).
    pub channel_databases: u32,
    /// How a channel learns of new entries (A20).
    pub sync: SyncMode,
    /// Whom history is read from (A19).
    pub history_source: HistorySource,
    /// For which accounts a read asks core first (A12).
    pub read_sync: ReadSync,
    /// How long such a read may wait for core (D4).
    pub read_budget: Duration,
    /// Questions to core at once of reads and the button, of each channel.
    pub core_pulls: u32,
    /// How often the button asks core about one account (A16).
    pub manual_every: Duration,
    /// Attempts of a record before it becomes a dead letter (D38).
    pub dead_letter_attempts: u32,
    /// Time between two looks of a channel at a stretch of its heads and core's (D43).
    pub sweep_every: Duration,
    /// Waited once per account sync, before its transaction (D42).
    pub sync_cost: Duration,
    /// Kafka brokers: 1 or 3.
    pub kafka_brokers: u32,
    /// Of whom a channel takes one transfer at a time (A5, D8).
    pub guard: Guard,
    /// How long a channel waits for core's answer to a transfer.
    pub call_timeout: Duration,
    /// How long core may still post a transfer; whole milliseconds.
    pub validity: Duration,
    /// From when the validity counts (D31).
    pub deadline: Deadline,
    /// The most requests in one posting transaction of core.
    pub core_batch: u32,
    /// Posting transactions of core at once.
    pub core_slots: u32,
    /// What each batch that core posts costs beyond the database's time.
    pub core_posting_cost: Duration,
    /// The most requests that core takes on and has not answered yet.
    pub core_admitted: u32,
    /// The most of them of one caller.
    pub caller_max: u32,
    /// The age at which core cancels a hold that no other bank has answered (D39).
    pub outbound_expiry: Duration,
    /// What protects the bank.
    pub protections: Protections,
}

/// Of whom a channel takes one transfer at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// Of each customer.
    User,
    /// Of each account that pays.
    Account,
}

impl Guard {
    /// The word in files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Account => "account",
        }
    }
}

/// From when a transfer's validity counts (D31).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deadline {
    /// From its arrival at core, by core's clock.
    Relative,
    /// From when the channel began it, by the channel's clock.
    Absolute,
}

impl Deadline {
    /// The word in files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Relative => "relative",
            Self::Absolute => "absolute",
        }
    }
}

impl System {
    /// The nodes that faults can be done to, by name.
    pub fn places(&self) -> Vec<String> {
        let channels = (0..self.channel_instances).map(|index| format!("channel-{index}"));
        let brokers = (1..=self.kafka_brokers).map(|number| format!("kafka-{number}"));
        let more = (1..self.channel_databases).map(|index| format!("postgres-channel_{index}"));
        let databases = ["postgres-core", "postgres-channel"].map(str::to_owned).into_iter().chain(more);
        let core = std::iter::once("core".to_owned());
        core.chain(channels).chain(["banks".to_owned()]).chain(databases).chain(brokers).collect()
    }

    /// The links that faults can be done to, from who connects to who listens: each that is really there.
    pub fn links(&self) -> Vec<(String, String)> {
        let link = |from: &str, to: &str| (from.to_owned(), to.to_owned());
        let brokers = |from: &str| -> Vec<_> {
            (1..=self.kafka_brokers).map(|number| link(from, &format!("kafka-{number}"))).collect()
        };
        let mut links = Vec::new();
        for index in 0..self.channel_instances {
            let channel = format!("channel-{index}");
            links.extend([link("harness", &channel), link(&channel, "core"), link(&channel, &self.database_of(index))]);
            links.extend(brokers(&channel));
        }
        links.extend([link("harness", "core"), link("core", "postgres-core")]);
        links.extend(brokers("core"));
        links.extend([link("core", "banks"), link("banks", "core")]);
        links
    }

    /// The server of the database that a channel is of (A21).
    fn database_of(&self, channel: u32) -> String {
        match channel % self.channel_databases {
            0 => "postgres-channel".to_owned(),
            index => format!("postgres-channel_{index}"),
        }
    }
}

/// How a channel's consumer spreads its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerMode {
    /// One record after the other.
    Serial,
    /// Workers with a queue each, which an account's hash picks (A14).
    Slots,
    /// A queue per account, one transaction an account.
    Keyed,
    /// A queue per account, several accounts a transaction.
    KeyedBatched,
}

impl WorkerMode {
    /// The word in files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Serial => "serial",
            Self::Slots => "slots",
            Self::Keyed => "keyed",
            Self::KeyedBatched => "keyed_batched",
        }
    }
}

/// How a channel learns of new entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncMode {
    /// From core's events.
    Events,
    /// It asks core about every account, once in so long.
    Poll(Duration),
}

/// Whom a customer's history is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HistorySource {
    /// The channel's copy.
    Copy,
    /// Core, by period.
    CoreByPeriod,
}

impl HistorySource {
    /// The word in files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Copy => "copy",
            Self::CoreByPeriod => "core_by_period",
        }
    }
}

/// For which accounts a read asks core first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadSync {
    /// Those with a transfer in progress.
    Pending,
    /// Those too that are dirty, or whose copy may be behind.
    Suspect,
}

impl ReadSync {
    /// The word in files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Suspect => "suspect",
        }
    }
}

//! Exactly what may be typed in a scenario file. Every key here does something today; unknown ones are refused.
//!
//! In: TOML. Out: [`File`], typed but not yet checked. Elsewhere: defaults and limits (`resolve`), how quantities look (`units`).

mod slo;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::slo::{During, Latencies, Limit, Limits, Overload, Slo};
use crate::protections;
use crate::units::{DurationText, RateText, ShareText};

/// A scenario: a bank, its accounts, what customers do, what is broken, and what is expected of it.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Scenario")]
pub struct File {
    /// What the scenario is called; the file's name unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it shows, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// The seed of all planned randomness (0 to 9223372036854775807); 1 unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// Markers that must have fired at least once, or the run shows nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub markers: Option<Vec<String>>,
    /// How long each phase is.
    #[serde(default)]
    pub phases: Phases,
    /// The bank.
    #[serde(default)]
    pub system: System,
    /// The other banks.
    #[serde(default)]
    pub banks: Banks,
    /// Its accounts, loaded before warm-up.
    #[serde(default)]
    pub accounts: Accounts,
    /// What customers do.
    #[serde(default)]
    pub load: Vec<Load>,
    /// What is broken on purpose, each under `[[fault]]`.
    #[serde(default)]
    pub fault: Vec<Fault>,
    /// Images of the containers, where there are containers.
    #[serde(default)]
    pub images: Images,
    /// Objectives, such as `"deposit.response.p99" = "50ms"`, and of scenarios with faults `"recovery.first_ok" = "5s"`.
    #[serde(default)]
    #[schemars(schema_with = "crate::schema::slo")]
    pub slo: Slo,
}

/// How long each phase is.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Phases {
    /// Load whose figures are not counted; 5s unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warm_up: Option<DurationText>,
    /// Load whose figures are; 20s unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measure: Option<DurationText>,
    /// How long the bank may take after load to be whole again: faults to be healed, then the copy to converge; 30s each unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heal: Option<DurationText>,
    /// How long unknown outcomes may take to be known once load has ended: deposits are resolved at core, transfers only asked about; 30s unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolve: Option<DurationText>,
}

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

/// The other banks: how they answer. All shares are of credits, and none unless given; `late`, `never` and `twice` are 1 together at most.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Banks {
    /// Taken on at once, and answered by a callback after `delay`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub late: Option<ShareText>,
    /// Neither decided in the answer nor told by a callback: only whoever asks again learns it. Half of them get no answer at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub never: Option<ShareText>,
    /// Core is called back twice, at once and after `delay`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub twice: Option<ShareText>,
    /// Refused, for good, in whichever way that is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<ShareText>,
    /// How long a late answer takes, or the second of two, from the shortest to the longest; `["100ms", "2s"]` unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay: Option<[DurationText; 2]>,
}

/// How a channel's consumer spreads its work.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WorkerMode {
    /// One record after the other.
    Serial,
    /// A queue per account, one transaction an account.
    Keyed,
    /// A queue per account, several accounts a transaction.
    KeyedBatched,
}

/// The accounts.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Accounts {
    /// How many; 10,000 unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<i64>,
    /// Customers, who share the accounts evenly; as many as accounts unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub users: Option<i64>,
    /// Opening balance in whole won; 1,000,000 unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opening_balance: Option<i64>,
    /// Entries of each account before the run, the opening included; 10 unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history_depth: Option<i64>,
    /// Which account an operation touches; `"uniform"` unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skew: Option<Skew>,
    /// Share of accounts that are closed; none unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed: Option<ShareText>,
    /// Share of accounts that nothing comes into; none unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deposit_stopped: Option<ShareText>,
    /// Share of accounts that nothing goes out of; none unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub withdrawal_stopped: Option<ShareText>,
}

/// Which account an operation touches.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Skew {
    /// `"uniform"`: each as likely as any other.
    Uniform,
    /// `{ zipf = 1.1 }`: Zipf's law with this exponent.
    Zipf(f64),
    /// `{ hot = "20%" }`: the first account takes this share, the rest is uniform.
    Hot(ShareText),
}

/// One stream of operations.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// What is done.
    pub op: Op,
    /// How often.
    pub rate: RateText,
    /// How operations are spread in time; `constant` unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arrivals: Option<Arrivals>,
    /// The part of the measured phase in which it is done, such as `["20s", "50s"]`; unless given, all of it and the warm-up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<[DurationText; 2]>,
    /// When an answer is given up and the outcome is unknown; 5s unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<DurationText>,
    /// What follows a failed or unknown outcome; `none` unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// Connections, each with one request in flight; 64 unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections: Option<i64>,
    /// Share of operations that are also looked up through the history API; 1% unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lookup: Option<ShareText>,
    /// What a customer does whose transfer's outcome is unknown; `wait` unless given. Of transfers only, as are the following; `outbound` is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_unknown: Option<OnUnknown>,
    /// Share of transfers that are sent twice within moments, the second time under an id of its own; none unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub double_click: Option<ShareText>,
    /// Share of transfers whose id is used again, for another amount; none unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reuse_key: Option<ShareText>,
    /// Share of transfers during which the customer sends another from a second device; none unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub two_devices: Option<ShareText>,
}

/// What is done.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// A deposit from another bank, at core.
    Deposit,
    /// A customer's transfer to another account of this bank, at a channel.
    Transfer,
    /// A customer's transfer to another bank, at a channel.
    Outbound,
}

/// How operations are spread in time.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Arrivals {
    /// Evenly.
    Constant,
    /// Exponential gaps.
    Poisson,
}

/// What follows a failed or unknown outcome.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Retry {
    /// Nothing. Once load has ended core is asked about a deposit; a transfer is settled by the bank alone.
    None,
    /// The same request under the same id, twice more at most; of a transfer as long as no channel has told its state.
    SameId,
}

/// What a customer does whose transfer's outcome is unknown.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnUnknown {
    /// He asks how it stands until it is settled.
    Wait,
    /// He asks too, and sends the same again under another id.
    Resubmit,
}

/// Something that is broken on purpose.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// What is done: `node.kill`, `node.pause` or `node.restart`.
    #[schemars(schema_with = "crate::schema::fault_kind")]
    pub kind: String,
    /// To which node: `core`, `channel-0`, `banks`, `postgres-core`, `postgres-channel`, `kafka-1` ..
    pub place: String,
    /// When: this long after the measured phase began, a second at least. Exactly one of `at` and `nth` is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<DurationText>,
    /// When: once this many operations were sent, warm-up included; not before the measured phase is a second old.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nth: Option<i64>,
    /// For how long, and until load ends at most: `node.pause` needs it, `node.kill` lasts until the heal phase without it, `node.restart` refuses it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lasts: Option<DurationText>,
}

/// Images of the containers, each `name:tag`; the environment's own unless given. Without containers they are not used.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Images {
    /// Both databases.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postgres: Option<String>,
    /// The brokers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kafka: Option<String>,
    /// The cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redis: Option<String>,
    /// Core, channels and the other banks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub services: Option<String>,
}

//! What a bank promises about transfers: limits, guard, statuses, and how the other banks behave.
//!
//! In: a file, a seed. Out: [`Terms`]. Elsewhere: what services make of them (`core::config`, `channel::config`, `banks::config`).
//!
//! Every field has the services' own default, so that a plan which says nothing of transfers means what it meant before there were any.

use bankstorm_contracts::AccountStatus;
use serde::{Deserialize, Serialize};

/// What a bank promises about transfers. Times are in milliseconds of virtual time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Terms {
    /// What may have one transfer in progress only.
    pub guard: Guard,
    /// What core's "not started" makes of a transfer.
    pub not_started: NotStarted,
    /// How long a channel waits for core's answer to a transfer.
    pub call_limit_ms: u64,
    /// How long after its arrival core may still post a transfer.
    pub validity_ms: u64,
    /// Time between a poller's looks.
    pub poll_every_ms: u64,
    /// The first pause before a transfer without a verdict is asked for again.
    pub poll_retry_ms: u64,
    /// Which clocks judge a transfer's validity.
    pub deadline: Deadline,
    /// How long core keeps whoever asked for an outbound transfer waiting for its outcome.
    pub outbound_answer_ms: u64,
    /// The age at which a hold without an answer is cancelled at the other bank.
    pub outbound_expiry_ms: u64,
    /// How often core looks for holds that it does not know.
    pub outbound_scan_ms: u64,
    /// Accounts that are not open for everything.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub statuses: Vec<Status>,
    /// How the other banks behave.
    pub banks: Temper,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            guard: Guard::User,
            not_started: NotStarted::Fenced,
            call_limit_ms: 1_000,
            validity_ms: 2_000,
            poll_every_ms: 200,
            poll_retry_ms: 500,
            deadline: Deadline::Relative,
            outbound_answer_ms: 2_000,
            outbound_expiry_ms: 60_000,
            outbound_scan_ms: 10_000,
            statuses: Vec::new(),
            banks: Temper::default(),
        }
    }
}

/// What may have one transfer in progress only, and what sees to it (P7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Guard {
    /// A customer.
    #[default]
    User,
    /// An account.
    Account,
    /// Nothing, which is unsafe.
    None,
    /// An account, by a look before the insert, which is unsafe.
    CheckThenInsert,
}

/// Which clocks judge a transfer's validity (D31).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deadline {
    /// Core's own, from a request's arrival on.
    #[default]
    Relative,
    /// The channel's database's, from when the transfer was stored on, against core's database's: right as long as the two agree.
    Absolute,
}

/// What core's "not started" makes of a transfer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotStarted {
    /// It has failed, which is right as long as nothing on the way to core repeats requests.
    #[default]
    Final,
    /// It stays open until core has fenced it off.
    Fenced,
}

/// An account that is not open for everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Status {
    /// Its index.
    pub account: u32,
    /// What it lets happen to it.
    pub status: AccountStatus,
}

/// How the other banks behave. Shares are in thousandths of all credits; which ones is decided by `seed` and the transfer's id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Temper {
    /// Decided and told late.
    pub late_permille: u32,
    /// The first request learns nothing.
    pub never_permille: u32,
    /// Told twice.
    pub twice_permille: u32,
    /// Refused, however that is told.
    pub refused_permille: u32,
    /// How late, at most, in milliseconds.
    pub late_ms: u64,
    /// What tempers are drawn from.
    pub seed: u64,
}

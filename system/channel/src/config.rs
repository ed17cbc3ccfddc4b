//! What may be set on a channel, with units and defaults.
//!
//! In: a scenario's `[system]` values. Out: [`ChannelConfig`]. Elsewhere: pool sizes and addresses (`adapters::process`).

use std::time::Duration;

use bankstorm_contracts::channel_api::SubmitTransfer;
use bankstorm_contracts::core_api::VALIDITY_MS;
use bankstorm_outside::channel_store::Clock;
use bankstorm_outside::process::WallClock;

/// How a partition's records are worked off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerMode {
    /// One record after the other, one transaction each: the talk's start.
    Serial,
    /// A queue per account; a worker drains one account's queue into one transaction.
    Keyed,
    /// As `Keyed`, and what is ready across accounts while all transactions are busy shares the next one. Nobody waits for a batch to
    /// fill.
    KeyedBatched,
}

/// What may have one transfer in progress only (A5, D8), and what sees to it (P7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Guard {
    /// A customer, whatever account of his pays: by a unique index.
    #[default]
    User,
    /// An account: by the same index.
    Account,
    /// P7 off: nothing may; transfers do not stand in each other's way.
    None,
    /// P7 off, second arm: an account, by a look at its open transfers before the insert. Two that look at the same moment both see none.
    CheckThenInsert,
}

impl Guard {
    /// The key that no other open transfer may have; `None` guards nothing. The one place that decides it (P7).
    pub const fn key(self, submit: &SubmitTransfer) -> Option<i64> {
        match self {
            Self::User => Some(submit.user.0),
            Self::Account => Some(submit.from.get()),
            Self::None | Self::CheckThenInsert => None,
        }
    }

    /// Whether open transfers are looked at before one is stored.
    pub const fn looks(self) -> bool {
        matches!(self, Self::CheckThenInsert)
    }
}

/// Who asks core about transfers without a verdict (P8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Polling {
    /// Every instance.
    #[default]
    On,
    /// P8 off: nobody. What neither its answer nor its event settles stays open.
    Off,
}

/// How a transfer is completed in the copy (A6). Decided in `advance` (P31).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Settling {
    /// In the transaction that stores its row.
    #[default]
    OneTransaction,
    /// P31 off: in one of its own; its row is stored in the next.
    Two,
}

/// By whose clock it is decided when the poller may ask for a transfer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DueClock {
    /// The channel's database's: one for all instances, and it survives their restarts (D31).
    #[default]
    Database,
    /// P29 off: this process's, of which every instance has another, and which may be set.
    Process,
}

impl DueClock {
    /// What the store is told; `wall` is this process's clock. The one place that decides it (P29).
    pub fn now(self, wall: &impl WallClock) -> Clock {
        match self {
            Self::Database => Clock::Database,
            Self::Process => Clock::Given(wall.now()),
        }
    }
}

/// What core's answer "not started" makes of a transfer (D41). A request that never went out has failed in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NotStarted {
    /// It has failed, for good, and the customer may send anew at once. Right as long as nothing on the way to core repeats requests: the
    /// other copy may be posted.
    Final,
    /// Nothing: the transfer stays open until core has fenced it off (D32). Right on any network; the customer waits for the poller.
    #[default]
    Fenced,
}

/// A channel's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelConfig {
    /// The consumer group. Default `channel`.
    pub group: String,
    /// How records are worked off. Default [`WorkerMode::KeyedBatched`].
    pub worker_mode: WorkerMode,
    /// Accounts in work at once per assigned partition (D42). Default 100; `Serial` always has one.
    pub workers: usize,
    /// Waited once per account sync, before the transaction, holding neither connection nor lock (D42). Default 0.
    pub sync_cost: Duration,
    /// Advance transactions open at once in this process (D15). Must leave the pool connections for reads. At most half of them, and
    /// at least one, wait for rows that somebody else holds: below 2 a held row stops the rest. Default 4.
    pub transactions: usize,
    /// Most accounts in one transaction. Default 100.
    pub batch_accounts: usize,
    /// Most records in one transaction, and most that one account brings to it. Default 500.
    pub batch_records: usize,
    /// Offsets above a partition's watermark at which its fetching pauses; it resumes at half. Default 10,000.
    pub span: i64,
    /// Time between offset commits. Default 100 ms.
    pub commit_every: Duration,
    /// Longest wait for one offset commit. Default 2 s.
    pub commit_limit: Duration,
    /// Longest wait for records in work when partitions are revoked or the process stops. Together with `drain_commit`
    /// below what the log waits for a revocation (2 s with Kafka). Default 1.5 s.
    pub drain_limit: Duration,
    /// What the offset commit of revoked partitions may take beyond `drain_limit`; what the drain left of that limit is its own too.
    /// Default 400 ms.
    pub drain_commit: Duration,
    /// Longest wait for the consumer to leave its group. Default 3 s.
    pub close_limit: Duration,
    /// Longest wait for one account's row when it is advanced alone. Default 1 s.
    pub lock_wait: Duration,
    /// First pause after a failed attempt; doubled each time, jittered. Default 50 ms.
    pub retry_first: Duration,
    /// Longest pause between attempts. Below `drain_limit`, so that a drain sees every worker. Default 500 ms.
    pub retry_most: Duration,
    /// Longest wait for a transfer's row, id or guard in one attempt. What is held longer is tried again after a pause, so that no held
    /// row keeps a transaction from those who wait for nobody (D37). Above the duration of a short transaction. Default 20 ms.
    pub transfer_wait: Duration,
    /// What may have one transfer in progress only. Default [`Guard::User`].
    pub guard: Guard,
    /// By whose clock transfers are due for the poller. Default [`DueClock::Database`].
    pub clock: DueClock,
    /// Who asks core about transfers without a verdict. Default [`Polling::On`].
    pub polling: Polling,
    /// How a transfer is completed in the copy. Default [`Settling::OneTransaction`].
    pub settling: Settling,
    /// What core's "not started" makes of a transfer. Default [`NotStarted::Fenced`].
    pub not_started: NotStarted,
    /// Transfers being submitted at once in this process; more are refused as not started. Default 1,000.
    pub submits_max: usize,
    /// Transactions of single transfers (stored, sent, refused) open at once in this process, beside `transactions`. Default 4.
    pub transfer_transactions: usize,
    /// Longest wait for core's answer to a transfer. Above core's wait for another bank's outcome. Default 3 s (D13).
    pub call_limit: Duration,
    /// How long after its arrival core may still post a transfer: whole milliseconds within [`VALIDITY_MS`], or the nearest of those.
    /// Default 5 s (D13).
    pub validity: Duration,
    /// How long errors of the store are tried again while a customer waits, or the poller's lease runs, places for transactions waited for,
    /// and missing entries pulled: once from a request's arrival until core is asked, once from its answer. What is not stored by then is
    /// the poller's. Default 2 s.
    pub store_patience: Duration,
    /// When the poller may first ask for a transfer: this long after its validity (D13). What is not sent to core within this time from
    /// its storing is not sent at all, so that the question never comes within the validity. Default 1 s.
    pub poll_margin: Duration,
    /// Time between the poller's looks at what is due. Default 200 ms.
    pub poll_every: Duration,
    /// Most transfers taken in one look. Default 100.
    pub poll_batch: u32,
    /// How long nobody else takes a transfer that the poller took. Above `resolve_limit` and `store_patience` together. Default 5 s.
    pub poll_lease: Duration,
    /// Transfers that the poller asks for at once. Default 16.
    pub poll_concurrency: usize,
    /// Longest wait for core's answer to the poller. Default 2 s.
    pub resolve_limit: Duration,
    /// First pause before a transfer without a verdict is asked for again; doubled each time, jittered. Default 500 ms.
    pub poll_retry_first: Duration,
    /// Longest such pause. Default 5 s.
    pub poll_retry_most: Duration,
}

impl Default for ChannelConfig {
    fn default() -> Self {
        Self {
            group: "channel".to_owned(),
            worker_mode: WorkerMode::KeyedBatched,
            workers: 100,
            sync_cost: Duration::ZERO,
            transactions: 4,
            batch_accounts: 100,
            batch_records: 500,
            span: 10_000,
            commit_every: Duration::from_millis(100),
            commit_limit: Duration::from_secs(2),
            drain_limit: Duration::from_millis(1500),
            drain_commit: Duration::from_millis(400),
            close_limit: Duration::from_secs(3),
            lock_wait: Duration::from_secs(1),
            retry_first: Duration::from_millis(50),
            retry_most: Duration::from_millis(500),
            transfer_wait: Duration::from_millis(20),
            guard: Guard::default(),
            clock: DueClock::default(),
            polling: Polling::default(),
            settling: Settling::default(),
            not_started: NotStarted::default(),
            submits_max: 1_000,
            transfer_transactions: 4,
            call_limit: Duration::from_secs(3),
            validity: Duration::from_secs(5),
            store_patience: Duration::from_secs(2),
            poll_margin: Duration::from_secs(1),
            poll_every: Duration::from_millis(200),
            poll_batch: 100,
            poll_lease: Duration::from_secs(5),
            poll_concurrency: 16,
            resolve_limit: Duration::from_secs(2),
            poll_retry_first: Duration::from_millis(500),
            poll_retry_most: Duration::from_secs(5),
        }
    }
}

impl ChannelConfig {
    /// The pause before attempt `attempt + 1`: doubling, at least half of it certain, the rest spread by `salt`. Deterministic: equal
    /// salts retry in step, so callers salt with what tells them apart.
    pub(crate) fn pause(&self, attempt: u32, salt: u64) -> Duration {
        back_off(self.retry_first, self.retry_most, attempt, salt)
    }

    /// As [`ChannelConfig::pause`], before the poller asks again.
    pub(crate) fn poll_pause(&self, attempt: u32, salt: u64) -> Duration {
        back_off(self.poll_retry_first, self.poll_retry_most, attempt, salt)
    }

    /// The validity as core is told it.
    pub(crate) fn valid_for_ms(&self) -> u32 {
        u32::try_from(self.validity.as_millis()).unwrap_or(u32::MAX).clamp(*VALIDITY_MS.start(), *VALIDITY_MS.end())
    }

    /// When the poller may first ask for a transfer, from its beginning on.
    pub(crate) fn first_due(&self) -> Duration {
        Duration::from_millis(self.valid_for_ms().into()) + self.poll_margin
    }
}

fn back_off(first: Duration, most: Duration, attempt: u32, salt: u64) -> Duration {
    let whole = first.saturating_mul(2u32.saturating_pow(attempt.min(16))).min(most);
    let half = whole / 2;
    let spread = u64::try_from(half.as_micros()).unwrap_or(u64::MAX);
    half + Duration::from_micros(scatter(salt.wrapping_add(u64::from(attempt))) % (spread + 1))
}

/// SplitMix64's finaliser: neighbouring numbers land far apart.
const fn scatter(number: u64) -> u64 {
    let z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::ChannelConfig;

    #[test]
    fn a7_the_poller_never_asks_within_a_transfers_validity() {
        for (validity, told) in [(0, 1), (2_000, 2_000), (3_600_000, 600_000)] {
            let config = ChannelConfig { validity: Duration::from_millis(validity), ..ChannelConfig::default() };
            assert_eq!(config.valid_for_ms(), told);
            assert_eq!(config.first_due(), Duration::from_millis(u64::from(told) + 1_000));
        }
        let config = ChannelConfig::default();
        assert!(config.poll_lease > config.resolve_limit + config.store_patience);
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_never_fall_below_half() {
        let config = ChannelConfig::default();
        for attempt in 0..40 {
            let whole = config.retry_first.saturating_mul(2u32.saturating_pow(attempt.min(16))).min(config.retry_most);
            for salt in 0..50 {
                let pause = config.pause(attempt, salt);
                assert!(pause >= whole / 2 && pause <= whole, "attempt {attempt} salt {salt}: {pause:?}");
            }
        }
    }
}

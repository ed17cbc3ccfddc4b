//! What may be set on a channel, with units and defaults.
//!
//! In: a scenario's `[system]` values. Out: [`ChannelConfig`]. Elsewhere: pool sizes and addresses (`adapters::process`).

use std::time::Duration;

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
        }
    }
}

impl ChannelConfig {
    /// The pause before attempt `attempt + 1`: doubling, at least half of it certain, the rest spread by `salt`. Deterministic: equal
    /// salts retry in step, so callers salt with what tells them apart.
    pub(crate) fn pause(&self, attempt: u32, salt: u64) -> Duration {
        let whole = self.retry_first.saturating_mul(2u32.saturating_pow(attempt.min(16))).min(self.retry_most);
        let half = whole / 2;
        let spread = u64::try_from(half.as_micros()).unwrap_or(u64::MAX);
        half + Duration::from_micros(scatter(salt.wrapping_add(u64::from(attempt))) % (spread + 1))
    }
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
    use super::ChannelConfig;

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

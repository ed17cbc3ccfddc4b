//! What may be set on a channel, with units and defaults.
//!
//! In: a scenario's `[system]` values. Out: [`ChannelConfig`]. Elsewhere: pool sizes and addresses (`adapters::process`).

mod copying;
mod share;
mod transfers;

use std::time::Duration;

use bankstorm_contracts::AccountNo;
use bankstorm_contracts::core_api::VALIDITY_MS;
use bankstorm_contracts::event::ENTRIES_TOPIC;

pub use copying::{
    Applying, Cursor, DeadLetters, Gaps, GenerationFence, HistorySource, HoleMarker, Offsets, ReadSync, Redriving,
    Retrying, SlotHash, Sweeping, SyncMode, SyncWrites, WorkerMode,
};
pub use share::{NoShare, Share};
pub use transfers::{DueClock, Guard, NotStarted, Polling, Settling};

/// A channel's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelConfig {
    /// The topic of core's entries. Default [`ENTRIES_TOPIC`].
    pub topic: String,
    /// The consumer group. Default `channel`.
    pub group: String,
    /// Which of several databases this instance's is (A21); by default there is one, and everything lies in it.
    pub share: Option<Share>,
    /// How records are worked off. Default [`WorkerMode::KeyedBatched`].
    pub worker_mode: WorkerMode,
    /// Accounts (or slots) in work at once per assigned partition (D42). Default 100; `Serial` always has one.
    pub workers: usize,
    /// Which slot an account has, in [`WorkerMode::Slots`]. Default [`SlotHash::Independent`].
    pub slot_hash: SlotHash,
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
    /// Where pages come from. Default [`HistorySource::Copy`].
    pub history_source: HistorySource,
    /// How the copy hears of news. Default [`SyncMode::Events`].
    pub sync: SyncMode,
    /// When a read asks core first. Default [`ReadSync::Pending`].
    pub read_sync: ReadSync,
    /// Whether the button asks core. Default true.
    pub manual_sync: bool,
    /// How a page goes on. Default [`Cursor::Keyset`].
    pub cursor: Cursor,
    /// Longest wait of a read for core before it answers with what it has. Default 300 ms.
    pub read_budget: Duration,
    /// Time for one pull from core, over however many chunks; what was pulled by then stands. Each call has a limit of its own beside it, so
    /// that a pull may end a call later. Default 2 s.
    pub pull_limit: Duration,
    /// Pulls in a row that core gave no answer after which none is begun for a while (D4). Default 5.
    pub breaker_after: u32,
    /// How long none is begun then; after it one is, and the others when that one was answered. Default 1 s.
    pub breaker_rest: Duration,
    /// Longest wait of somebody who pressed the button. Default 1 s.
    pub manual_budget: Duration,
    /// Pulls for reads and the button at once in this process; a read that finds no place answers with what it has. Default 8.
    pub core_pulls: usize,
    /// Shortest time between two syncs of one account by hand in this process. Default 1 s.
    pub manual_every: Duration,
    /// Whether copies are compared with core though nothing says that they are behind. Default [`Sweeping::On`].
    pub sweeping: Sweeping,
    /// Time between the sweep's looks, each at one stretch of accounts and at those marked dirty. Default 1 s.
    pub sweep_every: Duration,
    /// What tells this instance's sweep from others': they begin at different accounts. 0, the default, begins at the first.
    pub sweep_salt: u64,
    /// Most accounts of one look, and most that it pulls. Default 1,000.
    pub sweep_accounts: u32,
    /// What a record above the next serial means. Default [`Gaps::Fill`].
    pub gaps: Gaps,
    /// Whether the copy's serial decides what is appended. Default [`Applying::SeqConditional`].
    pub applying: Applying,
    /// Against which head pulled entries are planned. Default [`SyncWrites::CompareAndSet`].
    pub sync_writes: SyncWrites,
    /// Which offset is committed. Default [`Offsets::LowWatermark`].
    pub offsets: Offsets,
    /// Whether a consumer that was replaced may still write. Default [`GenerationFence::On`].
    pub generation_fence: GenerationFence,
    /// Whether what failed is tried again. Default [`Retrying::InPlace`].
    pub retrying: Retrying,
    /// How often a record that may pass is tried before it becomes a dead letter. Default 3; at least 1 (D1).
    pub attempts: u32,
    /// The time over which these attempts are spread, each pause twice the one before, jittered. Default 5 s (D1).
    pub attempts_for: Duration,
    /// What becomes of a record that cannot be applied. Default [`DeadLetters::Topic`].
    pub dead_letters: DeadLetters,
    /// Longest wait for the log to take a letter; then its producer is replaced. Default 5 s.
    pub letter_limit: Duration,
    /// Whether an account with an open letter says from which serial on. Default [`HoleMarker::On`].
    pub hole_marker: HoleMarker,
    /// Who drives dead letters again. Default [`Redriving::Automatic`].
    pub redriving: Redriving,
    /// Time between looks at the letters. Default 5 s.
    pub redrive_every: Duration,
    /// Most letters driven in one look. Default 100.
    pub redrive_batch: u32,
    /// How often a letter is driven before only the command drives it. Default 5.
    pub redrive_most: u32,
    /// How long nobody else takes a letter that is being driven. Default 30 s.
    pub redrive_lease: Duration,
}

impl Default for ChannelConfig {
    #[expect(clippy::too_many_lines, reason = "a line a setting")]
    fn default() -> Self {
        Self {
            topic: ENTRIES_TOPIC.to_owned(),
            group: "channel".to_owned(),
            share: None,
            worker_mode: WorkerMode::KeyedBatched,
            workers: 100,
            slot_hash: SlotHash::default(),
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
            history_source: HistorySource::default(),
            sync: SyncMode::default(),
            read_sync: ReadSync::default(),
            manual_sync: true,
            cursor: Cursor::default(),
            read_budget: Duration::from_millis(300),
            pull_limit: Duration::from_secs(2),
            breaker_after: 5,
            breaker_rest: Duration::from_secs(1),
            manual_budget: Duration::from_secs(1),
            core_pulls: 8,
            manual_every: Duration::from_secs(1),
            sweeping: Sweeping::default(),
            sweep_every: Duration::from_secs(1),
            sweep_salt: 0,
            sweep_accounts: 1_000,
            gaps: Gaps::default(),
            applying: Applying::default(),
            sync_writes: SyncWrites::default(),
            offsets: Offsets::default(),
            generation_fence: GenerationFence::default(),
            retrying: Retrying::default(),
            attempts: 3,
            attempts_for: Duration::from_secs(5),
            dead_letters: DeadLetters::default(),
            letter_limit: Duration::from_secs(5),
            hole_marker: HoleMarker::default(),
            redriving: Redriving::default(),
            redrive_every: Duration::from_secs(5),
            redrive_batch: 100,
            redrive_most: 5,
            redrive_lease: Duration::from_secs(30),
        }
    }
}

impl ChannelConfig {
    /// The same for the instance of this name: its sweep begins at accounts of its own.
    #[must_use]
    pub fn of_instance(mut self, name: &str) -> Self {
        self.sweep_salt = name.bytes().fold(1, |salt, byte| scatter(salt ^ u64::from(byte)));
        self
    }

    /// The same for an instance of one of several databases: it has the group of its database.
    #[must_use]
    pub fn sharing(self, share: Share) -> Self {
        Self { group: share.group(), share: Some(share), ..self }
    }

    /// Whether an account lies in this instance's database.
    pub(crate) fn owns(&self, account: AccountNo) -> bool {
        self.share.is_none_or(|share| share.owns(account))
    }

    /// The pause before attempt `attempt + 1`: doubling, at least half of it certain, the rest spread by `salt`. Deterministic: equal
    /// salts retry in step, so callers salt with what tells them apart.
    pub(crate) fn pause(&self, attempt: u32, salt: u64) -> Duration {
        back_off(self.retry_first, self.retry_most, attempt, salt)
    }

    /// As [`ChannelConfig::pause`], before the poller asks again.
    pub(crate) fn poll_pause(&self, attempt: u32, salt: u64) -> Duration {
        back_off(self.poll_retry_first, self.poll_retry_most, attempt, salt)
    }

    /// The pause after the `tried`th failed attempt (from 1) at a record that may pass: each twice the one before, all of them together at
    /// most `attempts_for`, the last quarter of each spread by `salt` (D1).
    pub(crate) fn attempt_pause(&self, tried: u32, salt: u64) -> Duration {
        let pauses = self.attempts.saturating_sub(1).clamp(1, 16);
        let share = 2u32.pow(tried.clamp(1, pauses) - 1);
        let whole = self.attempts_for.saturating_mul(share) / (2u32.pow(pauses) - 1);
        let spread = u64::try_from((whole / 4).as_micros()).unwrap_or(u64::MAX);
        whole - whole / 4
            + Duration::from_micros(scatter(salt.wrapping_add(u64::from(tried))) % spread.saturating_add(1))
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
pub(crate) const fn scatter(number: u64) -> u64 {
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
    #[test]
    fn d1_attempts_at_a_record_are_spread_over_their_time() {
        for attempts in 1..8 {
            let config = ChannelConfig { attempts, ..ChannelConfig::default() };
            for salt in 0..50 {
                let pauses: Vec<_> = (1..attempts).map(|tried| config.attempt_pause(tried, salt)).collect();
                let whole: Duration = pauses.iter().sum();
                assert!(whole <= config.attempts_for, "{pauses:?}");
                assert!(attempts < 2 || whole >= config.attempts_for * 3 / 4 - Duration::from_millis(1), "{pauses:?}");
                assert!(pauses.is_sorted());
            }
        }
    }
}

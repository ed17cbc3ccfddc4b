//! Convergence: load has ended, the copy is to catch up with core, and every transfer is to be settled.
//!
//! In: core's database and the channels'. Out: how long it took, or what was still behind when the limit was hit. Elsewhere: what a copy that does not
//! catch up means (`check`: S5), and a transfer that is never settled (`check`: O5).
//!
//! Transfers are settled by the bank alone: here they are only read (D32), or a poller that does not work would be helped.
//!
//! Then what nobody needs any more is tidied up: marks of accounts whose copies have arrived, letters that their accounts overtook. It is waited for too,
//! and not for long: what stays is for checks to find (`check`: T4).
//!
//! Cheap totals are compared at each look; only when they agree are all heads compared one by one, since totals can agree by chance. Over a
//! million accounts totals are not so cheap: looks take a tenth of the time at most, since the copy catches up on the same processors.

use std::time::Duration;

use bankstorm_record::clock::monotonic_ns;

use crate::database::Database;
use crate::error::EvidenceError;

/// Between two looks, at least.
const PAUSE: Duration = Duration::from_millis(100);

/// Between two looks, as a multiple of what the last one took.
const PAUSE_PER_LOOK: u32 = 9;

/// How long marks and letters are waited for once the copies have arrived: several looks of the sweep, and of those that drive letters.
const TIDY: Duration = Duration::from_secs(30);

const UNSENT: &str = "SELECT count(*) FROM outbox";
const HELD: &str = "SELECT count(*) FROM hold WHERE state = 'held'";
const PENDING: &str = "SELECT count(*) FROM transfer WHERE stage IN ('pending', 'sent', 'unknown')";
const LEFT: &str = "SELECT (SELECT count(*) FROM account_sync s WHERE s.dirty AND NOT EXISTS \
         (SELECT FROM dead_letter d WHERE d.topic = 'core.entries' AND d.account = s.account AND d.closed_us IS NULL)) \
     + (SELECT count(*) FROM dead_letter d JOIN account_sync s USING (account) WHERE d.topic = 'core.entries' AND d.closed_us IS NULL AND d.seq <= s.last_seq)";
const CORE_TOTALS: &str = "SELECT count(*), coalesce(sum(seq), 0)::bigint FROM account WHERE seq > 0";
const CHANNEL_TOTALS: &str = "SELECT count(*), coalesce(sum(last_seq), 0)::bigint FROM account_sync WHERE last_seq > 0";
const CORE_HEADS: &str = "SELECT no, seq FROM account WHERE seq > 0 ORDER BY no";
const CHANNEL_HEADS: &str = "SELECT account, last_seq FROM account_sync WHERE last_seq > 0 ORDER BY account";

/// What the wait for the copy ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Converged {
    /// How long it took; the limit when it was hit.
    pub took: Duration,
    /// Accounts whose head in the copy is not core's.
    pub behind: u64,
    /// Outbox rows that are still unsent.
    pub unsent: u64,
    /// The channel's transfers that are not settled.
    pub pending: u64,
    /// Core's holds that are open.
    pub held: u64,
    /// Marks and letters that nobody needs any more, of copies that have arrived.
    pub left: u64,
}

impl Converged {
    /// Whether nothing is left to do.
    pub const fn is_complete(&self) -> bool {
        self.behind == 0 && self.unsent == 0 && self.pending == 0 && self.held == 0 && self.left == 0
    }
}

/// Waits until every transfer is settled and every hold ended, core's outbox is empty and every account's copy stands at core's head, at
/// most `limit`, and then until marks and letters are tidied up, at most 30 s or `limit` more, whichever is less. A limit that is hit is no error: the answer then says what was behind.
///
/// # Errors
/// When a database refuses or does not answer.
pub async fn wait_converged(core: &str, channels: &[String], limit: Duration) -> Result<Converged, EvidenceError> {
    let core = Database::connect("core", core).await?;
    let mut copies = Vec::new();
    for channel in channels {
        copies.push(Database::connect("channel", channel).await?);
    }
    let start = monotonic_ns();
    loop {
        let took = since(start);
        // In this order: what is settled later may still bring entries, and what is posted later outbox rows.
        let (pending, held) = (count_all(&copies, PENDING).await?, count(&core, HELD).await?);
        let unsent = count(&core, UNSENT).await?;
        let last = took >= limit;
        let rests = pending == 0 && held == 0 && unsent == 0;
        if last || (rests && totals_agree(&core, &copies).await?) {
            let behind = differing(&core.pairs(CORE_HEADS).await?, &heads(&copies).await?);
            if last || behind == 0 {
                let left = if behind == 0 { tidied(&copies, TIDY.min(limit)).await? } else { 0 };
                return Ok(Converged { took, behind, unsent, pending, held, left });
            }
        }
        let pause = PAUSE.max((since(start) - took) * PAUSE_PER_LOOK);
        tokio::time::sleep(pause.min(limit.saturating_sub(since(start)))).await;
    }
}

/// The time since a moment of the monotonic clock.
fn since(start_ns: i64) -> Duration {
    Duration::from_nanos(u64::try_from(monotonic_ns() - start_ns).unwrap_or(0))
}

/// Waits until nothing is left; gives what is.
async fn tidied(copies: &[Database], limit: Duration) -> Result<u64, EvidenceError> {
    let start = monotonic_ns();
    loop {
        let left = count_all(copies, LEFT).await?;
        let took = since(start);
        if left == 0 || took >= limit {
            return Ok(left);
        }
        tokio::time::sleep(PAUSE.min(limit - took)).await;
    }
}

async fn count(database: &Database, query: &str) -> Result<u64, EvidenceError> {
    let [count] = database.numbers(query).await?;
    Ok(u64::try_from(count).unwrap_or(0))
}

async fn count_all(databases: &[Database], query: &str) -> Result<u64, EvidenceError> {
    let mut all = 0;
    for database in databases {
        all += count(database, query).await?;
    }
    Ok(all)
}

/// The heads of every copy, sorted by account.
async fn heads(copies: &[Database]) -> Result<Vec<(i64, i64)>, EvidenceError> {
    let mut heads = Vec::new();
    for copy in copies {
        heads.extend(copy.pairs(CHANNEL_HEADS).await?);
    }
    heads.sort_unstable();
    Ok(heads)
}

async fn totals_agree(core: &Database, copies: &[Database]) -> Result<bool, EvidenceError> {
    let core: [i64; 2] = core.numbers(CORE_TOTALS).await?;
    let mut copied = [0; 2];
    for copy in copies {
        let [accounts, entries]: [i64; 2] = copy.numbers(CHANNEL_TOTALS).await?;
        copied = [copied[0] + accounts, copied[1] + entries];
    }
    Ok(core == copied)
}

/// How many accounts have different heads in two lists sorted by account; an account that is absent stands at 0.
fn differing(core: &[(i64, i64)], channel: &[(i64, i64)]) -> u64 {
    let (mut core, mut channel) = (core.iter().peekable(), channel.iter().peekable());
    let mut count = 0;
    loop {
        let differs = match (core.peek(), channel.peek()) {
            (None, None) => return count,
            (Some(left), Some(right)) if left.0 == right.0 => core.next() != channel.next(),
            (Some(left), Some(right)) if left.0 < right.0 => core.next().is_some(),
            (Some(_), None) => core.next().is_some(),
            (_, Some(_)) => channel.next().is_some(),
        };
        count += u64::from(differs);
    }
}

#[cfg(test)]
mod tests {
    use super::differing;

    #[test]
    fn heads_are_compared_account_by_account() {
        assert_eq!(differing(&[], &[]), 0);
        assert_eq!(differing(&[(1, 5), (2, 3)], &[(1, 5), (2, 3)]), 0);
        // The totals agree and the heads do not.
        assert_eq!(differing(&[(1, 5), (2, 3)], &[(1, 4), (2, 4)]), 2);
        assert_eq!(differing(&[(1, 5), (2, 3), (4, 1)], &[(2, 3), (3, 1)]), 3);
    }
}

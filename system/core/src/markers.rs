//! The points that core's protocol passes, by name, for `sometimes` goals (V2).

/// A transaction took more than one deposit.
pub const BATCH_GATHERED: &str = "core-batch-gathered";
/// Two requests with one id met in one batch.
pub const COLLAPSED: &str = "core-collapsed";
/// An account left its batch, because its row was held or is not there.
pub const ACCOUNT_SKIPPED: &str = "core-account-skipped";
/// A batch was split, because the store refused it for its rows.
pub const BATCH_SPLIT: &str = "core-batch-split";
/// A deposit met its own verdict.
pub const REPLAY: &str = "core-replay";
/// A deposit met its id with other parameters.
pub const PARAM_DRIFT: &str = "core-param-drift";
/// A deposit met a tombstone.
pub const LATE: &str = "core-late-after-tombstone";
/// A resolve wrote a tombstone.
pub const TOMBSTONE: &str = "core-tombstone";
/// An id stayed in work for longer than the limit.
pub const PROCESSING: &str = "core-processing";
/// Nobody could tell how a commit ended.
pub const COMMIT_UNKNOWN: &str = "core-commit-unknown";
/// The relay gave its producer up and began again.
pub const RELAY_RESTARTED: &str = "core-relay-restarted";

/// All of them.
pub const ALL: &[&str] = &[
    BATCH_GATHERED,
    COLLAPSED,
    ACCOUNT_SKIPPED,
    BATCH_SPLIT,
    REPLAY,
    PARAM_DRIFT,
    LATE,
    TOMBSTONE,
    PROCESSING,
    COMMIT_UNKNOWN,
    RELAY_RESTARTED,
];

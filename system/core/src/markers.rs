//! The points that core's protocol passes, by name, for `sometimes` goals (V2).

/// A transaction took more than one deposit or transfer.
pub const BATCH_GATHERED: &str = "core-batch-gathered";
/// Two requests with one id met in one batch.
pub const COLLAPSED: &str = "core-collapsed";
/// An account left its batch, because its row was held or is not there.
pub const ACCOUNT_SKIPPED: &str = "core-account-skipped";
/// A batch was split, because the store refused it for its rows.
pub const BATCH_SPLIT: &str = "core-batch-split";
/// A request met its own verdict.
pub const REPLAY: &str = "core-replay";
/// A request met its id with other parameters.
pub const PARAM_DRIFT: &str = "core-param-drift";
/// A request met a tombstone.
pub const LATE: &str = "core-late-after-tombstone";
/// A resolve wrote a tombstone.
pub const TOMBSTONE: &str = "core-tombstone";
/// An id stayed in work for longer than the limit.
pub const PROCESSING: &str = "core-processing";
/// Nobody could tell how a commit ended.
pub const COMMIT_UNKNOWN: &str = "core-commit-unknown";
/// The relay gave its producer up and began again.
pub const RELAY_RESTARTED: &str = "core-relay-restarted";
/// A transfer between two accounts was posted.
pub const TRANSFER_POSTED: &str = "core-transfer-posted";
/// A transfer was refused because its validity was over.
pub const EXPIRED: &str = "core-expired";
/// A transfer was refused for want of money.
pub const INSUFFICIENT_FUNDS: &str = "core-insufficient-funds";
/// A posting was refused because of an account's status.
pub const STATUS_REFUSED: &str = "core-status-refused";
/// One caller had as much in work as he may.
pub const CALLER_FULL: &str = "core-caller-full";
/// Money was held for another bank.
pub const HOLD_PLACED: &str = "core-hold-placed";
/// A hold was booked.
pub const HOLD_POSTED: &str = "core-hold-posted";
/// A hold was given back.
pub const HOLD_VOIDED: &str = "core-hold-voided";
/// An open hold was found by a scan that nobody in this process had placed.
pub const HOLD_FOUND: &str = "core-hold-found";
/// A request met its own transfer to another bank, open or ended.
pub const OUTBOUND_REPLAY: &str = "core-outbound-replay";
/// The asker of a transfer to another bank was told that it is in work, since the outcome took too long.
pub const OUTBOUND_UNANSWERED: &str = "core-outbound-unanswered";
/// Another bank told an outcome by itself.
pub const OUTCOME_TOLD: &str = "core-outcome-told";
/// An outcome was told of a hold that had ended before.
pub const OUTCOME_AGAIN: &str = "core-outcome-again";
/// An expired hold was cancelled at the other bank.
pub const CANCEL_SENT: &str = "core-cancel-sent";
/// A hold was given back because the cancel came first.
pub const CANCEL_WON: &str = "core-cancel-won";
/// A hold was booked because the cancel met a credit.
pub const CANCEL_MET_CREDIT: &str = "core-cancel-met-credit";

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
    TRANSFER_POSTED,
    EXPIRED,
    INSUFFICIENT_FUNDS,
    STATUS_REFUSED,
    CALLER_FULL,
    HOLD_PLACED,
    HOLD_POSTED,
    HOLD_VOIDED,
    HOLD_FOUND,
    OUTBOUND_REPLAY,
    OUTBOUND_UNANSWERED,
    OUTCOME_TOLD,
    OUTCOME_AGAIN,
    CANCEL_SENT,
    CANCEL_WON,
    CANCEL_MET_CREDIT,
];

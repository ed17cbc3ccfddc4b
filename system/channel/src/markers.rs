//! The points that a channel's protocol passes, by name, for `sometimes` goals (V2).

/// Records were appended.
pub const APPEND: &str = "channel-append";
/// A record below the copy's head was dropped.
pub const DUPLICATE_DROPPED: &str = "channel-duplicate-dropped";
/// Missing entries came from core.
pub const GAP_FILLED: &str = "channel-gap-filled";
/// A transaction moved several accounts.
pub const BATCH: &str = "channel-batch";
/// Revoked partitions were drained within their limit.
pub const REVOKED_DRAINED: &str = "channel-revoked-drained";
/// Entries pulled from core met a head that somebody else had moved.
pub const CAS_LOST: &str = "channel-cas-lost";
/// A record's balance did not follow from the copy's.
pub const CHAIN_BREAK: &str = "channel-chain-break";
/// Nobody could tell how a commit ended.
pub const COMMIT_UNKNOWN: &str = "channel-commit-unknown";
/// An advance met a newer owner of its partition, and wrote nothing (R15).
pub const FENCED: &str = "channel-fenced";
/// What finished after its partition had gone away was not heard (R14).
pub const LATE_COMPLETION: &str = "channel-late-completion";
/// A record that could not be applied became a dead letter.
pub const PARKED: &str = "channel-parked";
/// A dead letter was parked whose serial had an open one already (R17).
pub const LETTER_AGAIN: &str = "channel-letter-again";
/// A dead letter was closed because its account had got there meanwhile (R16).
pub const LETTER_OVERTAKEN: &str = "channel-letter-overtaken";
/// A dead letter was driven again, to its end (R16).
pub const LETTER_REDRIVEN: &str = "channel-letter-redriven";

/// A transfer was stored before core was called (A2).
pub const SUBMITTED: &str = "channel-transfer-submitted";
/// A transfer met another in progress, and was not stored (A5).
pub const GUARDED: &str = "channel-transfer-guarded";
/// A transfer that had stood in another's way was settled (A6).
pub const RELEASED: &str = "channel-transfer-released";
/// An id came again with its own parameters.
pub const REPLAY: &str = "channel-transfer-replay";
/// An id came again with other parameters.
pub const DRIFT: &str = "channel-transfer-drift";
/// Nobody could tell what became of a transfer: the customer reads "being checked" (A4).
pub const UNKNOWN_SET: &str = "channel-transfer-unknown";
/// Core's answer completed a transfer, together with its row.
pub const SETTLED_BY_ANSWER: &str = "channel-transfer-settled-by-answer";
/// The event of its debit completed a transfer.
pub const SETTLED_BY_EVENT: &str = "channel-transfer-settled-by-event";
/// What was pulled for a later event completed a transfer.
pub const SETTLED_BY_GAP_FILL: &str = "channel-transfer-settled-by-gap-fill";
/// What was pulled for a read, the button, the sweep or a dead letter completed a transfer.
pub const SETTLED_BY_PULL: &str = "channel-transfer-settled-by-pull";
/// The poller completed a transfer (A7).
pub const SETTLED_BY_POLLER: &str = "channel-transfer-settled-by-poller";
/// An answer was ahead of the copy: what was missing came from core first.
pub const ANSWER_PULLED: &str = "channel-answer-pulled";
/// An answer came when its transfer was completed already (R8).
pub const ANSWER_AFTER_EVENT: &str = "channel-answer-after-event";
/// An event came when its transfer had been completed by the answer (R8).
pub const EVENT_AFTER_ANSWER: &str = "channel-event-after-answer";
/// An event came when its transfer had been completed by the poller (R8).
pub const EVENT_AFTER_POLLER: &str = "channel-event-after-poller";
/// Core refused a transfer.
pub const REJECTED: &str = "channel-transfer-rejected";
/// Core never received a transfer, and never will: its tombstone stands (D32).
pub const FAILED_BY_TOMBSTONE: &str = "channel-transfer-failed-by-tombstone";
/// Core said that it had not begun.
pub const NOT_BEGUN: &str = "channel-transfer-not-begun";
/// The poller met a transfer that core has in work.
pub const POLLED_PROCESSING: &str = "channel-poll-processing";
/// The poller got no answer.
pub const POLLED_IN_VAIN: &str = "channel-poll-unanswered";

/// A read asked core, and its page has everything that core had (A12).
pub const READ_SYNCED: &str = "channel-read-synced";
/// A read asked core in vain: its page is stale (D4).
pub const READ_STALE: &str = "channel-read-stale";
/// A read joined a pull that had not asked core yet.
pub const READ_JOINED: &str = "channel-read-joined";
/// Core gave no answers: nobody asks it for a while (D4).
pub const BREAKER_OPEN: &str = "channel-breaker-open";
/// The button synced an account (A16).
pub const MANUAL_SYNCED: &str = "channel-manual-synced";
/// The button was pressed too soon again (D5).
pub const MANUAL_LIMITED: &str = "channel-manual-limited";
/// The sweep pulled what an account had missed (D43, R11).
pub const SWEEP_HEALED: &str = "channel-sweep-healed";
/// What a read, the button or the sweep had pulled met a head that events had moved meanwhile (R13).
pub const SYNC_OVERTAKEN: &str = "channel-sync-overtaken";

/// All of them.
pub const ALL: &[&str] = &[
    APPEND,
    DUPLICATE_DROPPED,
    GAP_FILLED,
    BATCH,
    REVOKED_DRAINED,
    CAS_LOST,
    CHAIN_BREAK,
    COMMIT_UNKNOWN,
    FENCED,
    LATE_COMPLETION,
    PARKED,
    LETTER_AGAIN,
    LETTER_OVERTAKEN,
    LETTER_REDRIVEN,
    SUBMITTED,
    GUARDED,
    RELEASED,
    REPLAY,
    DRIFT,
    UNKNOWN_SET,
    SETTLED_BY_ANSWER,
    SETTLED_BY_EVENT,
    SETTLED_BY_GAP_FILL,
    SETTLED_BY_PULL,
    SETTLED_BY_POLLER,
    ANSWER_PULLED,
    ANSWER_AFTER_EVENT,
    EVENT_AFTER_ANSWER,
    EVENT_AFTER_POLLER,
    REJECTED,
    FAILED_BY_TOMBSTONE,
    NOT_BEGUN,
    POLLED_PROCESSING,
    POLLED_IN_VAIN,
    READ_SYNCED,
    READ_STALE,
    READ_JOINED,
    BREAKER_OPEN,
    MANUAL_SYNCED,
    MANUAL_LIMITED,
    SWEEP_HEALED,
    SYNC_OVERTAKEN,
];

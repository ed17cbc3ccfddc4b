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

/// All of them.
pub const ALL: &[&str] =
    &[APPEND, DUPLICATE_DROPPED, GAP_FILLED, BATCH, REVOKED_DRAINED, CAS_LOST, CHAIN_BREAK, COMMIT_UNKNOWN];

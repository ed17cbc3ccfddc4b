//! Rows about how the channel follows core: what it asked core for, the button, dead letters, the offsets its group committed.
//!
//! In and out as [`super`]: same units, same words. Runs from before these files have none of them, and their rows are then none.

/// `evidence/core_access`, sorted by (account, begun_ns), calls without an account first: what core was asked about histories.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CoreAccessRow {
    /// When core began to answer.
    pub begun_ns: i64,
    /// When the answer was complete, or the caller was gone.
    pub ended_ns: i64,
    /// Who asked: an instance's name, for example `channel-0`.
    pub caller: String,
    /// `entries`, `heads` or `digests`.
    pub call: String,
    /// The account asked for; absent where several were.
    pub account: Option<i64>,
    /// What for, as the caller said: `gap_fill`, `answer`, `read`, `manual`, `sweep`, `redrive`, `history`; absent where it said nothing.
    pub purpose: Option<String>,
    /// The HTTP status of the answer; 0 where none was given.
    pub status: u32,
}

/// `evidence/sync`, sorted by (account, invoked_ns): every use of the button.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SyncRow {
    /// Account.
    pub account: i64,
    /// When it was pressed.
    pub invoked_ns: i64,
    /// When the answer was complete, or given up.
    pub completed_ns: i64,
    /// The channel instance asked.
    pub instance: String,
    /// The operation it belongs to, where it belongs to one.
    pub op: Option<u64>,
    /// `ok`, `rejected`, `failed`, `unknown`.
    pub outcome: String,
    /// `synced`, `stale`, `core_unavailable`, `rate_limited`; absent where none was told.
    pub result: Option<String>,
    /// The copy's last serial as answered; 0 where none was told.
    pub as_of_seq: i64,
}

/// `evidence/dead_letter`, sorted by (partition, record_offset): the channel's own table of records that it put aside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadLetterRow {
    /// Partition of the entries topic.
    pub partition: i32,
    /// Offset there.
    pub record_offset: i64,
    /// The record's account; absent where it could not be read.
    pub account: Option<i64>,
    /// The record's serial; absent where it could not be read.
    pub seq: Option<i64>,
    /// `permanent` or `transient`.
    pub class: String,
    /// SQLSTATE of what went wrong, or a word of the channel's own.
    pub code: Option<String>,
    /// What went wrong, in words.
    pub detail: Option<String>,
    /// How often it was tried before it was put aside.
    pub attempts: i64,
    /// How often it was tried again afterwards.
    pub redrives: i64,
    /// When it was put aside, by the channel database's clock.
    pub parked_us: i64,
    /// When it was closed, by the same clock; absent while it is open.
    pub closed_us: Option<i64>,
    /// What closed it.
    pub closed_by: Option<String>,
}

/// `evidence/dlt`, sorted by (partition, record_offset, dlt_partition, dlt_offset): every record of the dead-letter topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DltRow {
    /// Partition of the entries topic that the record stood on.
    pub partition: i32,
    /// Its offset there.
    pub record_offset: i64,
    /// Partition of the dead-letter topic.
    pub dlt_partition: i32,
    /// Offset there.
    pub dlt_offset: i64,
    /// As [`DeadLetterRow::account`].
    pub account: Option<i64>,
    /// As [`DeadLetterRow::seq`].
    pub seq: Option<i64>,
    /// As [`DeadLetterRow::class`].
    pub class: String,
    /// As [`DeadLetterRow::code`].
    pub code: Option<String>,
    /// As [`DeadLetterRow::attempts`].
    pub attempts: i64,
    /// The broker's or producer's timestamp.
    pub timestamp_us: i64,
}

/// `evidence/group_commit`, sorted by (partition, at_us): every offset of the entries topic that the channel's group committed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupCommitRow {
    /// Partition of the entries topic.
    pub partition: i32,
    /// The offset: all records below it are said to be done with.
    pub committed_offset: i64,
    /// When, by the broker's clock.
    pub at_us: i64,
}

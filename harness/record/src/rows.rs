//! Row types: one struct per Parquet file of a run folder.
//!
//! In: what `load` saw and `evidence` collected. Out: plain structs, which checkers fold over. Elsewhere: their Parquet form
//! (`parquet`), their meaning (`check`).
//!
//! Units: `_ns` are nanoseconds since the run's origin, `_us` are microseconds since the Unix epoch, money is whole won. Ids are UUIDs
//! as u128. Words (`kind`, `state`, `outcome` ...) are those of `contracts`. Every file is sorted by the fields named in the row's text.

mod following;
mod transfers;

pub use following::{CoreAccessRow, DeadLetterRow, DltRow, GroupCommitRow, SyncRow};
pub use transfers::{BankNetworkRow, ChannelTransferRow, CoreHoldRow, TransferReadRow};

/// `operations.parquet`, sorted by `op`: every planned operation, sent or not.
///
/// One row is one intent's use of one key, however many HTTP attempts it took. The same key with other parameters, and another key for the
/// same intent, are rows of their own.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OperationRow {
    /// Its number in the plan, from 0.
    pub op: u64,
    /// Which `[[load]]` of the scenario it belongs to.
    pub load: u32,
    /// What it is: `deposit`, `transfer` (inside this bank), `outbound`, `scroll` (a page read), `sync` (the button).
    pub kind: String,
    /// `warm_up` or `measure`.
    pub phase: String,
    /// The transfer's id; of a read, an id of its own that nobody is sent.
    pub transfer: u128,
    /// The customer's account: credited by a deposit, debited by transfers, asked about by reads.
    pub account: i64,
    /// The amount, always positive; 0 of reads.
    pub amount: i64,
    /// The hash of its parameters (32 bytes).
    pub params_hash: Vec<u8>,
    /// When it was due.
    pub intended_ns: i64,
    /// When the first byte of its first attempt was written to the socket; absent for one that was missed.
    pub sent_ns: Option<i64>,
    /// When its answer was complete, or when it was given up.
    pub acked_ns: Option<i64>,
    /// When its entry was visible in the channel.
    pub visible_ns: Option<i64>,
    /// `visible_ns` is the harness's first read that showed it, since the stamp died with its process (D44).
    pub visible_is_upper_bound: bool,
    /// The first outcome: `ok`, `rejected`, `failed`, `unknown`; absent when missed.
    pub outcome: Option<String>,
    /// The terminal verdict after the resolve phase: `ok`, `rejected`, `failed`; absent while unresolved or missed.
    pub resolved: Option<String>,
    /// The serial that was answered, at once or when resolved: of the deposit's entry, of the transfer's debit.
    pub seq: Option<i64>,
    /// The balance that core answered; a channel answers none.
    pub balance_after: Option<i64>,
    /// The reason of a rejection (its word alone), or what went wrong.
    pub detail: Option<String>,
    /// The HTTP status of the last answer.
    pub http_status: Option<u32>,
    /// The customer who began it; absent for deposits.
    pub user: Option<i64>,
    /// The bank that the money goes to; absent for deposits.
    pub to_bank: Option<String>,
    /// The account there; absent for deposits.
    pub to_account: Option<String>,
    /// Which intent the key belongs to: the `op` of the intent's first key, its own where it is the first; absent for deposits.
    pub intent: Option<u64>,
    /// How many HTTP attempts were made under the key; absent where they were not counted.
    pub attempts: Option<u32>,
}

impl OperationRow {
    /// Whether it only reads (`scroll`, `sync`): nothing is booked for it, and it has no visible time.
    pub fn is_read(&self) -> bool {
        matches!(self.kind.as_str(), "scroll" | "sync")
    }
}

/// `evidence/core_account`, sorted by `account`; internal accounts included.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CoreAccountRow {
    /// Number.
    pub account: i64,
    /// `customer` or `internal`.
    pub kind: String,
    /// Last serial as the row says (0 for internal accounts).
    pub seq: i64,
    /// Balance as the row says; absent for internal accounts.
    pub balance: Option<i64>,
    /// The serial up to which the bulk load wrote it.
    pub loaded_seq: i64,
    /// `open`, `deposit_stopped`, `withdrawal_stopped`, `closed`; `open` for internal accounts.
    pub status: String,
    /// What open holds keep back of the balance, as the row says (0 for internal accounts).
    pub held: i64,
}

/// `evidence/core_entry`, sorted by (account, seq, transfer, amount): every leg in core, opening and internal ones included.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CoreEntryRow {
    /// Account.
    pub account: i64,
    /// Serial; absent on internal legs.
    pub seq: Option<i64>,
    /// Transfer.
    pub transfer: u128,
    /// Amount.
    pub amount: i64,
    /// Balance after; absent on internal legs.
    pub balance_after: Option<i64>,
    /// `opening`, `deposit`, `transfer_out`, `transfer_in`, `outbound`.
    pub kind: String,
    /// Core's database clock when booked.
    pub posted_at_us: i64,
}

/// `evidence/core_transfer`, sorted by `transfer`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CoreTransferRow {
    /// Id.
    pub transfer: u128,
    /// `deposit`, `opening`, `transfer`, `outbound`, `tombstone`.
    pub kind: String,
    /// `processing`, `completed`, `rejected`.
    pub state: String,
    /// Hash of its parameters.
    pub params_hash: Vec<u8>,
    /// Customer's account: credited by a deposit, debited by the others.
    pub account: Option<i64>,
    /// Amount.
    pub amount: Option<i64>,
    /// Reason of a rejection.
    pub reason: Option<String>,
    /// Serial of the customer's entry: the debit of a transfer.
    pub seq: Option<i64>,
    /// Balance after it.
    pub balance_after: Option<i64>,
    /// The bank on the other side: who sent a deposit, whom a transfer goes to.
    pub party_bank: Option<String>,
    /// The account there.
    pub party_account: Option<String>,
    /// When it was claimed, by core's database clock.
    pub created_at_us: Option<i64>,
    /// When it was posted, by core's database clock.
    pub posted_at_us: Option<i64>,
    /// When its caller began it, by the caller's clock (transfers).
    pub requested_at_us: Option<i64>,
    /// How long it might be posted, in milliseconds (transfers).
    pub valid_for_ms: Option<i64>,
}

/// `evidence/core_outbox`, sorted by (account, seq): rows that are still unsent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CoreOutboxRow {
    /// Account.
    pub account: i64,
    /// Serial.
    pub seq: i64,
    /// Transfer.
    pub transfer: u128,
}

/// `evidence/channel_entry`, sorted by (account, seq).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChannelEntryRow {
    /// Account.
    pub account: i64,
    /// Serial.
    pub seq: i64,
    /// Transfer.
    pub transfer: u128,
    /// Amount.
    pub amount: i64,
    /// Balance after.
    pub balance_after: i64,
    /// Kind.
    pub kind: String,
    /// Core's stamp, as copied.
    pub posted_at_us: i64,
}

/// `evidence/channel_account`, sorted by `account`: the copy's own head, which S3 holds against its rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChannelAccountRow {
    /// Account.
    pub account: i64,
    /// Last serial as the row says.
    pub last_seq: i64,
    /// Balance as the row says.
    pub balance: i64,
    /// Marked dirty.
    pub dirty: bool,
}

/// `evidence/apply_journal`, sorted by (account, journal_id): one row per account and advance.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ApplyJournalRow {
    /// The journal's own serial. Drawn under the account's lock, so per account it is commit order.
    pub journal_id: i64,
    /// Account.
    pub account: i64,
    /// Last serial before.
    pub from_seq: i64,
    /// Last serial after.
    pub to_seq: i64,
    /// `event`, `gap_fill`, `answer`, `read_sync`, `manual_sync`, `sweep`, `redrive`.
    pub source: String,
    /// Topic of the record that caused it; absent where a transfer's answer did.
    pub topic: Option<String>,
    /// Its partition.
    pub partition: Option<i32>,
    /// Its offset.
    pub record_offset: Option<i64>,
    /// The group's generation, where known.
    pub generation: Option<i32>,
    /// The channel instance that wrote it.
    pub instance: String,
    /// Transaction id in the channel's database.
    pub txid: i64,
    /// The place of its commit, comparable with [`ChannelTransferRow::settled_commit`]. Absent where the database does not keep it.
    pub commit: Option<i64>,
    /// The moment at which its commit took effect, as wall time, where it is known to the microsecond: in a model. What a server stamps
    /// comes before a stalled commit ends.
    pub committed_us: Option<i64>,
}

/// `evidence/visible`, sorted by (account, to_seq, at_ns): what became visible when (D44).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VisibleRow {
    /// Account.
    pub account: i64,
    /// Serials above this one ...
    pub from_seq: i64,
    /// ... up to this one.
    pub to_seq: i64,
    /// When.
    pub at_ns: i64,
    /// The channel instance that stamped it; `harness` for a first read (upper bound).
    pub instance: String,
}

/// `evidence/page`, sorted by (account, invoked_ns): every history page that the harness read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PageRow {
    /// Account.
    pub account: i64,
    /// When the read began.
    pub invoked_ns: i64,
    /// When its answer was complete.
    pub completed_ns: i64,
    /// The channel instance asked.
    pub instance: String,
    /// The operation that was looked up, of a scroll that of its first page; absent for reads of the converge phase.
    pub op: Option<u64>,
    /// Which page of its scroll it is, from 0; a page asked for again keeps its number. Absent where it belongs to none.
    pub page_no: Option<u32>,
    /// The cursor sent.
    pub cursor: Option<i64>,
    /// `ok`, `rejected`, `failed`, `unknown`.
    pub outcome: String,
    /// Highest serial on the page; 0 when empty.
    pub top_seq: i64,
    /// Lowest serial on the page; 0 when empty.
    pub bottom_seq: i64,
    /// The cursor of the page below, as answered; absent where there is none.
    pub next_cursor: Option<i64>,
    /// How many entries.
    pub count: u32,
    /// Serials fall by one from top to bottom.
    pub contiguous: bool,
    /// Wrapping sum of [`entry_hash`] over the page's entries.
    pub rows_hash: u64,
    /// The copy's last serial as answered.
    pub as_of_seq: i64,
    /// Answered as stale.
    pub stale: bool,
    /// The transfers that the page lists as in progress: their ids in the page's order, 16 bytes each ([`pending_ids`]).
    pub pending: Vec<u8>,
}

/// `evidence/topic`, sorted by (partition, offset): every record of the entries topic, from offset 0.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TopicRow {
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub record_offset: i64,
    /// The key's account; absent when the key is not a number.
    pub key_account: Option<i64>,
    /// The value's account.
    pub account: i64,
    /// Serial.
    pub seq: i64,
    /// Transfer.
    pub transfer: u128,
    /// Amount.
    pub amount: i64,
    /// Balance after.
    pub balance_after: i64,
    /// The broker's or producer's timestamp.
    pub timestamp_us: i64,
}

/// `evidence/database`, sorted by (database, at_ns): what a database server said of deadlocks, before load and after it at least.
///
/// `deadlocks` falls back to 0 when PostgreSQL recovers from a crash, and what its sessions had not reported by then is lost with it;
/// `logged` does not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatabaseRow {
    /// `core` or `channel`.
    pub database: String,
    /// When it was asked.
    pub at_ns: i64,
    /// `pg_stat_database.deadlocks`, all databases of the server together.
    pub deadlocks: i64,
    /// Lines `deadlock detected` in the server's log so far.
    pub logged: i64,
}

/// Transfers' ids as [`PageRow::pending`] keeps them.
pub fn pending_bytes(ids: impl IntoIterator<Item = u128>) -> Vec<u8> {
    ids.into_iter().flat_map(u128::to_be_bytes).collect()
}

/// The ids in [`PageRow::pending`]; bytes beyond a multiple of 16 are none.
pub fn pending_ids(pending: &[u8]) -> impl Iterator<Item = u128> {
    pending.as_chunks::<16>().0.iter().map(|id| u128::from_be_bytes(*id))
}

/// A 64-bit hash of an entry's fields: what pages, the copy and core are compared by. FNV-1a over the fields' bytes, finished with a
/// 64-bit mixer; stable for ever, since stored runs carry it.
pub fn entry_hash(account: i64, seq: i64, transfer: u128, amount: i64, balance_after: i64, kind: &str) -> u64 {
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut eat = |bytes: &[u8]| {
        for byte in bytes {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(PRIME);
        }
    };
    eat(&account.to_le_bytes());
    eat(&seq.to_le_bytes());
    eat(&transfer.to_le_bytes());
    eat(&amount.to_le_bytes());
    eat(&balance_after.to_le_bytes());
    eat(kind.as_bytes());
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^ (hash >> 33)
}

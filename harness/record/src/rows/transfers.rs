//! Rows about transfers alone: holds, the channel's transfers, what was told of them, the other banks' book.
//!
//! In and out as [`super`]: same units, same words.

/// `evidence/core_hold`, sorted by `transfer`: money kept back for outbound transfers, open and ended (D39).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CoreHoldRow {
    /// The transfer.
    pub transfer: u128,
    /// The account that pays.
    pub account: i64,
    /// How much.
    pub amount: i64,
    /// `held`, `posted`, `voided`.
    pub state: String,
    /// The account's last serial when it was placed: it counts from that balance on.
    pub placed_seq: i64,
    /// When, by core's database clock.
    pub placed_at_us: i64,
    /// The account's last serial when it ended: it no longer counts from that balance on. Absent while `held`.
    pub ended_seq: Option<i64>,
}

/// `evidence/channel_transfer`, sorted by `transfer`: every transfer that began in the channel.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChannelTransferRow {
    /// Id.
    pub transfer: u128,
    /// Who sends.
    pub user: i64,
    /// The account that pays.
    pub account: i64,
    /// The bank that the money goes to.
    pub to_bank: String,
    /// The account there.
    pub to_account: String,
    /// Amount.
    pub amount: i64,
    /// Hash of its parameters.
    pub params_hash: Vec<u8>,
    /// `pending`, `sent`, `unknown`, `completed`, `rejected`, `failed`.
    pub stage: String,
    /// Reason of a refusal.
    pub reason: Option<String>,
    /// The serial of its row in the copy, once completed.
    pub seq: Option<i64>,
    /// When it was stored, by the channel database's clock.
    pub created_at_us: i64,
    /// How often the poller took it.
    pub attempts: i64,
    /// The transaction that made its stage terminal; comparable with [`super::ApplyJournalRow::txid`].
    pub settled_txid: Option<i64>,
    /// The place of the commit that stored it among all commits of the channel's database: any number that rises with them (PostgreSQL: the
    /// commit timestamp in microseconds; a model: its count). Absent where the database does not keep it.
    pub opened_commit: Option<i64>,
    /// The same of the commit that made its stage terminal.
    pub settled_commit: Option<i64>,
}

/// `evidence/transfer_read`, sorted by (transfer, invoked_ns): every answer that told somebody outside where an id stands.
///
/// Answers of a channel, each: to submits, to reads of the state, while load ran and after it. Answers of core to those who ask it directly
/// (deposits, `resolve`) where they are kept: the simulator keeps all of them, the harness leaves deposits to their operations.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TransferReadRow {
    /// The id.
    pub transfer: u128,
    /// When it was asked.
    pub invoked_ns: i64,
    /// When the answer was complete, or given up.
    pub completed_ns: i64,
    /// Whose store spoke: `core` or `channel`.
    pub store: String,
    /// The instance asked.
    pub instance: String,
    /// `submit` (the request itself), `read` (a state was asked for), `resolve`.
    pub via: String,
    /// The hash of the parameters that were sent; absent where none were.
    pub params_hash: Option<Vec<u8>>,
    /// `ok`, `rejected`, `failed`, `unknown` (D41); a read that was answered is `ok`.
    pub outcome: String,
    /// The state that was told, in the store's own words; absent where none was: no answer, 404, 422, another id's guard.
    pub stage: Option<String>,
    /// The reason that was told.
    pub reason: Option<String>,
    /// The serial that was told.
    pub seq: Option<i64>,
}

/// `evidence/bank_network`, sorted by `transfer`: the other banks' book.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BankNetworkRow {
    /// Id.
    pub transfer: u128,
    /// The answer that stands: `credited` or `refused`.
    pub state: String,
    /// Which bank it was for; absent where a cancel came first.
    pub to_bank: Option<String>,
    /// The account there.
    pub to_account: Option<String>,
    /// How much.
    pub amount: Option<i64>,
    /// How often the book has the id as credited.
    pub credited: u32,
}

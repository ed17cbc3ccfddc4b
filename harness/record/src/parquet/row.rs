//! Row types as columns: each struct's fields, listed once.
//!
//! In: the structs of [`crate::rows`]. Out: [`ParquetRow`] for each of them. Elsewhere: the form of a value (`cell`).
//!
//! A field with `= value` came later than its file: where an old run's file lacks the column, that value stands for it.

use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::DataType;

use super::cell::{Access, Cell, Field};
use crate::rows::{
    ApplyJournalRow, BankNetworkRow, ChannelAccountRow, ChannelEntryRow, ChannelTransferRow, CoreAccessRow,
    CoreAccountRow, CoreEntryRow, CoreHoldRow, CoreOutboxRow, CoreTransferRow, DatabaseRow, DeadLetterRow, DltRow,
    GroupCommitRow, OperationRow, PageRow, SyncRow, TopicRow, TransferReadRow, VisibleRow,
};

/// One column of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name: the field's.
    pub name: &'static str,
    /// The form it is written in.
    pub data_type: DataType,
    /// Whether it may be null.
    pub nullable: bool,
}

/// Reads the row at an index of a batch; the error names the column.
pub type Decoder<T> = Box<dyn Fn(usize) -> Result<T, String> + Send>;

/// A row type that has a file.
pub trait ParquetRow: Sized + Send + 'static {
    /// The file's name without its ending, for example `core_entry`.
    const NAME: &'static str;

    /// The file's columns, in order.
    fn columns() -> Vec<Column>;

    /// The rows as columns, in the order of [`ParquetRow::columns`].
    fn arrays(rows: &[Self]) -> Vec<ArrayRef>;

    /// How to read a batch back. Columns are found by name and others are ignored.
    ///
    /// # Errors
    /// A sentence that names the column that is missing or of a type that cannot hold its values.
    fn decoder(batch: &RecordBatch) -> Result<Decoder<Self>, String>;
}

fn column<F: Field>(name: &'static str) -> Column {
    Column { name, data_type: F::Cell::data_type(), nullable: F::NULLABLE }
}

fn array<'a, T: 'a, F: Field + 'a>(rows: &'a [T], field: impl Fn(&'a T) -> &'a F) -> ArrayRef {
    F::Cell::build(rows.iter().map(|row| field(row).as_cell()))
}

/// Reads the column, or gives the value that stands for it in files written before it was there.
fn open<F: Field + Clone + Send + 'static>(
    batch: &RecordBatch,
    name: &'static str,
    before: Option<F>,
) -> Result<Access<F>, String> {
    let array = match (batch.column_by_name(name), before) {
        (Some(array), _) => array,
        (None, Some(value)) => return Ok(Box::new(move |_| Ok(value.clone()))),
        (None, None) => return Err(format!("column {name} is missing")),
    };
    let access = F::Cell::access(array)
        .ok_or_else(|| format!("column {name} has type {}; expected is {}", array.data_type(), F::Cell::data_type()))?;
    // Logical, so that nulls of a dictionary's values count too.
    let nulls = array.logical_nulls();
    Ok(Box::new(move |index| {
        let cell = if nulls.as_ref().is_some_and(|nulls| nulls.is_null(index)) {
            None
        } else {
            Some(access(index).map_err(|problem| format!("column {name}: {problem}"))?)
        };
        F::from_cell(cell).ok_or_else(|| format!("column {name} is null and must not be"))
    }))
}

macro_rules! parquet_row {
    (@before) => { None };
    (@before $value:expr) => { Some($value) };
    ($row:ident = $name:literal { $($field:ident: $ty:ty $(= $before:expr)?),* $(,)? }) => {
        impl ParquetRow for $row {
            const NAME: &'static str = $name;

            fn columns() -> Vec<Column> {
                vec![$(column::<$ty>(stringify!($field))),*]
            }

            fn arrays(rows: &[Self]) -> Vec<ArrayRef> {
                vec![$(array::<Self, $ty>(rows, |row| &row.$field)),*]
            }

            fn decoder(batch: &RecordBatch) -> Result<Decoder<Self>, String> {
                $(let $field = open::<$ty>(batch, stringify!($field), parquet_row!(@before $($before)?))?;)*
                Ok(Box::new(move |index| Ok(Self { $($field: $field(index)?),* })))
            }
        }
    };
}

parquet_row!(OperationRow = "operations" {
    op: u64,
    load: u32,
    kind: String,
    phase: String,
    transfer: u128,
    account: i64,
    amount: i64,
    params_hash: Vec<u8>,
    intended_ns: i64,
    sent_ns: Option<i64>,
    acked_ns: Option<i64>,
    visible_ns: Option<i64>,
    visible_is_upper_bound: bool,
    outcome: Option<String>,
    resolved: Option<String>,
    seq: Option<i64>,
    balance_after: Option<i64>,
    detail: Option<String>,
    http_status: Option<u32>,
    user: Option<i64> = None,
    to_bank: Option<String> = None,
    to_account: Option<String> = None,
    intent: Option<u64> = None,
    attempts: Option<u32> = None,
});

parquet_row!(CoreAccountRow = "core_account" {
    account: i64,
    kind: String,
    seq: i64,
    balance: Option<i64>,
    loaded_seq: i64,
    status: String = "open".to_owned(),
    held: i64 = 0,
});

parquet_row!(CoreEntryRow = "core_entry" {
    account: i64,
    seq: Option<i64>,
    transfer: u128,
    amount: i64,
    balance_after: Option<i64>,
    kind: String,
    posted_at_us: i64,
});

parquet_row!(CoreTransferRow = "core_transfer" {
    transfer: u128,
    kind: String,
    state: String,
    params_hash: Vec<u8>,
    account: Option<i64>,
    amount: Option<i64>,
    reason: Option<String>,
    seq: Option<i64>,
    balance_after: Option<i64>,
    party_bank: Option<String> = None,
    party_account: Option<String> = None,
    created_at_us: Option<i64> = None,
    posted_at_us: Option<i64> = None,
    requested_at_us: Option<i64> = None,
    valid_for_ms: Option<i64> = None,
});

parquet_row!(CoreHoldRow = "core_hold" {
    transfer: u128,
    account: i64,
    amount: i64,
    state: String,
    placed_seq: i64,
    placed_at_us: i64,
    ended_seq: Option<i64>,
});

parquet_row!(CoreOutboxRow = "core_outbox" {
    account: i64,
    seq: i64,
    transfer: u128,
});

parquet_row!(ChannelEntryRow = "channel_entry" {
    account: i64,
    seq: i64,
    transfer: u128,
    amount: i64,
    balance_after: i64,
    kind: String,
    posted_at_us: i64,
});

parquet_row!(ChannelAccountRow = "channel_account" {
    account: i64,
    last_seq: i64,
    balance: i64,
    dirty: bool,
});

parquet_row!(ChannelTransferRow = "channel_transfer" {
    transfer: u128,
    user: i64,
    account: i64,
    to_bank: String,
    to_account: String,
    amount: i64,
    params_hash: Vec<u8>,
    stage: String,
    reason: Option<String>,
    seq: Option<i64>,
    created_at_us: i64,
    attempts: i64,
    settled_txid: Option<i64>,
    opened_commit: Option<i64>,
    settled_commit: Option<i64>,
});

parquet_row!(ApplyJournalRow = "apply_journal" {
    journal_id: i64,
    account: i64,
    from_seq: i64,
    to_seq: i64,
    source: String,
    topic: Option<String>,
    partition: Option<i32>,
    record_offset: Option<i64>,
    generation: Option<i32>,
    instance: String,
    txid: i64,
    commit: Option<i64> = None,
    committed_us: Option<i64> = None,
});

parquet_row!(VisibleRow = "visible" {
    account: i64,
    from_seq: i64,
    to_seq: i64,
    at_ns: i64,
    instance: String,
});

parquet_row!(PageRow = "page" {
    account: i64,
    invoked_ns: i64,
    completed_ns: i64,
    instance: String,
    op: Option<u64>,
    cursor: Option<i64>,
    outcome: String,
    top_seq: i64,
    bottom_seq: i64,
    count: u32,
    contiguous: bool,
    rows_hash: u64,
    as_of_seq: i64,
    stale: bool,
    pending: Vec<u8> = Vec::new(),
    page_no: Option<u32> = None,
    next_cursor: Option<i64> = None,
});

parquet_row!(TransferReadRow = "transfer_read" {
    transfer: u128,
    invoked_ns: i64,
    completed_ns: i64,
    store: String,
    instance: String,
    via: String,
    params_hash: Option<Vec<u8>>,
    outcome: String,
    stage: Option<String>,
    reason: Option<String>,
    seq: Option<i64>,
});

parquet_row!(BankNetworkRow = "bank_network" {
    transfer: u128,
    state: String,
    to_bank: Option<String>,
    to_account: Option<String>,
    amount: Option<i64>,
    credited: u32,
});

parquet_row!(TopicRow = "topic" {
    partition: i32,
    record_offset: i64,
    key_account: Option<i64>,
    account: i64,
    seq: i64,
    transfer: u128,
    amount: i64,
    balance_after: i64,
    timestamp_us: i64,
});

parquet_row!(CoreAccessRow = "core_access" {
    begun_ns: i64,
    ended_ns: i64,
    caller: String,
    call: String,
    account: Option<i64>,
    purpose: Option<String>,
    status: u32,
});

parquet_row!(SyncRow = "sync" {
    account: i64,
    invoked_ns: i64,
    completed_ns: i64,
    instance: String,
    op: Option<u64>,
    outcome: String,
    result: Option<String>,
    as_of_seq: i64,
});

parquet_row!(DeadLetterRow = "dead_letter" {
    partition: i32,
    record_offset: i64,
    account: Option<i64>,
    seq: Option<i64>,
    class: String,
    code: Option<String>,
    detail: Option<String>,
    attempts: i64,
    redrives: i64,
    parked_us: i64,
    closed_us: Option<i64>,
    closed_by: Option<String>,
});

parquet_row!(DltRow = "dlt" {
    partition: i32,
    record_offset: i64,
    dlt_partition: i32,
    dlt_offset: i64,
    account: Option<i64>,
    seq: Option<i64>,
    class: String,
    code: Option<String>,
    attempts: i64,
    timestamp_us: i64,
});

parquet_row!(GroupCommitRow = "group_commit" {
    partition: i32,
    committed_offset: i64,
    at_us: i64,
});

parquet_row!(DatabaseRow = "database" {
    database: String,
    at_ns: i64,
    deadlocks: i64,
    logged: i64,
});

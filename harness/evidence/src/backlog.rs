//! A backlog in core, and what became of it in a copy: every row of both, in memory.
//!
//! In: connection strings, the serial that stood before. Out: core's entries after it, and [`CopyOf`]: the copy's rows, heads, journal and
//! letters after it. Elsewhere: whether they agree (`sizing`), who measures with them (`cli`: a sweep's cells).

use bankstorm_contracts::{AccountNo, Entry, EntryKind, Seq, TransferId, WallMicros, Won};
use tokio_postgres::binary_copy::BinaryCopyOutRow;
use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::database::Database;
use crate::error::EvidenceError;

const COLUMNS: &str = "account, seq, transfer, amount, balance_after, kind, posted_at_us";
const TYPES: [Type; 7] = [Type::INT8, Type::INT8, Type::UUID, Type::INT8, Type::INT8, Type::TEXT, Type::INT8];

/// What a copy has beyond a serial that all its accounts have reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CopyOf {
    /// Entries, by account and serial.
    pub entries: Vec<Entry>,
    /// Accounts whose head is not at that serial, or that are marked: account, serial, balance, marked.
    pub heads: Vec<(AccountNo, Seq, Won, bool)>,
    /// Every line of the journal, by account: from serial, to serial, whether an event alone was its cause.
    pub journal: Vec<(AccountNo, Seq, Seq, bool)>,
    /// Dead letters.
    pub letters: u64,
    /// Entries up to that serial, of all accounts.
    pub earlier: u64,
}

/// Core's entries after serial `after` of every customer's account, in the order in which they were posted.
///
/// # Errors
/// When the database refuses or a limit is hit.
pub async fn read_backlog(core: &str, after: Seq) -> Result<Vec<Entry>, EvidenceError> {
    let database = Database::connect("core", core).await?;
    let query = format!(
        "SELECT {COLUMNS} FROM entry WHERE seq > {after} AND account >= {} ORDER BY posted_at_us, account, seq",
        AccountNo::FIRST_CUSTOMER
    );
    database.rows("reading the backlog", &query, &TYPES, entry).await
}

/// Events that core has not handed to the log yet.
///
/// # Errors
/// When the database refuses or a limit is hit.
pub async fn read_unsent(core: &str) -> Result<u64, EvidenceError> {
    let [unsent] = Database::connect("core", core).await?.numbers("SELECT count(*) FROM outbox").await?;
    Ok(unsent.unsigned_abs())
}

/// What the copy has after serial `after`, in one snapshot.
///
/// # Errors
/// When the database refuses or a limit is hit.
pub async fn read_copy(channel: &str, after: Seq) -> Result<CopyOf, EvidenceError> {
    let database = Database::connect("channel", channel).await?;
    database.snapshot().await?;
    let entries = format!("SELECT {COLUMNS} FROM entry WHERE seq > {after} ORDER BY account, seq");
    let heads = format!(
        "SELECT account, last_seq, balance, dirty OR hole IS NOT NULL FROM account_sync \
         WHERE last_seq <> {after} OR dirty OR hole IS NOT NULL ORDER BY account"
    );
    let journal = "SELECT account, from_seq, to_seq, source = 'event' FROM apply_journal ORDER BY account, id";
    let counts =
        format!("SELECT (SELECT count(*) FROM dead_letter), (SELECT count(*) FROM entry WHERE seq <= {after})");
    let of_account = [Type::INT8, Type::INT8, Type::INT8, Type::BOOL];
    let head =
        |row: &BinaryCopyOutRow| Ok((account(row)?, row.try_get(1)?, Won::new(row.try_get(2)?), row.try_get(3)?));
    let line = |row: &BinaryCopyOutRow| Ok((account(row)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?));
    let [letters, earlier] = database.numbers(&counts).await?;
    Ok(CopyOf {
        entries: database.rows("reading the copy", &entries, &TYPES, entry).await?,
        heads: database.rows("reading the copy's heads", &heads, &of_account, head).await?,
        journal: database.rows("reading the journal", journal, &of_account, line).await?,
        letters: letters.unsigned_abs(),
        earlier: earlier.unsigned_abs(),
    })
}

fn account(row: &BinaryCopyOutRow) -> Result<AccountNo, tokio_postgres::Error> {
    row.try_get(0).map(AccountNo::new)
}

fn entry(row: &BinaryCopyOutRow) -> Result<Entry, tokio_postgres::Error> {
    let kind: &str = row.try_get(5)?;
    Ok(Entry {
        account: account(row)?,
        seq: row.try_get(1)?,
        transfer: TransferId(row.try_get::<Uuid>(2)?),
        amount: Won::new(row.try_get(3)?),
        balance_after: Won::new(row.try_get(4)?),
        kind: EntryKind::from_word(kind).expect("the tables take no other words"),
        posted_at: WallMicros(row.try_get(6)?),
    })
}

//! What is said on a channel's connection.
//!
//! In: a new connection. Out: its [`Statements`], prepared once. Elsewhere: which of them travel together (`tx`).

use tokio_postgres::{Client, Error, Statement};

use super::super::pool::Prepared;

/// For this transaction only.
const SET_WAIT: &str = "SELECT set_config('lock_timeout', $1, true)";

/// Rows that exist, locked in account order.
const LOCK_WAIT: &str = "SELECT account, last_seq, balance FROM account_sync WHERE account = ANY($1) \
     ORDER BY account FOR NO KEY UPDATE";
const LOCK_SKIP: &str = "SELECT account, last_seq, balance FROM account_sync WHERE account = ANY($1) \
     ORDER BY account FOR NO KEY UPDATE SKIP LOCKED";

// A new row is locked by whoever inserts it. The advisory lock, held as long as the transaction, keeps two inserters of one account from
// meeting in the unique index, where waiting cannot be skipped.
const MAKE_WAIT: &str = "WITH wanted AS MATERIALIZED (SELECT account FROM unnest($1::bigint[]) AS w(account) ORDER BY account), \
     held AS MATERIALIZED (SELECT account, pg_advisory_xact_lock(account) FROM wanted) \
     INSERT INTO account_sync (account) SELECT account FROM held ORDER BY account ON CONFLICT DO NOTHING RETURNING account";
const MAKE_SKIP: &str = "WITH wanted AS MATERIALIZED (SELECT account FROM unnest($1::bigint[]) AS w(account) \
         WHERE NOT EXISTS (SELECT FROM account_sync s WHERE s.account = w.account) ORDER BY account), \
     held AS MATERIALIZED (SELECT account FROM wanted WHERE pg_try_advisory_xact_lock(account)) \
     INSERT INTO account_sync (account) SELECT account FROM held ORDER BY account ON CONFLICT DO NOTHING RETURNING account";

const ENTRIES: &str = "INSERT INTO entry (account, seq, transfer, amount, balance_after, kind, posted_at_us) \
     SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::uuid[], $4::bigint[], $5::bigint[], $6::text[], $7::bigint[])";
const HEADS: &str = "WITH moved AS (UPDATE account_sync s SET last_seq = n.to_seq, balance = n.balance \
         FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[]) AS n(account, from_seq, to_seq, balance) \
         WHERE s.account = n.account AND s.last_seq = n.from_seq RETURNING 1) \
     SELECT heads_moved(cardinality($1::bigint[])::bigint, (SELECT count(*) FROM moved))";
const JOURNAL: &str = "INSERT INTO apply_journal \
         (account, from_seq, to_seq, source, topic, partition, record_offset, generation, instance) \
     SELECT j.*, $9::text FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::integer[], \
         $7::bigint[], $8::integer[]) AS j";

// One statement, hence one snapshot for head and entries.
const PAGE: &str = "SELECT s.last_seq, s.balance, e.seq, e.transfer, e.amount, e.balance_after, e.kind, e.posted_at_us \
     FROM account_sync s LEFT JOIN LATERAL ( \
         SELECT * FROM entry WHERE entry.account = s.account AND entry.seq < $2 ORDER BY entry.seq DESC LIMIT $3) e ON true \
     WHERE s.account = $1 ORDER BY e.seq DESC";

/// The statements of a connection.
pub(super) struct Statements {
    pub(super) begin: Statement,
    pub(super) commit: Statement,
    pub(super) set_wait: Statement,
    pub(super) lock_wait: Statement,
    pub(super) lock_skip: Statement,
    pub(super) make_wait: Statement,
    pub(super) make_skip: Statement,
    pub(super) entries: Statement,
    pub(super) heads: Statement,
    pub(super) journal: Statement,
    pub(super) page: Statement,
}

impl Prepared for Statements {
    async fn prepare(client: &Client) -> Result<Self, Error> {
        // D36: below the group's session timeout, since a stopped process keeps its row locks.
        client.batch_execute("SET idle_in_transaction_session_timeout = 2000").await?;
        Ok(Self {
            begin: client.prepare("BEGIN").await?,
            commit: client.prepare("COMMIT").await?,
            set_wait: client.prepare(SET_WAIT).await?,
            lock_wait: client.prepare(LOCK_WAIT).await?,
            lock_skip: client.prepare(LOCK_SKIP).await?,
            make_wait: client.prepare(MAKE_WAIT).await?,
            make_skip: client.prepare(MAKE_SKIP).await?,
            entries: client.prepare(ENTRIES).await?,
            heads: client.prepare(HEADS).await?,
            journal: client.prepare(JOURNAL).await?,
            page: client.prepare(PAGE).await?,
        })
    }
}

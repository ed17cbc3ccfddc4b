//! What is said on a channel's connection.
//!
//! In: a new connection. Out: its [`Statements`], prepared once. Elsewhere: which of them travel together (`tx`).

use futures_util::future::try_join_all;
use tokio_postgres::{Client, Error, Statement};

use super::super::pool::Prepared;

/// For this transaction only.
const SET_WAIT: &str = "SELECT set_config('lock_timeout', $1, true)";

// The owner is read by a statement of its own: whoever waited for the lock must see what was committed meanwhile.
const FENCE_LOCK: &str = "SELECT pg_advisory_xact_lock_shared($1, number) FROM unnest($2::integer[]) AS number";
const FENCE: &str = "SELECT o.partition FROM unnest($2::integer[], $3::integer[]) AS h(partition, generation) \
     JOIN partition_owner o ON o.topic = $1 AND o.partition = h.partition WHERE o.generation > h.generation ORDER BY o.partition";
const OWN: &str = "SELECT own_partitions($1, $2, $3, $4, $5)";

/// Rows that exist, locked in account order.
const LOCK_WAIT: &str = "SELECT account, last_seq, balance, dirty, hole FROM account_sync WHERE account = ANY($1) \
     ORDER BY account FOR NO KEY UPDATE";
const LOCK_SKIP: &str = "SELECT account, last_seq, balance, dirty, hole FROM account_sync WHERE account = ANY($1) \
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
const MARKS: &str = "UPDATE account_sync s SET dirty = m.dirty, hole = m.hole \
     FROM unnest($1::bigint[], $2::boolean[], $3::bigint[]) AS m(account, dirty, hole) WHERE s.account = m.account";
const MARK_DIRTY: &str = "WITH held AS MATERIALIZED (SELECT account FROM account_sync WHERE account = ANY($1) AND NOT dirty \
         ORDER BY account FOR NO KEY UPDATE) \
     UPDATE account_sync s SET dirty = true FROM held WHERE s.account = held.account";
const DIRTY: &str = "SELECT account FROM account_sync WHERE dirty AND account >= $1 ORDER BY account LIMIT $2";
const HEADS_BETWEEN: &str = "SELECT account, last_seq, balance FROM account_sync WHERE account >= $1 AND account < $2 \
     ORDER BY account LIMIT $3";

const LETTERS: &str = "INSERT INTO dead_letter (topic, partition, record_offset, account, seq, class, code, detail, attempts) \
     SELECT * FROM unnest($1::text[], $2::integer[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[], $7::text[], $8::text[], \
         $9::integer[]) ON CONFLICT (topic, partition, record_offset) DO NOTHING";
const CLOSES: &str = "UPDATE dead_letter d \
     SET closed_us = (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, closed_by = 'overtaken' \
     FROM unnest($1::bigint[], $2::bigint[]) AS c(account, seq) \
     WHERE d.account = c.account AND d.seq <= c.seq AND d.closed_us IS NULL";
// Behind the closes and with their values: what is open above them is the hole, whatever marks travelled ahead.
const HOLES: &str = "UPDATE account_sync s SET dirty = true, hole = o.seq \
     FROM (SELECT d.account, min(d.seq) AS seq FROM dead_letter d \
         JOIN unnest($1::bigint[], $2::bigint[]) AS c(account, seq) ON d.account = c.account \
         WHERE d.closed_us IS NULL AND d.seq > c.seq GROUP BY d.account) AS o \
     WHERE s.account = o.account";
const TAKE_LETTERS: &str = "WITH clock AS MATERIALIZED (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now_us), \
     due AS MATERIALIZED (SELECT id FROM dead_letter WHERE closed_us IS NULL AND account IS NOT NULL \
         AND due_at_us <= (SELECT now_us FROM clock) AND ($3::integer IS NULL OR redrives < $3) \
         ORDER BY id LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED), \
     taken AS (UPDATE dead_letter d SET due_at_us = (SELECT now_us FROM clock) + $2::bigint \
         FROM due WHERE d.id = due.id RETURNING d.id, d.account, d.seq, d.code, d.redrives) \
     SELECT * FROM taken ORDER BY id";
const CLOSE_OVERTAKEN: &str = "SELECT close_overtaken()";
const CLOSE_LETTER: &str = "UPDATE dead_letter \
     SET closed_us = (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, closed_by = 'redrive', redrives = redrives + 1 \
     WHERE id = $1 AND closed_us IS NULL";
const COUNT_REDRIVE: &str = "UPDATE dead_letter SET redrives = redrives + 1 WHERE id = $1 AND closed_us IS NULL";
const CLOSE_NAMELESS: &str = "WITH nameless AS MATERIALIZED (SELECT id FROM dead_letter WHERE closed_us IS NULL AND account IS NULL \
         ORDER BY id LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED) \
     UPDATE dead_letter d SET closed_us = (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, closed_by = 'command' \
     FROM nameless WHERE d.id = nameless.id RETURNING d.id";
const OPEN_LETTERS: &str = "SELECT count(*) AS open, \
         (extract(epoch FROM clock_timestamp()) * 1000000)::bigint - min(parked_us) AS oldest_us \
     FROM dead_letter WHERE closed_us IS NULL";

// Inserts nothing outside a transaction: SET_WAIT, sent just before, is gone there, and the session's own limit is 0 (`pool`). BEGIN may
// travel in the same round trip, and may have been refused. Whoever holds the same id or guard, uncommitted, is waited for in its index.
const OPEN: &str = "INSERT INTO transfer \
         (id, user_no, guard, from_account, to_bank, to_account, amount, params_hash, created_at_us, due_at_us) \
     SELECT $1::uuid, $2::bigint, $3::bigint, $4::bigint, $5::text, $6::text, $7::bigint, $8::bytea, \
         now.us, coalesce($9::bigint, now.us) + $10::bigint \
     FROM (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS us OFFSET 0) AS now \
     WHERE current_setting('lock_timeout') <> '0' \
     ON CONFLICT DO NOTHING RETURNING created_at_us";
// What stands is read by statements of their own: the inserting one cannot see the row that it waited for.
const TRANSFER: &str = "SELECT id, user_no, from_account, to_bank, to_account, amount, params_hash, stage, reason, seq, \
         created_at_us, attempts FROM transfer WHERE id = $1";
const GUARDING: &str = "SELECT id FROM transfer WHERE guard = $1 AND stage IN ('pending', 'sent', 'unknown')";
const LOCK_TRANSFERS: &str = "SELECT id, user_no, from_account, to_bank, to_account, amount, params_hash, stage, reason, seq, \
         created_at_us, attempts FROM transfer WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE";
const MOVES: &str = "UPDATE transfer SET stage = m.stage, reason = m.reason, seq = m.seq, \
         settled_txid = CASE WHEN m.terminal THEN pg_current_xact_id() END \
     FROM unnest($1::uuid[], $2::text[], $3::boolean[], $4::text[], $5::bigint[]) AS m(id, stage, terminal, reason, seq) \
     WHERE transfer.id = m.id";
// One statement takes and counts. Rows that somebody holds are being settled or taken just now.
const TAKE_DUE: &str = "WITH clock AS MATERIALIZED \
         (SELECT coalesce($2::bigint, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint) AS now_us), \
     due AS MATERIALIZED (SELECT id, due_at_us FROM transfer \
         WHERE stage IN ('pending', 'sent', 'unknown') AND due_at_us <= (SELECT now_us FROM clock) \
         ORDER BY due_at_us, id LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED), \
     taken AS (UPDATE transfer t SET attempts = t.attempts + 1, due_at_us = (SELECT now_us FROM clock) + $3::bigint \
         FROM due WHERE t.id = due.id \
         RETURNING t.id, t.user_no, t.from_account, t.to_bank, t.to_account, t.amount, t.params_hash, t.stage, t.reason, t.seq, \
             t.created_at_us, t.attempts, due.due_at_us AS was_due_us) \
     SELECT * FROM taken ORDER BY was_due_us, id";
// Open while no transaction has settled it; said so, the index of all open ones is no way to find one.
const POSTPONE: &str = "UPDATE transfer SET due_at_us = \
         coalesce($2::bigint, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint) + $3::bigint \
     WHERE id = $1 AND settled_txid IS NULL";
const RELAXED_COMMIT: &str = "SET LOCAL synchronous_commit = off";

// One statement, hence one snapshot for head, entries and transfers: none is pending there whose entry is in the copy (D33).
macro_rules! page {
    ($entries:literal) => {
        concat!(
            "SELECT s.last_seq, s.balance, s.dirty, p.ids, p.stages, p.amounts, p.banks, p.accounts, \
                 e.seq, e.transfer, e.amount, e.balance_after, e.kind, e.posted_at_us \
             FROM account_sync s CROSS JOIN LATERAL ( \
                 SELECT array_agg(id) AS ids, array_agg(stage) AS stages, array_agg(t.amount) AS amounts, array_agg(to_bank) AS banks, \
                     array_agg(to_account) AS accounts \
                 FROM (SELECT * FROM transfer WHERE from_account = s.account AND stage IN ('pending', 'sent', 'unknown') \
                     ORDER BY created_at_us, id) AS t) p \
             LEFT JOIN LATERAL (SELECT * FROM entry WHERE entry.account = s.account ",
            $entries,
            ") e ON true WHERE s.account = $1 ORDER BY e.seq DESC"
        )
    };
}
const PAGE: &str = page!("AND entry.seq < $2 ORDER BY entry.seq DESC LIMIT $3");
/// P28: rows are counted, so the database reads all those that it skips.
const PAGE_AT: &str = page!("ORDER BY entry.seq DESC OFFSET $2 LIMIT $3");

macro_rules! statements {
    ($($name:ident = $text:expr),* $(,)?) => {
        /// The statements of a connection.
        pub(super) struct Statements {
            $(pub(super) $name: Statement,)*
        }

        impl Prepared for Statements {
            async fn prepare(client: &Client) -> Result<Self, Error> {
                // D36: below the group's session timeout, since a stopped process keeps its locks.
                client.batch_execute("SET idle_in_transaction_session_timeout = 2000").await?;
                // Pipelined: connecting costs one round trip for all of them.
                let mut prepared = try_join_all([$($text),*].map(|text| client.prepare(text))).await?.into_iter();
                let mut next = || prepared.next().expect("one statement per text");
                Ok(Self { $($name: next(),)* })
            }
        }
    };
}

statements! {
    begin = "BEGIN",
    commit = "COMMIT",
    set_wait = SET_WAIT,
    fence_lock = FENCE_LOCK,
    fence = FENCE,
    own = OWN,
    lock_wait = LOCK_WAIT,
    lock_skip = LOCK_SKIP,
    make_wait = MAKE_WAIT,
    make_skip = MAKE_SKIP,
    open = OPEN,
    transfer = TRANSFER,
    guarding = GUARDING,
    lock_transfers = LOCK_TRANSFERS,
    entries = ENTRIES,
    heads = HEADS,
    journal = JOURNAL,
    marks = MARKS,
    mark_dirty = MARK_DIRTY,
    dirty = DIRTY,
    heads_between = HEADS_BETWEEN,
    letters = LETTERS,
    closes = CLOSES,
    holes = HOLES,
    take_letters = TAKE_LETTERS,
    close_overtaken = CLOSE_OVERTAKEN,
    close_letter = CLOSE_LETTER,
    count_redrive = COUNT_REDRIVE,
    close_nameless = CLOSE_NAMELESS,
    open_letters = OPEN_LETTERS,
    moves = MOVES,
    take_due = TAKE_DUE,
    postpone = POSTPONE,
    relaxed_commit = RELAXED_COMMIT,
    page = PAGE,
    page_at = PAGE_AT,
}

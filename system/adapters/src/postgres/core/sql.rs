//! Core's statements.
//!
//! Claims insert in id order and locks are taken in account order, so that two transactions never wait for each other in a circle. What
//! stands under an id is read by a statement of its own: the inserting one cannot see the row that it waited for (D32).

use futures_util::future::try_join_all;
use tokio_postgres::{Client, Error, Statement};

use super::super::pool::Prepared;

const BEGIN: &str = "BEGIN";
const COMMIT: &str = "COMMIT";
const ROLLBACK: &str = "ROLLBACK";
const LOCK_WAIT: &str = "SELECT set_config('lock_timeout', $1, true)";
const RELAXED_COMMIT: &str = "SET LOCAL synchronous_commit = off";
// Inserts nothing outside a transaction: LOCK_WAIT, sent just before, is gone there, and the session's own limit is 0 (`pool`). BEGIN
// travels in the same round trip and may have been refused.
const CLAIM: &str = "\
    INSERT INTO transfer (id, params_hash, kind, state, account, amount, party_bank, party_account, requested_at_us, valid_for_ms) \
    SELECT id, params_hash, kind, 'processing', account, amount, party_bank, party_account, requested_at_us, valid_for_ms \
    FROM unnest($1::uuid[], $2::bytea[], $3::text[], $4::bigint[], $5::bigint[], $6::text[], $7::text[], $8::bigint[], $9::bigint[]) \
         AS claim (id, params_hash, kind, account, amount, party_bank, party_account, requested_at_us, valid_for_ms) \
    WHERE current_setting('lock_timeout') <> '0' \
    ORDER BY id ON CONFLICT (id) DO NOTHING RETURNING id";
const STANDING: &str = "\
    SELECT id, kind, params_hash, state, reason, seq, balance_after, posted_at_us FROM transfer WHERE id = ANY($1::uuid[])";
const LOCK: &str = "\
    SELECT no, seq, balance, held, status FROM account WHERE no = ANY($1::bigint[]) ORDER BY no FOR NO KEY UPDATE";
const LOCK_FREE: &str = "\
    SELECT no, seq, balance, held, status FROM account WHERE no = ANY($1::bigint[]) ORDER BY no FOR NO KEY UPDATE SKIP LOCKED";
// For a core whose account lock is off (P25).
const READ_UNLOCKED: &str = "\
    SELECT no, seq, balance, held, status FROM account WHERE no = ANY($1::bigint[]) ORDER BY no";
// Both rows are locked, the transfer's first: whoever waited judges what the holder left of both. Were the hold only joined, it would be
// judged as it stood before the wait. A hold is open while it has no end; said so, the index of all open ones is no way to find one.
const REOPEN: &str = "\
    SELECT t.id, h.account, h.amount, h.placed_at_us, t.party_bank, t.party_account \
    FROM transfer t JOIN hold h ON h.transfer = t.id \
    WHERE t.id = ANY($1::uuid[]) AND h.ended_seq IS NULL ORDER BY t.id FOR NO KEY UPDATE OF t, h";
const OPEN_HOLDS: &str = "\
    SELECT t.id, h.account, h.amount, h.placed_at_us, t.party_bank, t.party_account \
    FROM hold h JOIN transfer t ON t.id = h.transfer \
    WHERE h.state = 'held' ORDER BY h.placed_at_us, h.transfer LIMIT $1";
// The limit of claims and row locks ends here: what is written afterwards waits for nobody, and a commit that stalls is not the row's
// fault.
const NOW: &str = "\
    SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now_us, set_config('lock_timeout', $1, true)";
const WRITE_LEGS: &str = "\
    INSERT INTO entry (transfer, account, seq, amount, balance_after, kind, posted_at_us) \
    SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[], $7::bigint[])";
const WRITE_ACCOUNTS: &str = "\
    UPDATE account SET seq = coalesce(a.seq, account.seq), balance = coalesce(a.balance, account.balance), \
                       held = coalesce(a.held, account.held) \
    FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[]) AS a (no, seq, balance, held) WHERE account.no = a.no";
const WRITE_HOLDS: &str = "\
    INSERT INTO hold (transfer, account, amount, state, placed_seq, placed_at_us) \
    SELECT transfer, account, amount, 'held', placed_seq, placed_at_us \
    FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[]) \
         AS h (transfer, account, amount, placed_seq, placed_at_us)";
const END_HOLDS: &str = "\
    WITH ended AS (UPDATE hold SET state = e.state, ended_seq = e.ended_seq \
        FROM unnest($1::uuid[], $2::text[], $3::bigint[]) AS e (transfer, state, ended_seq) \
        WHERE hold.transfer = e.transfer AND hold.ended_seq IS NULL RETURNING 1) \
    SELECT holds_ended(cardinality($1::uuid[])::bigint, (SELECT count(*) FROM ended))";
const SETTLE: &str = "\
    UPDATE transfer SET state = s.state, reason = s.reason, seq = s.seq, balance_after = s.balance_after, posted_at_us = s.posted_at_us \
    FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[]) \
         AS s (id, state, reason, seq, balance_after, posted_at_us) WHERE transfer.id = s.id";
const RELEASE: &str = "DELETE FROM transfer WHERE id = ANY($1::uuid[])";
// Ids are drawn in the order of the array, so that an account's rows have rising ids: its row is locked until the commit.
const WRITE_OUTBOX: &str = "\
    INSERT INTO outbox (account, seq, amount, balance_after, transfer, kind, posted_at_us) \
    SELECT account, seq, amount, balance_after, transfer, kind, posted_at_us \
    FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::uuid[], $6::text[], $7::bigint[]) \
         WITH ORDINALITY AS e (account, seq, amount, balance_after, transfer, kind, posted_at_us, place) \
    ORDER BY place";
const ENTRIES: &str = "\
    SELECT seq, amount, balance_after, transfer, kind, posted_at_us FROM entry \
    WHERE account = $1 AND seq > $2 ORDER BY seq LIMIT $3";
const HEADS: &str = "SELECT no, seq, balance FROM account WHERE no = ANY($1::bigint[]) ORDER BY no";
const HEADS_BETWEEN: &str = "\
    SELECT no, seq, balance FROM account WHERE no BETWEEN $1 AND $2 ORDER BY no LIMIT $3";
const UNSENT: &str = "\
    SELECT id, account, seq, amount, balance_after, transfer, kind, posted_at_us FROM outbox ORDER BY id LIMIT $1";
// For a core whose scan goes by a watermark (P11).
const UNSENT_ABOVE: &str = "\
    SELECT id, account, seq, amount, balance_after, transfer, kind, posted_at_us FROM outbox WHERE id > $1 ORDER BY id LIMIT $2";
const MARK_SENT: &str = "DELETE FROM outbox WHERE id = ANY($1::bigint[])";

/// The statements, prepared on one connection.
pub(super) struct CoreSql {
    pub(super) begin: Statement,
    pub(super) commit: Statement,
    pub(super) rollback: Statement,
    pub(super) lock_wait: Statement,
    pub(super) relaxed_commit: Statement,
    pub(super) claim: Statement,
    pub(super) standing: Statement,
    pub(super) lock: Statement,
    pub(super) lock_free: Statement,
    pub(super) read_unlocked: Statement,
    pub(super) reopen: Statement,
    pub(super) open_holds: Statement,
    pub(super) now: Statement,
    pub(super) write_legs: Statement,
    pub(super) write_accounts: Statement,
    pub(super) write_holds: Statement,
    pub(super) end_holds: Statement,
    pub(super) settle: Statement,
    pub(super) release: Statement,
    pub(super) write_outbox: Statement,
    pub(super) entries: Statement,
    pub(super) heads: Statement,
    pub(super) heads_between: Statement,
    pub(super) unsent: Statement,
    pub(super) unsent_above: Statement,
    pub(super) mark_sent: Statement,
}

impl Prepared for CoreSql {
    async fn prepare(client: &Client) -> Result<Self, Error> {
        let texts = [
            BEGIN,
            COMMIT,
            ROLLBACK,
            LOCK_WAIT,
            RELAXED_COMMIT,
            CLAIM,
            STANDING,
            LOCK,
            LOCK_FREE,
            READ_UNLOCKED,
            REOPEN,
            OPEN_HOLDS,
            NOW,
            WRITE_LEGS,
            WRITE_ACCOUNTS,
            WRITE_HOLDS,
            END_HOLDS,
            SETTLE,
            RELEASE,
            WRITE_OUTBOX,
            ENTRIES,
            HEADS,
            HEADS_BETWEEN,
            UNSENT,
            UNSENT_ABOVE,
            MARK_SENT,
        ];
        // Pipelined: connecting costs one round trip for all of them.
        let mut prepared = try_join_all(texts.map(|text| client.prepare(text))).await?.into_iter();
        let mut next = || prepared.next().expect("one statement per text");
        Ok(Self {
            begin: next(),
            commit: next(),
            rollback: next(),
            lock_wait: next(),
            relaxed_commit: next(),
            claim: next(),
            standing: next(),
            lock: next(),
            lock_free: next(),
            read_unlocked: next(),
            reopen: next(),
            open_holds: next(),
            now: next(),
            write_legs: next(),
            write_accounts: next(),
            write_holds: next(),
            end_holds: next(),
            settle: next(),
            release: next(),
            write_outbox: next(),
            entries: next(),
            heads: next(),
            heads_between: next(),
            unsent: next(),
            unsent_above: next(),
            mark_sent: next(),
        })
    }
}

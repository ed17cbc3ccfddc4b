-- The channel's tables. Amounts and balances are whole won; *_us is microseconds since the Unix epoch, by core's database clock.

-- Whoever else applies this at the same moment waits here. Other advisory locks are account numbers, which are never negative.
SELECT pg_advisory_xact_lock(-1);

-- The copy of core's customers' entries.
CREATE TABLE IF NOT EXISTS entry (
    account       bigint NOT NULL,
    seq           bigint NOT NULL CHECK (seq >= 1),
    transfer      uuid   NOT NULL,
    amount        bigint NOT NULL,
    balance_after bigint NOT NULL,
    kind          text   NOT NULL CHECK (kind IN ('opening', 'deposit')),
    posted_at_us  bigint NOT NULL,
    PRIMARY KEY (account, seq)
);

-- How far each account's copy stands. Its row lock is what every advance holds.
CREATE TABLE IF NOT EXISTS account_sync (
    account  bigint  PRIMARY KEY,
    last_seq bigint  NOT NULL DEFAULT 0 CHECK (last_seq >= 0),
    balance  bigint  NOT NULL DEFAULT 0,
    dirty    boolean NOT NULL DEFAULT false              -- for the sweep that is to come
) WITH (fillfactor = 50);                                -- room on the page: every advance updates in place (HOT)

-- One line per account and advance, append-only. The id is drawn under the account's lock: per account it is commit order.
CREATE TABLE IF NOT EXISTS apply_journal (
    id            bigserial   PRIMARY KEY,
    account       bigint      NOT NULL,
    from_seq      bigint      NOT NULL,
    to_seq        bigint      NOT NULL CHECK (to_seq > from_seq),
    source        text        NOT NULL CHECK (source IN ('event', 'gap_fill')),
    topic         text        NOT NULL,
    partition     integer     NOT NULL,
    record_offset bigint      NOT NULL,
    generation    integer,
    instance      text        NOT NULL,
    txid          xid8        NOT NULL DEFAULT pg_current_xact_id(),
    applied_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Ends the transaction unless every compare-and-set found its row: COMMIT is pipelined behind it, so the server has to refuse.
CREATE OR REPLACE FUNCTION heads_moved(wanted bigint, moved bigint) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF wanted <> moved THEN
        RAISE EXCEPTION 'compare-and-set: % of % heads were where they were expected', moved, wanted USING ERRCODE = 'BS001';
    END IF;
    RETURN true;
END $$;

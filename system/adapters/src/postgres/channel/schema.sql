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
    kind          text   NOT NULL CHECK (kind IN ('opening', 'deposit', 'transfer_out', 'transfer_in', 'outbound')),
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
    source        text        NOT NULL CHECK (source IN ('event', 'gap_fill', 'answer')),
    topic         text,                                  -- the record that caused it; none where core's answer to a transfer did
    partition     integer,
    record_offset bigint,
    generation    integer,
    instance      text        NOT NULL,
    txid          xid8        NOT NULL DEFAULT pg_current_xact_id(),
    applied_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK (topic IS NOT NULL OR source = 'answer'),
    CHECK ((topic IS NULL) = (partition IS NULL)),
    CHECK ((topic IS NULL) = (record_offset IS NULL)),
    CHECK (topic IS NOT NULL OR generation IS NULL)
);

-- Transfers that began in this channel, stored before core is called (A2, A5). Times are by this database's clock, due_at_us by the one
-- that whoever set it goes by. A stage only moves forward; that is the channel's rule.
CREATE TABLE IF NOT EXISTS transfer (
    id            uuid    PRIMARY KEY,
    user_no       bigint  NOT NULL,
    guard         bigint,                                -- at most one open transfer with the same; none guards nothing
    from_account  bigint  NOT NULL,
    to_bank       text    NOT NULL,
    to_account    text    NOT NULL,
    amount        bigint  NOT NULL CHECK (amount > 0),
    params_hash   bytea   NOT NULL CHECK (octet_length(params_hash) = 32),
    stage         text    NOT NULL DEFAULT 'pending'
                  CHECK (stage IN ('pending', 'sent', 'unknown', 'completed', 'rejected', 'failed')),
    reason        text    CHECK (reason IN ('unknown_account', 'balance_overflow', 'not_received', 'account_closed', 'deposit_stopped',
                                            'withdrawal_stopped', 'insufficient_funds', 'expired', 'refused_by_bank')),
    seq           bigint  CHECK (seq > 0),               -- of its row in the copy, once completed
    created_at_us bigint  NOT NULL,
    due_at_us     bigint  NOT NULL,                      -- when the poller may look at it
    attempts      integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    opened_txid   xid8    NOT NULL DEFAULT pg_current_xact_id(),    -- the transaction that stored it
    settled_txid  xid8,                                  -- the transaction that made its stage terminal
    CHECK ((stage = 'completed') = (seq IS NOT NULL)),
    CHECK (reason IS NULL OR stage IN ('rejected', 'failed')),
    CHECK ((stage IN ('completed', 'rejected', 'failed')) = (settled_txid IS NOT NULL))
) WITH (fillfactor = 50);
CREATE UNIQUE INDEX IF NOT EXISTS transfer_guard ON transfer (guard) WHERE stage IN ('pending', 'sent', 'unknown');
CREATE INDEX IF NOT EXISTS transfer_due ON transfer (due_at_us, id) WHERE stage IN ('pending', 'sent', 'unknown');
CREATE INDEX IF NOT EXISTS transfer_open ON transfer (from_account) WHERE stage IN ('pending', 'sent', 'unknown');

-- Ends the transaction unless every compare-and-set found its row: COMMIT is pipelined behind it, so the server has to refuse.
CREATE OR REPLACE FUNCTION heads_moved(wanted bigint, moved bigint) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF wanted <> moved THEN
        RAISE EXCEPTION 'compare-and-set: % of % heads were where they were expected', moved, wanted USING ERRCODE = 'BS001';
    END IF;
    RETURN true;
END $$;

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
    dirty    boolean NOT NULL DEFAULT false,             -- may be behind with nothing on its way: the sweep looks here first (D43)
    hole     bigint  CHECK (hole >= 1)                   -- the lowest serial with an open dead letter (D3)
) WITH (fillfactor = 50);                                -- room on the page: every advance updates in place (HOT)
CREATE INDEX IF NOT EXISTS account_sync_dirty ON account_sync (account) WHERE dirty;
CREATE INDEX IF NOT EXISTS account_sync_hole ON account_sync (account) WHERE hole IS NOT NULL;

-- One line per account and advance, append-only. The id is drawn under the account's lock: per account it is commit order.
CREATE TABLE IF NOT EXISTS apply_journal (
    id            bigserial   PRIMARY KEY,
    account       bigint      NOT NULL,
    from_seq      bigint      NOT NULL,
    to_seq        bigint      NOT NULL CONSTRAINT forward CHECK (to_seq > from_seq),
    source        text        NOT NULL CHECK (source IN ('event', 'gap_fill', 'answer', 'read_sync', 'manual_sync', 'sweep',
                                                         'redrive')),
    topic         text,                                  -- the record that caused it; none where something else did
    partition     integer,
    record_offset bigint,
    generation    integer,
    instance      text        NOT NULL,
    txid          xid8        NOT NULL DEFAULT pg_current_xact_id(),
    applied_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK ((topic IS NOT NULL) = (source IN ('event', 'gap_fill')) OR source = 'answer'),
    CHECK ((topic IS NULL) = (partition IS NULL)),
    CHECK ((topic IS NULL) = (record_offset IS NULL)),
    CHECK (topic IS NOT NULL OR generation IS NULL)
);

-- Which generation of the consumer group may advance copies on behalf of a partition (D36). Who reads it keeps an advisory lock of the
-- partition, shared, until his transaction ends; who raises it takes that lock alone.
CREATE TABLE IF NOT EXISTS partition_owner (
    topic      text    NOT NULL,                         -- group/topic: generations are a group's
    partition  integer NOT NULL,
    generation integer NOT NULL,
    PRIMARY KEY (topic, partition)
);

-- Records that could not be applied (D2). A letter that names an account is kept under the account's lock; it is open until it is closed.
CREATE TABLE IF NOT EXISTS dead_letter (
    id            bigserial PRIMARY KEY,
    topic         text    NOT NULL,
    partition     integer NOT NULL,
    record_offset bigint  NOT NULL,
    account       bigint,                                -- whose it is, where that can be read
    seq           bigint,                                -- the serial that the account has to reach; none without account
    class         text    NOT NULL CHECK (class IN ('permanent', 'transient')),
    code          text    NOT NULL,
    detail        text    NOT NULL,
    attempts      integer NOT NULL CHECK (attempts >= 0),
    redrives      integer NOT NULL DEFAULT 0,
    parked_us     bigint  NOT NULL DEFAULT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint,
    due_at_us     bigint  NOT NULL DEFAULT 0,            -- until then it is leased to whoever drives it again
    closed_us     bigint,
    closed_by     text    CHECK (closed_by IN ('overtaken', 'redrive', 'command')),
    UNIQUE (topic, partition, record_offset),
    CHECK ((closed_us IS NULL) = (closed_by IS NULL))
);
CREATE INDEX IF NOT EXISTS dead_letter_open ON dead_letter (id) WHERE closed_us IS NULL;
CREATE INDEX IF NOT EXISTS dead_letter_open_account ON dead_letter (account, seq) WHERE closed_us IS NULL AND account IS NOT NULL;

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

-- Makes a generation the owner of partitions, whose advisory locks are taken in their order: advances on behalf of their former owners end
-- first, and later ones read what is written here. Each statement sees what was committed before it.
CREATE OR REPLACE FUNCTION own_partitions(of_topic text, topic_key integer, wanted integer[], mine integer, wait text)
RETURNS SETOF integer LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('lock_timeout', wait, true);
    PERFORM pg_advisory_xact_lock(topic_key, number) FROM unnest(wanted) AS number;
    INSERT INTO partition_owner (topic, partition, generation) SELECT of_topic, number, mine FROM unnest(wanted) AS number
        ON CONFLICT (topic, partition) DO UPDATE SET generation = excluded.generation
        WHERE partition_owner.generation < excluded.generation;
    RETURN QUERY SELECT partition FROM partition_owner
        WHERE topic = of_topic AND partition = ANY (wanted) AND generation > mine ORDER BY partition;
END $$;

-- Closes letters that their accounts have overtaken, and takes the marks from accounts with a hole and no open letter. Only those
-- are locked that have something to do. Accounts first, as advances lock them, and those that somebody holds are left for the next time; what follows sees all letters of a locked account.
CREATE OR REPLACE FUNCTION close_overtaken() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    wanted bigint[] := ARRAY(SELECT d.account FROM dead_letter d JOIN account_sync s ON s.account = d.account
                             WHERE d.closed_us IS NULL AND d.seq <= s.last_seq
                             UNION SELECT s.account FROM account_sync s WHERE s.hole IS NOT NULL
                             AND NOT EXISTS (SELECT FROM dead_letter d WHERE d.account = s.account AND d.closed_us IS NULL));
    held   bigint[] := ARRAY(SELECT account FROM account_sync WHERE account = ANY (wanted)
                             ORDER BY account FOR NO KEY UPDATE SKIP LOCKED);
    closed bigint;
BEGIN
    UPDATE dead_letter d SET closed_us = (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, closed_by = 'overtaken'
        FROM account_sync s
        WHERE s.account = ANY (held) AND d.account = s.account AND d.seq <= s.last_seq AND d.closed_us IS NULL;
    GET DIAGNOSTICS closed = ROW_COUNT;
    UPDATE account_sync s SET hole = NULL, dirty = false
        WHERE s.account = ANY (held) AND s.hole IS NOT NULL
        AND NOT EXISTS (SELECT FROM dead_letter d WHERE d.account = s.account AND d.closed_us IS NULL);
    RETURN closed;
END $$;

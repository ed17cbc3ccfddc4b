-- Core's tables. Amounts and balances are whole won; *_us is microseconds since the Unix epoch, by this database's clock where nothing
-- else is said.

-- Whoever else applies this at the same moment waits here.
SELECT pg_advisory_xact_lock(-1);

CREATE TABLE IF NOT EXISTS account (
    no      bigint PRIMARY KEY CHECK (no >= 1000000),   -- customers' only: internal accounts have legs, but neither head nor row (D40)
    seq     bigint NOT NULL CHECK (seq >= 0),           -- serial of the last entry
    balance bigint NOT NULL,
    held    bigint NOT NULL DEFAULT 0 CHECK (held >= 0),    -- what open holds keep back; that it is covered is core's rule
    status  text   NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'deposit_stopped', 'withdrawal_stopped', 'closed'))
) WITH (fillfactor = 50);                               -- room on the page: every posting updates in place (HOT)

CREATE TABLE IF NOT EXISTS transfer (
    id              uuid PRIMARY KEY,
    params_hash     bytea  NOT NULL CHECK (octet_length(params_hash) = 32),   -- 32 zero bytes: a tombstone
    kind            text   NOT NULL CHECK (kind IN ('opening', 'deposit', 'transfer', 'outbound', 'tombstone')),
    state           text   NOT NULL CHECK (state IN ('processing', 'completed', 'rejected')),   -- processing: a hold is open
    account         bigint,                             -- credited by a deposit, debited by a transfer
    amount          bigint CHECK (amount > 0 OR kind = 'opening'),
    party_bank      text,                               -- the other side
    party_account   text,
    reason          text CHECK (reason IN ('unknown_account', 'balance_overflow', 'not_received', 'account_closed', 'deposit_stopped',
                                           'withdrawal_stopped', 'insufficient_funds', 'expired', 'refused_by_bank')),
    seq             bigint,
    balance_after   bigint,
    created_at_us   bigint NOT NULL DEFAULT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint,
    posted_at_us    bigint,
    requested_at_us bigint,                             -- by the caller's clock
    valid_for_ms    bigint CHECK (valid_for_ms > 0),
    CHECK ((kind = 'tombstone') = (account IS NULL)),
    CHECK ((account IS NULL) = (amount IS NULL)),
    CHECK ((party_bank IS NULL) = (party_account IS NULL)),
    CHECK ((requested_at_us IS NULL) = (valid_for_ms IS NULL)),
    CHECK ((state = 'completed') = (seq IS NOT NULL)),
    CHECK ((state = 'completed') = (balance_after IS NOT NULL)),
    CHECK (state = 'completed' OR posted_at_us IS NULL),
    CHECK ((state = 'rejected') = (reason IS NOT NULL))
) WITH (fillfactor = 50);                               -- claimed, then settled: one update of every row

CREATE TABLE IF NOT EXISTS entry (
    transfer      uuid   NOT NULL,
    account       bigint NOT NULL,
    seq           bigint,
    amount        bigint NOT NULL CHECK (amount <> 0 OR kind = 'opening'),
    balance_after bigint,
    kind          text   NOT NULL CHECK (kind IN ('opening', 'deposit', 'transfer_out', 'transfer_in', 'outbound')),
    posted_at_us  bigint NOT NULL,
    CHECK ((account < 1000000) = (seq IS NULL)),
    CHECK ((account < 1000000) = (balance_after IS NULL)),
    CHECK (seq > 0)
);
CREATE UNIQUE INDEX IF NOT EXISTS entry_account_seq ON entry (account, seq) WHERE seq IS NOT NULL;

-- Money kept back for an outbound transfer until the other bank has answered (D39). A hold ends once, by the transaction that settles
-- its transfer.
CREATE TABLE IF NOT EXISTS hold (
    transfer     uuid   PRIMARY KEY,
    account      bigint NOT NULL CHECK (account >= 1000000),
    amount       bigint NOT NULL CHECK (amount > 0),
    state        text   NOT NULL CHECK (state IN ('held', 'posted', 'voided')),
    placed_seq   bigint NOT NULL CHECK (placed_seq >= 0),   -- the account's last serial: the hold counts from that balance on
    placed_at_us bigint NOT NULL,
    ended_seq    bigint,                                    -- from that balance on it counts no more
    CHECK ((state = 'held') = (ended_seq IS NULL)),
    CHECK (ended_seq >= placed_seq)
) WITH (fillfactor = 50);
CREATE INDEX IF NOT EXISTS hold_open ON hold (placed_at_us, transfer) WHERE state = 'held';

-- Entries that wait to be published. A sent row is deleted, by a commit that need not be durable: should a crash bring it back, it is
-- sent again, which is harmless, and the table stays as small as what is in flight.
CREATE TABLE IF NOT EXISTS outbox (
    id            bigserial PRIMARY KEY,                     -- drawn at the write: who commits late is below those seen before (R10)
    account       bigint NOT NULL,
    seq           bigint NOT NULL,
    amount        bigint NOT NULL,
    balance_after bigint NOT NULL,
    transfer      uuid   NOT NULL,
    kind          text   NOT NULL,
    posted_at_us  bigint NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

-- Ends the transaction unless every hold that ends was open: COMMIT is pipelined behind it, so the server has to refuse.
CREATE OR REPLACE FUNCTION holds_ended(wanted bigint, ended bigint) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF wanted <> ended THEN
        RAISE EXCEPTION 'holds: % of % were open', ended, wanted USING ERRCODE = 'BS002';
    END IF;
    RETURN true;
END $$;

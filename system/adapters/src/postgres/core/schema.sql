-- Core's tables. Amounts and balances are whole won; *_us is microseconds since the Unix epoch, by this database's clock.

CREATE TABLE IF NOT EXISTS account (
    no      bigint PRIMARY KEY CHECK (no >= 1000000),   -- customers' only: internal accounts have legs, but neither head nor row (D40)
    seq     bigint NOT NULL CHECK (seq >= 0),           -- serial of the last entry
    balance bigint NOT NULL
) WITH (fillfactor = 50);                               -- room on the page: every posting updates in place (HOT)

CREATE TABLE IF NOT EXISTS transfer (
    id            uuid PRIMARY KEY,
    params_hash   bytea  NOT NULL CHECK (octet_length(params_hash) = 32),   -- 32 zero bytes: a tombstone
    kind          text   NOT NULL CHECK (kind IN ('opening', 'deposit', 'tombstone')),
    state         text   NOT NULL CHECK (state IN ('processing', 'completed', 'rejected')),
    account       bigint,
    amount        bigint CHECK (amount > 0 OR kind = 'opening'),
    from_bank     text,
    from_account  text,
    reason        text CHECK (reason IN ('unknown_account', 'balance_overflow', 'not_received')),
    seq           bigint,
    balance_after bigint,
    created_at_us bigint NOT NULL DEFAULT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint,
    CHECK ((kind = 'tombstone') = (account IS NULL)),
    CHECK ((account IS NULL) = (amount IS NULL)),
    CHECK ((state = 'completed') = (seq IS NOT NULL)),
    CHECK ((state = 'completed') = (balance_after IS NOT NULL)),
    CHECK ((state = 'rejected') = (reason IS NOT NULL))
) WITH (fillfactor = 50);                               -- claimed, then settled: one update of every row

CREATE TABLE IF NOT EXISTS entry (
    transfer      uuid   NOT NULL,
    account       bigint NOT NULL,
    seq           bigint,
    amount        bigint NOT NULL CHECK (amount <> 0 OR kind = 'opening'),
    balance_after bigint,
    kind          text   NOT NULL CHECK (kind IN ('opening', 'deposit')),
    posted_at_us  bigint NOT NULL,
    CHECK ((account < 1000000) = (seq IS NULL)),
    CHECK ((account < 1000000) = (balance_after IS NULL)),
    CHECK (seq > 0)
);
CREATE UNIQUE INDEX IF NOT EXISTS entry_account_seq ON entry (account, seq) WHERE seq IS NOT NULL;

-- Entries that wait to be published. A sent row is deleted, by a commit that need not be durable: should a crash bring it back, it is
-- sent again, which is harmless, and the table stays as small as what is in flight.
CREATE TABLE IF NOT EXISTS outbox (
    id            bigserial PRIMARY KEY,
    account       bigint NOT NULL,
    seq           bigint NOT NULL,
    amount        bigint NOT NULL,
    balance_after bigint NOT NULL,
    transfer      uuid   NOT NULL,
    kind          text   NOT NULL,
    posted_at_us  bigint NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

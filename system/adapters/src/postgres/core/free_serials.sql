-- Core's tables without what stands behind the account's lock (P25): entries may have one serial twice. Applied after schema.sql.
DROP INDEX IF EXISTS entry_account_seq;
CREATE INDEX IF NOT EXISTS entry_account_seq_free ON entry (account, seq) WHERE seq IS NOT NULL;

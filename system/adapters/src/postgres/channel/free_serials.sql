-- The channel's tables without what stands behind the rule of serials (P14, P24): the copy may have an entry twice, and go back. Applied after
-- schema.sql.
ALTER TABLE entry DROP CONSTRAINT IF EXISTS entry_pkey;
CREATE INDEX IF NOT EXISTS entry_account_seq_free ON entry (account, seq);
ALTER TABLE apply_journal DROP CONSTRAINT IF EXISTS forward;

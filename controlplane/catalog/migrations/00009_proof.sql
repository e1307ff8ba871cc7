-- +goose Up
-- What is known of a backup beside its manifest: who holds it, when its file was
-- read again and what was wrong with it, and its newest test restore as JSON,
-- whose state and time stand apart because health asks for them.
ALTER TABLE backups ADD COLUMN held INTEGER NOT NULL DEFAULT 0 CHECK (held IN (0, 1));
ALTER TABLE backups ADD COLUMN hold_reason TEXT NOT NULL DEFAULT '';
ALTER TABLE backups ADD COLUMN held_by TEXT NOT NULL DEFAULT '';
ALTER TABLE backups ADD COLUMN scrubbed_at INTEGER;
ALTER TABLE backups ADD COLUMN damage TEXT NOT NULL DEFAULT '';
ALTER TABLE backups ADD COLUMN proof TEXT NOT NULL DEFAULT '{}';
ALTER TABLE backups ADD COLUMN proof_state TEXT NOT NULL DEFAULT '' CHECK (proof_state IN ('', 'succeeded', 'failed'));
ALTER TABLE backups ADD COLUMN proved_at INTEGER;
CREATE INDEX backups_proved ON backups (instance, database, proved_at DESC) WHERE proved_at IS NOT NULL;

-- +goose Up
-- The key by which an agent's signatures are known: the first one after each
-- enrolment, and the one that it used last.
ALTER TABLE agents ADD COLUMN signing_key BLOB;
ALTER TABLE agents ADD COLUMN signing_key_at INTEGER;
ALTER TABLE agents ADD COLUMN signing_key_last BLOB;

-- The place of a manifest among those of its database that one key signed, and
-- why the catalog does not believe a backup: it was another one before.
ALTER TABLE backups ADD COLUMN sequence INTEGER NOT NULL DEFAULT 0;
ALTER TABLE backups ADD COLUMN signed_by TEXT NOT NULL DEFAULT '';
ALTER TABLE backups ADD COLUMN suspect TEXT NOT NULL DEFAULT '';
CREATE INDEX backups_by_sequence ON backups (instance, database, signed_by, sequence) WHERE sequence > 0;

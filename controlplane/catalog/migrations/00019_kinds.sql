-- +goose Up
-- What kind of backup each is, and what it is of; see subject.Kind and
-- subject.Subject. All of before are dumps of a database, and some of them are
-- files of which nobody knows the database's name.
ALTER TABLE backups ADD COLUMN kind TEXT NOT NULL DEFAULT 'logical';
ALTER TABLE backups ADD COLUMN subject TEXT NOT NULL DEFAULT 'database';
UPDATE backups SET subject = '' WHERE database = '';

-- Backups of another kind or subject are no newer ones of a dump, and have a
-- chain of signatures of their own.
DROP INDEX backups_judged;
CREATE INDEX backups_judged ON backups (instance, database, kind, created_at, state, complete, proof_state, size_bytes, plain_size_bytes, encrypted, id);
DROP INDEX backups_by_sequence;
CREATE INDEX backups_by_sequence ON backups (instance, database, kind, subject, signed_by, sequence) WHERE sequence > 0;

-- +goose Up
-- What the control plane did not take of what an agent said; see fleet.Refusal.
ALTER TABLE agents ADD COLUMN refused TEXT NOT NULL DEFAULT '';
ALTER TABLE agents ADD COLUMN refused_count INTEGER NOT NULL DEFAULT 0;
ALTER TABLE agents ADD COLUMN refused_at INTEGER;

-- What each agent holds here, so that its share can be looked up and not counted.
CREATE TABLE shares (
    instance TEXT PRIMARY KEY REFERENCES agents (name),
    backups  INTEGER NOT NULL DEFAULT 0,
    runs     INTEGER NOT NULL DEFAULT 0,
    bytes    INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO shares SELECT name,
    (SELECT count(*) FROM backups WHERE instance = name),
    (SELECT count(*) FROM runs WHERE instance = name),
    (SELECT coalesce(sum(octet_length(manifest) + octet_length(proof)), 0) FROM backups WHERE instance = name)
        + (SELECT coalesce(sum(octet_length(error) + octet_length(warnings)), 0) FROM runs WHERE instance = name)
FROM agents;
-- +goose StatementBegin
CREATE TRIGGER shares_begin AFTER INSERT ON agents
BEGIN
    INSERT INTO shares (instance) VALUES (NEW.name);
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER shares_backup_added AFTER INSERT ON backups
BEGIN
    UPDATE shares SET backups = backups + 1, bytes = bytes + octet_length(NEW.manifest) + octet_length(NEW.proof) WHERE instance = NEW.instance;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER shares_backup_changed AFTER UPDATE OF proof ON backups
BEGIN
    UPDATE shares SET bytes = bytes + octet_length(NEW.proof) - octet_length(OLD.proof) WHERE instance = NEW.instance;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER shares_backup_gone AFTER DELETE ON backups
BEGIN
    UPDATE shares SET backups = backups - 1, bytes = bytes - octet_length(OLD.manifest) - octet_length(OLD.proof) WHERE instance = OLD.instance;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER shares_run_added AFTER INSERT ON runs
BEGIN
    UPDATE shares SET runs = runs + 1, bytes = bytes + octet_length(NEW.error) + octet_length(NEW.warnings) WHERE instance = NEW.instance;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER shares_run_changed AFTER UPDATE OF error, warnings ON runs
BEGIN
    UPDATE shares SET bytes = bytes + octet_length(NEW.error) + octet_length(NEW.warnings) - octet_length(OLD.error) - octet_length(OLD.warnings)
    WHERE instance = NEW.instance;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER shares_run_gone AFTER DELETE ON runs
BEGIN
    UPDATE shares SET runs = runs - 1, bytes = bytes - octet_length(OLD.error) - octet_length(OLD.warnings) WHERE instance = OLD.instance;
END;
-- +goose StatementEnd

-- What is pruned is found by its age.
CREATE INDEX runs_by_age ON runs (instance, started_at);
CREATE INDEX jobs_by_end ON jobs (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX backups_by_removal ON backups (removed_at) WHERE state = 'removed';

-- Up to which entry the trail was sealed off: it stands in files from there back,
-- and goes on here after it. The head is signed.
CREATE TABLE sealed (
    sequence    INTEGER PRIMARY KEY,
    hash        TEXT NOT NULL,
    at          INTEGER NOT NULL,
    signature   BLOB NOT NULL,
    certificate BLOB NOT NULL,
    file_sha256 TEXT NOT NULL
) STRICT;
DROP TRIGGER audit_no_delete;
-- +goose StatementBegin
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
WHEN OLD.sequence > (SELECT coalesce(max(sequence), 0) FROM sealed)
BEGIN
    SELECT RAISE(ABORT, 'the trail is append-only');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER sealed_no_delete BEFORE DELETE ON sealed
BEGIN
    SELECT RAISE(ABORT, 'the trail is append-only');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER sealed_no_update BEFORE UPDATE ON sealed
BEGIN
    SELECT RAISE(ABORT, 'the trail is append-only');
END;
-- +goose StatementEnd

-- +goose Up
-- More kinds of job, and backups that are known to be damaged. A CHECK can't be
-- altered, so both tables are made anew. Which kinds of job there are is the
-- domain's to say, and no longer the schema's.

CREATE TABLE jobs_new (
    id             TEXT PRIMARY KEY,
    request_id     TEXT NOT NULL DEFAULT '',
    kind           TEXT NOT NULL,
    instance       TEXT NOT NULL REFERENCES agents (name),
    spec           TEXT NOT NULL,
    state          TEXT NOT NULL CHECK (state IN ('queued', 'offered', 'running', 'succeeded', 'failed', 'cancelled', 'lost')),
    requested_by   TEXT NOT NULL,
    created_at     INTEGER NOT NULL,
    started_at     INTEGER,
    finished_at    INTEGER,
    deadline       INTEGER NOT NULL,
    error          TEXT NOT NULL DEFAULT '',
    failure        TEXT NOT NULL DEFAULT '',
    phase          TEXT NOT NULL DEFAULT '',
    done_bytes     INTEGER NOT NULL DEFAULT 0,
    total_bytes    INTEGER NOT NULL DEFAULT 0,
    audit_sequence INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO jobs_new SELECT id, request_id, kind, instance, spec, state, requested_by, created_at, started_at, finished_at,
    deadline, error, failure, phase, done_bytes, total_bytes, audit_sequence FROM jobs;
DROP TABLE jobs;
ALTER TABLE jobs_new RENAME TO jobs;
CREATE UNIQUE INDEX jobs_by_request ON jobs (requested_by, request_id) WHERE request_id <> '';
CREATE INDEX jobs_open ON jobs (instance, created_at) WHERE state IN ('queued', 'offered', 'running');
CREATE INDEX jobs_by_kind ON jobs (kind, created_at DESC, id DESC);

CREATE TABLE backups_new (
    id                TEXT PRIMARY KEY,
    instance          TEXT NOT NULL REFERENCES agents (name),
    database          TEXT NOT NULL,
    state             TEXT NOT NULL CHECK (state IN ('present', 'missing', 'damaged', 'removed')),
    created_at        INTEGER NOT NULL,
    complete          INTEGER NOT NULL CHECK (complete IN (0, 1)),
    size_bytes        INTEGER NOT NULL,
    removed_at        INTEGER,
    removed_for       TEXT NOT NULL DEFAULT '',
    retention_status  TEXT NOT NULL DEFAULT '',
    retention_expires INTEGER,
    retention_reason  TEXT NOT NULL DEFAULT '',
    manifest          TEXT NOT NULL
) STRICT;
INSERT INTO backups_new SELECT id, instance, database, state, created_at, complete, size_bytes, removed_at, removed_for,
    retention_status, retention_expires, retention_reason, manifest FROM backups;
DROP TABLE backups;
ALTER TABLE backups_new RENAME TO backups;
CREATE INDEX backups_by_time ON backups (created_at DESC, id DESC);
CREATE INDEX backups_by_database ON backups (instance, database, state, created_at DESC);

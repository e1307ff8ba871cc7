-- +goose Up
-- Times are microseconds since the Unix epoch, UTC; sizes are bytes.

CREATE TABLE settings (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

CREATE TABLE agents (
    name             TEXT PRIMARY KEY,
    created_at       INTEGER NOT NULL,
    enrolled_at      INTEGER,
    revoked_at       INTEGER,
    last_seen_at     INTEGER,
    version          TEXT NOT NULL DEFAULT '',
    status           TEXT NOT NULL DEFAULT '{}',
    inventory_digest TEXT NOT NULL DEFAULT ''
) STRICT;

CREATE TABLE users (
    name        TEXT PRIMARY KEY,
    role        TEXT NOT NULL CHECK (role IN ('OWNER', 'OPERATOR', 'VIEWER')),
    created_at  INTEGER NOT NULL,
    enrolled_at INTEGER,
    revoked_at  INTEGER
) STRICT;

CREATE TABLE grants (
    user       TEXT NOT NULL REFERENCES users (name),
    permission TEXT NOT NULL,
    granted_by TEXT NOT NULL,
    granted_at INTEGER NOT NULL,
    PRIMARY KEY (user, permission)
) STRICT;

-- An enrolment of an agent or of a person's device; its certificates name it.
CREATE TABLE identities (
    id         TEXT PRIMARY KEY,
    kind       TEXT NOT NULL CHECK (kind IN ('agent', 'user')),
    name       TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT;
CREATE INDEX identities_by_name ON identities (kind, name);

CREATE TABLE invites (
    secret_hash TEXT PRIMARY KEY,
    kind        TEXT NOT NULL CHECK (kind IN ('agent', 'user')),
    name        TEXT NOT NULL,
    role        TEXT NOT NULL DEFAULT '',
    created_by  TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    used_at     INTEGER
) STRICT;

CREATE TABLE runs (
    id          TEXT PRIMARY KEY,
    instance    TEXT NOT NULL REFERENCES agents (name),
    database    TEXT NOT NULL,
    trigger     TEXT NOT NULL,
    state       TEXT NOT NULL CHECK (state IN ('running', 'succeeded', 'failed')),
    started_at  INTEGER NOT NULL,
    finished_at INTEGER,
    error       TEXT NOT NULL DEFAULT '',
    warnings    TEXT NOT NULL DEFAULT '[]',
    backup_id   TEXT NOT NULL DEFAULT '',
    job_id      TEXT NOT NULL DEFAULT '',
    size_bytes  INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX runs_by_start ON runs (started_at DESC, id DESC);
CREATE INDEX runs_by_database ON runs (instance, database, started_at DESC);
CREATE INDEX runs_by_job ON runs (job_id) WHERE job_id <> '';

CREATE TABLE backups (
    id                TEXT PRIMARY KEY,
    instance          TEXT NOT NULL REFERENCES agents (name),
    database          TEXT NOT NULL,
    state             TEXT NOT NULL CHECK (state IN ('present', 'missing', 'removed')),
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
CREATE INDEX backups_by_time ON backups (created_at DESC, id DESC);
CREATE INDEX backups_by_database ON backups (instance, database, state, created_at DESC);

CREATE TABLE jobs (
    id             TEXT PRIMARY KEY,
    request_id     TEXT NOT NULL DEFAULT '',
    kind           TEXT NOT NULL CHECK (kind IN ('backup', 'restore', 'send')),
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
CREATE UNIQUE INDEX jobs_by_request ON jobs (requested_by, request_id) WHERE request_id <> '';
CREATE INDEX jobs_open ON jobs (instance, created_at) WHERE state IN ('queued', 'offered', 'running');
CREATE INDEX jobs_by_kind ON jobs (kind, created_at DESC, id DESC);

CREATE TABLE audit (
    sequence      INTEGER PRIMARY KEY,
    at            INTEGER NOT NULL,
    actor         TEXT NOT NULL,
    action        TEXT NOT NULL,
    instance      TEXT NOT NULL,
    target        TEXT NOT NULL,
    reason        TEXT NOT NULL,
    outcome       TEXT NOT NULL,
    detail        TEXT NOT NULL,
    completes     INTEGER NOT NULL,
    previous_hash TEXT NOT NULL,
    hash          TEXT NOT NULL
) STRICT;
-- The trail only grows.
-- +goose StatementBegin
CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the trail is append-only');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the trail is append-only');
END;
-- +goose StatementEnd
-- REPLACE would go past the two above.
-- +goose StatementBegin
CREATE TRIGGER audit_only_appended BEFORE INSERT ON audit
WHEN NEW.sequence <> (SELECT coalesce(max(sequence), 0) + 1 FROM audit)
BEGIN
    SELECT RAISE(ABORT, 'the trail is append-only');
END;
-- +goose StatementEnd

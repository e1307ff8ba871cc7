-- +goose Up
-- What is asked of people before they touch an instance's backups, and the
-- requests that wait for a second person because of it.

CREATE TABLE policies (
    glob             TEXT PRIMARY KEY,
    require_approval TEXT NOT NULL, -- a JSON list of actions
    require_reason   TEXT NOT NULL, -- likewise
    approval_ttl     INTEGER NOT NULL, -- microseconds; 0 is the default
    updated_by       TEXT NOT NULL,
    updated_at       INTEGER NOT NULL
) STRICT;

CREATE TABLE approvals (
    id                 TEXT PRIMARY KEY,
    digest             TEXT NOT NULL, -- of the request
    action             TEXT NOT NULL,
    instance           TEXT NOT NULL,
    source             TEXT NOT NULL, -- the instance that a backup leaves, where it does
    target             TEXT NOT NULL,
    details            TEXT NOT NULL, -- a JSON list
    reason             TEXT NOT NULL,
    requester          TEXT NOT NULL,
    requester_identity TEXT NOT NULL,
    state              TEXT NOT NULL CHECK (state IN ('pending', 'approved', 'in-use', 'used', 'denied', 'expired', 'void')),
    created_at         INTEGER NOT NULL,
    lifetime           INTEGER NOT NULL, -- microseconds
    expires_at         INTEGER NOT NULL,
    decided_by         TEXT NOT NULL DEFAULT '',
    decider_identity   TEXT NOT NULL DEFAULT '',
    decided_at         INTEGER,
    comment            TEXT NOT NULL DEFAULT '',
    used_at            INTEGER
) STRICT;
-- A request has one approval at a time that can still come to something.
CREATE UNIQUE INDEX approvals_open ON approvals (digest) WHERE state IN ('pending', 'approved', 'in-use');
CREATE INDEX approvals_by_request ON approvals (digest);
CREATE INDEX approvals_by_time ON approvals (created_at DESC, id DESC);

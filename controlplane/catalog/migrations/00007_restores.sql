-- +goose Up
-- What came of a restore beside its job's end: what it replaced and for how
-- long that is kept, and what the look ahead found.

CREATE TABLE restores (
    job_id        TEXT PRIMARY KEY REFERENCES jobs (id),
    kept_database TEXT NOT NULL DEFAULT '',
    kept_until    INTEGER,
    undone_at     INTEGER,
    checks        TEXT NOT NULL DEFAULT '[]'
) STRICT;

ALTER TABLE jobs ADD COLUMN done_objects INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN total_objects INTEGER NOT NULL DEFAULT 0;

-- +goose Up
-- How far the agent's clock was ahead at its last word, in microseconds.
ALTER TABLE agents ADD COLUMN clock_offset INTEGER NOT NULL DEFAULT 0;

-- What health holds databases against; see fleet.Thresholds.
CREATE TABLE thresholds (
    pattern    TEXT PRIMARY KEY, -- of "instance/database"
    thresholds TEXT NOT NULL,
    set_by     TEXT NOT NULL,
    set_at     INTEGER NOT NULL
) STRICT;

CREATE INDEX jobs_restores_by_target ON jobs (instance, json_extract(spec, '$.target_database'), finished_at) WHERE kind = 'restore';

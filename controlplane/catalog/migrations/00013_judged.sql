-- +goose Up
-- Health looks at every database of the fleet every few seconds: what it asks of
-- each stands in an index, so that no manifest is read for it.
ALTER TABLE backups ADD COLUMN plain_size_bytes INTEGER GENERATED ALWAYS AS (coalesce(json_extract(manifest, '$.plain_size_bytes'), 0)) VIRTUAL;
ALTER TABLE backups ADD COLUMN encrypted INTEGER GENERATED ALWAYS AS (coalesce(json_extract(manifest, '$.encrypted'), 0)) VIRTUAL;
CREATE INDEX backups_judged ON backups (instance, database, created_at, state, complete, proof_state, size_bytes, plain_size_bytes, encrypted, id);
CREATE INDEX backups_wrong ON backups (instance) WHERE state IN ('missing', 'damaged');
CREATE INDEX runs_scheduled ON runs (instance, started_at, database) WHERE trigger = 'schedule';
CREATE INDEX runs_ended ON runs (instance, database, finished_at) WHERE state <> 'running';
CREATE INDEX runs_under_way ON runs (instance, started_at) WHERE state = 'running';

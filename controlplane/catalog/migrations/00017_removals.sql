-- +goose Up
-- When the control plane was told that a backup is gone: an agent can say that it
-- was long ago, and have it pruned at once. Of those from before, its word is all
-- there is.
ALTER TABLE backups ADD COLUMN removal_told_at INTEGER;
UPDATE backups SET removal_told_at = removed_at WHERE state = 'removed';
DROP INDEX backups_by_removal;
CREATE INDEX backups_by_removal ON backups (removal_told_at) WHERE state = 'removed';

-- How many backups of an agent became suspect of late: how many are on the trail, and
-- how many more are to be told of in one entry.
ALTER TABLE agents ADD COLUMN suspects_since INTEGER;
ALTER TABLE agents ADD COLUMN suspects_told INTEGER NOT NULL DEFAULT 0;
ALTER TABLE agents ADD COLUMN suspects_more INTEGER NOT NULL DEFAULT 0;
ALTER TABLE agents ADD COLUMN suspects_last TEXT NOT NULL DEFAULT '';

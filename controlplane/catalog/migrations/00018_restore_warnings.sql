-- +goose Up
-- What a restored database lacks, in the words of its agent.
ALTER TABLE restores ADD COLUMN warnings TEXT NOT NULL DEFAULT '[]';

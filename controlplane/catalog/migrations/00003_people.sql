-- +goose Up
-- Scopes of people, of their grants and invites: globs with commas between, and
-- none is the whole fleet. Devices of people, who have names and are seen.

ALTER TABLE users ADD COLUMN instances TEXT NOT NULL DEFAULT '';
ALTER TABLE grants ADD COLUMN instances TEXT NOT NULL DEFAULT '';
ALTER TABLE invites ADD COLUMN instances TEXT NOT NULL DEFAULT '';

ALTER TABLE identities ADD COLUMN device TEXT NOT NULL DEFAULT '';
ALTER TABLE identities ADD COLUMN last_seen_at INTEGER;
-- A device is new until it has signed in. Those that are there already are not.
UPDATE identities SET last_seen_at = created_at WHERE kind = 'user';

-- +goose Up
-- What a person had asked for before their rights were others: invites end with
-- the rights that they were made for, and say who answered for them where a policy
-- asked for a second person. The backup of a restore on another instance leaves once.

ALTER TABLE invites ADD COLUMN voided_at INTEGER;
ALTER TABLE invites ADD COLUMN approved_by TEXT NOT NULL DEFAULT '';

ALTER TABLE jobs ADD COLUMN fetched_at INTEGER;

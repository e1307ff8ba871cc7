-- +goose Up
-- With which device an invite was made; it ends with that. Empty for the host's, and
-- for those from before, which end with any device of whoever made them.
ALTER TABLE invites ADD COLUMN created_on TEXT NOT NULL DEFAULT '';

-- +goose Up
-- Which key an invite was used with, so that the same enrolment can be told
-- twice; which CAs an enrolment trusts, so that none is left behind when they
-- change; and the second agent that came with the identity of one that lives.

ALTER TABLE invites ADD COLUMN used_key TEXT NOT NULL DEFAULT '';
ALTER TABLE invites ADD COLUMN identity TEXT NOT NULL DEFAULT '';

ALTER TABLE identities ADD COLUMN ends_at INTEGER; -- of the last certificate issued
ALTER TABLE identities ADD COLUMN issuer TEXT NOT NULL DEFAULT ''; -- of the certificate in use
ALTER TABLE identities ADD COLUMN trusts TEXT NOT NULL DEFAULT '[]';

ALTER TABLE agents ADD COLUMN duplicate_host TEXT NOT NULL DEFAULT '';
ALTER TABLE agents ADD COLUMN duplicate_at INTEGER;

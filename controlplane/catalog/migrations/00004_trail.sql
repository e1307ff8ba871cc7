-- +goose Up
-- The newest head of the trail that each agent holds, by its own word. What the
-- trail has under its number is looked up and not kept, so that a dispute lasts
-- for as long as there is one.
CREATE TABLE trail_heads (
    instance    TEXT PRIMARY KEY REFERENCES agents (name),
    sequence    INTEGER NOT NULL,
    hash        TEXT NOT NULL,
    at          INTEGER NOT NULL,
    signature   BLOB NOT NULL,
    certificate BLOB NOT NULL,
    told_at     INTEGER NOT NULL
) STRICT;

-- A trail is asked who did something, and what was done to something.
CREATE INDEX audit_by_actor ON audit (actor);
CREATE INDEX audit_by_instance ON audit (instance);
CREATE INDEX audit_by_target ON audit (target);
-- And how it went on.
CREATE INDEX audit_by_completes ON audit (completes) WHERE completes > 0;

-- +goose Up
-- What is wrong, as the last look at the fleet saw it; see fleet.Alert.
CREATE TABLE alerts (
    instance   TEXT NOT NULL,
    database   TEXT NOT NULL,
    verdict    TEXT NOT NULL,
    text       TEXT NOT NULL,
    next_step  TEXT NOT NULL,
    since      INTEGER NOT NULL,
    fired_at   INTEGER,
    told_at    INTEGER,
    cleared_at INTEGER,
    PRIMARY KEY (instance, database, verdict)
) STRICT;

-- What somebody is to be told, until it has been delivered.
CREATE TABLE notifications (
    id         TEXT PRIMARY KEY,
    channel    TEXT NOT NULL,
    body       TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    attempts   INTEGER NOT NULL DEFAULT 0,
    next_at    INTEGER NOT NULL
) STRICT;
CREATE INDEX notifications_due ON notifications (next_at);

-- How far each read model has folded the log: position and digest of the event there (architecture §4, §6).
-- slot: of accounts, 0 to 63, for a sharded model; 0 alone for the others.
CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA public;  -- subjects are searched by a part of them
CREATE SCHEMA IF NOT EXISTS checkpoints;
CREATE TABLE IF NOT EXISTS checkpoints.checkpoint (
    schema   text     NOT NULL,
    slot     smallint NOT NULL,
    position bigint   NOT NULL,
    digest   bytea    NOT NULL,
    PRIMARY KEY (schema, slot)
) WITH (fillfactor = 50);

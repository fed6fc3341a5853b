-- Who is trying which recipient now: no projection, never rebuilt; time is the database's (architecture §2).
CREATE SCHEMA IF NOT EXISTS leases;
CREATE TABLE IF NOT EXISTS leases.relay_lease (
    mail_id   text        NOT NULL,
    recipient int         NOT NULL,
    holder    text        NOT NULL,
    until     timestamptz NOT NULL,
    PRIMARY KEY (mail_id, recipient)
);
-- Somebody waits for it: a relay that has not begun gives it back.
ALTER TABLE leases.relay_lease ADD COLUMN IF NOT EXISTS is_wanted boolean NOT NULL DEFAULT false;
-- Leases that ran out while their recipient still waited: possible doubles, for status and the operator.
CREATE TABLE IF NOT EXISTS leases.ran_out (
    number    bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    mail_id   text        NOT NULL,
    recipient int         NOT NULL,
    holder    text        NOT NULL,
    until     timestamptz NOT NULL
);

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
-- False: who took it over cannot tell whether a host may have had the mail; its relay can, when it is back.
ALTER TABLE leases.ran_out ADD COLUMN IF NOT EXISTS is_certain boolean NOT NULL DEFAULT true;
-- How agencies' mail servers were when a relay connected to them last: what all relays together know.
CREATE TABLE IF NOT EXISTS leases.hop (
    host      text        NOT NULL,
    port      int         NOT NULL,
    is_silent boolean     NOT NULL,
    since     timestamptz NOT NULL,       -- it has been so without a gap
    seen_at   timestamptz NOT NULL,
    PRIMARY KEY (host, port)
);
-- When somebody took it on to connect to one just to see how it is.
CREATE TABLE IF NOT EXISTS leases.hop_probe (
    host text        NOT NULL,
    port int         NOT NULL,
    at   timestamptz NOT NULL,
    PRIMARY KEY (host, port)
);
-- What relays know of a destination together; as in pace.py.
CREATE TABLE IF NOT EXISTS leases.destination (
    name         text        PRIMARY KEY,
    connections  float8      NOT NULL,  -- its window
    failures     int         NOT NULL,
    suspended_at timestamptz,
    probe_at     timestamptz,
    probes       int         NOT NULL,
    why          text        NOT NULL
);
ALTER TABLE leases.destination ADD COLUMN IF NOT EXISTS way text NOT NULL DEFAULT '';
ALTER TABLE leases.destination ADD COLUMN IF NOT EXISTS next_mail_at timestamptz;
-- When a relay did last.
ALTER TABLE leases.destination ADD COLUMN IF NOT EXISTS asked_at timestamptz NOT NULL DEFAULT statement_timestamp();
CREATE INDEX IF NOT EXISTS destination_suspended ON leases.destination (suspended_at) WHERE suspended_at IS NOT NULL;
-- Connections there are, or are being made.
CREATE TABLE IF NOT EXISTS leases.connection (
    token       text        PRIMARY KEY,
    destination text        NOT NULL,
    is_open     boolean     NOT NULL,
    until       timestamptz NOT NULL
);
CREATE INDEX IF NOT EXISTS connection_destination ON leases.connection (destination);

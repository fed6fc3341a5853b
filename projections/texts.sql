-- What messages say, for searches: no projection; filled from the content store and filled again from nothing
-- whenever it is dropped (ADR 0026).
CREATE SCHEMA IF NOT EXISTS texts;
CREATE TABLE IF NOT EXISTS texts.said (
    account_id text   NOT NULL,
    origin     bigint NOT NULL,   -- position of the event that brought the message
    header     text   NOT NULL,   -- its fields, each between marks
    body       text   NOT NULL,   -- what a person reads of it; both as gateway.mail.collation.folded gives texts
    PRIMARY KEY (account_id, origin)
);
-- Of everything up to here that could be read the text is there.
CREATE TABLE IF NOT EXISTS texts.reached (
    one      boolean PRIMARY KEY DEFAULT true CHECK (one),
    position bigint  NOT NULL,
    digest   bytea   NOT NULL     -- of the event there: another log has other messages at these positions
);

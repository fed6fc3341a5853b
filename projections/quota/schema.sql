-- What an account's mailboxes hold (RFC 9208 STORAGE and MESSAGE); only the limit is decided elsewhere.
CREATE TABLE usage (
    account_id text   PRIMARY KEY,
    octets     bigint NOT NULL,  -- as presented to a reader
    messages   bigint NOT NULL
);
-- A mail counts once per account, however many of its addresses were named.
CREATE TABLE counted (
    account_id text NOT NULL,
    mail_id    text NOT NULL,
    PRIMARY KEY (account_id, mail_id)
);

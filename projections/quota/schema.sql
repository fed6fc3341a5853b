-- What an account's mailboxes hold (RFC 9208 STORAGE and MESSAGE), and since when they are full.
CREATE TABLE usage (
    account_id   text   PRIMARY KEY,
    octets       bigint NOT NULL,  -- as presented to a reader
    messages     bigint NOT NULL,
    quota_octets bigint,           -- NULL: not known
    kind         text,             -- person, office
    full_since   timestamptz       -- when the delivery was decided that reached the quota
);
-- A mail counts once per account, however many of its addresses were named.
CREATE TABLE counted (
    account_id text NOT NULL,
    mail_id    text NOT NULL,
    PRIMARY KEY (account_id, mail_id)
);

-- Mailboxes and their messages, as IMAP shows them (architecture §1). Positions are places in the log.
CREATE TABLE mailbox (
    account_id    text   NOT NULL,
    mailbox_id    text   NOT NULL,
    role          text   NOT NULL,      -- RFC 6154 special use in lower case, "inbox", or ""
    uidvalidity   bigint NOT NULL,      -- base + k, for the k-th mailbox the account ever had
    uidnext       bigint NOT NULL,
    highestmodseq bigint NOT NULL,      -- position of the last change FETCH can show
    messages      bigint NOT NULL,      -- without tombstones
    octets        bigint NOT NULL,      -- presented, without tombstones
    opened_at     bigint NOT NULL,      -- position
    closed_at     bigint,               -- position; NULL: it is there
    PRIMARY KEY (account_id, mailbox_id)
);
-- A mail is delivered to an account once: the first delivery in the log is the one that counts.
CREATE TABLE delivery (
    account_id text   NOT NULL,
    mail_id    text   NOT NULL,
    position   bigint NOT NULL,
    PRIMARY KEY (account_id, mail_id)
);
CREATE TABLE message (
    account_id       text        NOT NULL,
    mailbox_id       text        NOT NULL,
    uid              bigint      NOT NULL,
    mail_id          text        NOT NULL,
    position         bigint      NOT NULL,  -- of the event that brought it here
    modseq           bigint      NOT NULL,
    internal_date    timestamptz NOT NULL,
    digest           text        NOT NULL,
    octets           bigint      NOT NULL,  -- as received
    presented_octets bigint      NOT NULL,
    hint             bigint      NOT NULL,
    large            text        NOT NULL,
    attachments      text[]      NOT NULL,
    hidden           bigint[]    NOT NULL,  -- start, end, start, end, …
    sealed           bytea       NOT NULL,
    keys             bytea       NOT NULL,  -- JSON of the wraps
    subject          text        NOT NULL,  -- this and what follows: blank when the key is gone
    from_            text        NOT NULL,
    message_id       text        NOT NULL,
    front            bytea       NOT NULL,
    summary          bytea       NOT NULL,
    expunged_at      bigint,                -- position; NULL: it is there. Expunged rows stay as tombstones
    PRIMARY KEY (account_id, mailbox_id, uid)
);
CREATE INDEX message_mail ON message (account_id, mail_id);
CREATE INDEX message_modseq ON message (account_id, mailbox_id, modseq);

-- Mailboxes and their messages, as IMAP shows them (architecture §1). Positions are places in the log.
CREATE TABLE mailbox (
    account_id     text    NOT NULL,
    mailbox_id     text    NOT NULL,
    parent_id      text    NOT NULL,      -- '': at the top
    name           text    NOT NULL,      -- of its level; blank when the account's key is gone
    role           text    NOT NULL,      -- RFC 6154 special use in lower case, "inbox", or ""
    uidvalidity    bigint  NOT NULL,      -- base + k, for the k-th mailbox the account ever had
    uidnext        bigint  NOT NULL,
    highestmodseq  bigint  NOT NULL,      -- position of the last change FETCH can show
    messages       bigint  NOT NULL,      -- this and the next four: without tombstones
    octets         bigint  NOT NULL,      -- presented
    unseen         bigint  NOT NULL,
    deleted        bigint  NOT NULL,      -- with \Deleted
    deleted_octets bigint  NOT NULL,
    is_subscribed  boolean NOT NULL,
    opened_at      bigint  NOT NULL UNIQUE,  -- position
    closed_at      bigint,                -- position; NULL: it is there
    PRIMARY KEY (account_id, mailbox_id)
) WITH (fillfactor = 70);
-- What its metadata says (RFC 5464); entries of a mailbox that is gone are gone.
CREATE TABLE annotation (
    account_id text   NOT NULL,
    mailbox_id text   NOT NULL,           -- '': the account as a whole
    entry      text   NOT NULL,
    value      bytea,                     -- NULL: taken away; blank when the account's key is gone
    changed_at bigint NOT NULL,           -- position
    PRIMARY KEY (account_id, mailbox_id, entry)
);
-- What a UID stands for; light, as it is read and changed all the time.
CREATE TABLE message (
    box           bigint      NOT NULL,   -- mailbox.opened_at: an event opens one mailbox
    uid           bigint      NOT NULL,
    origin        bigint      NOT NULL,
    modseq        bigint      NOT NULL,
    octets        bigint      NOT NULL,   -- presented
    internal_date timestamptz NOT NULL,
    saved_at      timestamptz NOT NULL,   -- when it came to this mailbox (RFC 8514)
    expunged_at   bigint,                 -- position; NULL: it is there. Expunged rows stay as tombstones
    is_elsewhere  boolean     NOT NULL,   -- a tombstone whose message goes on under another UID
    flags         text        NOT NULL,   -- as gateway.mail.flags has them
    PRIMARY KEY (box, uid) INCLUDE (expunged_at)
);
CREATE INDEX message_modseq ON message (box, modseq);
CREATE INDEX message_origin ON message (origin);
-- What brought the octets, once, whatever copies are made of it.
CREATE TABLE origin (
    account_id       text     NOT NULL,
    position         bigint   PRIMARY KEY,
    mail_id          text     NOT NULL,
    digest           text     NOT NULL,
    octets           bigint   NOT NULL,   -- as received
    presented_octets bigint   NOT NULL,
    hint             bigint   NOT NULL,
    large            text     NOT NULL,
    attachments      text[]   NOT NULL,
    hidden           bigint[] NOT NULL,   -- start, end, start, end, …
    sealed           bytea    NOT NULL,
    keys             bytea    NOT NULL,   -- JSON of the wraps
    subject          text     NOT NULL,   -- this and what follows: blank when the key is gone
    from_            text     NOT NULL,
    message_id       text     NOT NULL,
    front            bytea    NOT NULL,
    summary          bytea    NOT NULL,
    said             text[]               -- of the envelope, as it is searched; NULL: cut, or the key is gone
);
-- A mail comes to an account once: the first event in the log that brings it is the one that counts.
CREATE TABLE delivery (
    account_id text   NOT NULL,
    mail_id    text   NOT NULL,
    position   bigint NOT NULL,           -- of its origin
    PRIMARY KEY (account_id, mail_id)
);
-- What became of each change, for the session that waits for it. Sets of UIDs as text.
CREATE TABLE change_outcome (
    account_id     text   NOT NULL,
    position       bigint NOT NULL,
    mailbox_id     text   NOT NULL,
    applied        text   NOT NULL,
    refused        text   NOT NULL,
    to_mailbox_id  text   NOT NULL,       -- '': nothing arrived anywhere
    to_uidvalidity bigint NOT NULL,
    to_uids        text   NOT NULL,       -- as many as applied, in the same order
    PRIMARY KEY (account_id, position)
);
-- What people who are not the owner have seen: their \Seen, beside the owner's in message.flags.
CREATE TABLE sight (
    box     bigint  NOT NULL,
    viewer  text    NOT NULL,             -- account
    uid     bigint  NOT NULL,
    is_seen boolean NOT NULL,
    modseq  bigint  NOT NULL,
    PRIMARY KEY (box, viewer, uid)
);
CREATE INDEX sight_uid ON sight (box, uid);
CREATE INDEX sight_modseq ON sight (box, viewer, modseq);
-- What others may do with a mailbox.
CREATE TABLE share (
    account_id text NOT NULL,             -- whose mailbox it is
    mailbox_id text NOT NULL,
    holder     text NOT NULL,             -- account, or agency: everybody in it
    rights     text NOT NULL,             -- letters of RFC 4314; '': not any more
    PRIMARY KEY (account_id, mailbox_id, holder)
);
CREATE INDEX share_holder ON share (holder);
-- Which mailboxes of others an account subscribes to, where it has said so; at first it does to all.
CREATE TABLE follow (
    account_id    text    NOT NULL,       -- who subscribes
    mailbox_id    text    NOT NULL,       -- of another account
    is_subscribed boolean NOT NULL,
    PRIMARY KEY (account_id, mailbox_id)
);
-- What went to another account. It has arrived when that account has a delivery of mail_id.
CREATE TABLE departure (
    position      bigint      NOT NULL,   -- of message.moved_out
    uid           bigint      NOT NULL,
    box           bigint      NOT NULL,
    mail_id       text        NOT NULL,   -- what it is there
    to_account_id text        NOT NULL,
    to_mailbox_id text        NOT NULL,
    mover         text        NOT NULL,   -- account
    at            timestamptz NOT NULL,
    PRIMARY KEY (position, uid)
);
CREATE INDEX departure_at ON departure (at);
-- What an account's mailboxes hold (RFC 9208 STORAGE and MESSAGE), and since when they are full.
CREATE TABLE usage (
    account_id   text   PRIMARY KEY,
    octets       bigint NOT NULL,         -- as presented to a reader
    messages     bigint NOT NULL,
    quota_octets bigint,                  -- NULL: not known
    kind         text,                    -- person, office
    full_since   timestamptz              -- of the event that reached the quota; NULL: it is below
) WITH (fillfactor = 70);

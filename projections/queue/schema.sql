-- What waits for another host, and what became of it.
CREATE TABLE queued (
    position   bigint      PRIMARY KEY,   -- of mail.queued
    mail_id    text        NOT NULL,
    state      bytea       NOT NULL,      -- mail.queued as it stands in the log; gone with its last recipient
    waiting    int         NOT NULL       -- recipients without an end
);
CREATE TABLE held (
    position   bigint      PRIMARY KEY,   -- of mail.accepted
    mail_id    text        NOT NULL,
    hold_until timestamptz NOT NULL       -- not before is it decided where the mail goes (RFC 4865)
);
CREATE INDEX held_due ON held (hold_until, position);
CREATE TABLE recipient (
    mail_id         text        NOT NULL,
    recipient       int         NOT NULL,
    position        bigint      NOT NULL,  -- of mail.queued
    agency_id       text,                  -- whose next hop; NULL: a domain without an agency
    address         text        NOT NULL,  -- blank when erased, as sender is
    domain          text        NOT NULL,  -- of the address, in A-labels: the destination
    sender          text        NOT NULL,  -- "" is also the null reverse-path
    outcome         text        NOT NULL,  -- waiting, relayed, bounced or cancelled
    attempt         int         NOT NULL,  -- attempts made
    next_attempt_at timestamptz NOT NULL,
    accepted_at     timestamptz NOT NULL,
    expires_at      timestamptz NOT NULL,
    code            int         NOT NULL,  -- of the last attempt; 0: none, or no reply was had
    status          text        NOT NULL,
    changed_at      bigint      NOT NULL,  -- position of the last event that changed the row
    tried_at        timestamptz,           -- of the last attempt; NULL: none was made
    priority        int         NOT NULL,  -- RFC 6710: -9..9, higher goes first
    is_held         boolean     NOT NULL,  -- by a person: its next attempt is when its time is over
    hop_host        text        NOT NULL,  -- next hop a person said; "": the agency's own
    hop_port        int         NOT NULL,
    accepted_by     text        COLLATE "C" NOT NULL,  -- the agency it was accepted for: its sender's, when that is hosted
    destination     text        COLLATE "C" NOT NULL,  -- hop as host:port, else agency_id, else domain
    released_at     bigint      NOT NULL,  -- position of the last delivery.released; 0: none
    PRIMARY KEY (mail_id, recipient)
);
-- Whose turn it is: turns.py goes from one (destination, accepted_by, priority) to the next.
CREATE INDEX recipient_turn ON recipient
    (destination, accepted_by, priority, next_attempt_at, mail_id, recipient) WHERE outcome = 'waiting';
CREATE INDEX recipient_destination ON recipient (domain, mail_id, recipient) WHERE outcome = 'waiting';
-- Those that wait, in the order of pages: the primary key holds all that ever were.
CREATE INDEX recipient_waiting ON recipient (mail_id, recipient) WHERE outcome = 'waiting';
CREATE TABLE standing_hold (
    what     text        NOT NULL,  -- domain or agency
    name     text        NOT NULL,  -- in A-labels, or the agency's id
    position bigint      NOT NULL,  -- of destination.held
    since    timestamptz NOT NULL,
    held_by  text        NOT NULL,
    why      text        NOT NULL,
    PRIMARY KEY (what, name)
);
CREATE TABLE bounced (
    domain     text        NOT NULL,  -- as in recipient
    reason     text        NOT NULL,  -- as in mail.bounced
    recipients bigint      NOT NULL,
    PRIMARY KEY (domain, reason)
);

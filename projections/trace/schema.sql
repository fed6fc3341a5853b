-- The story of every mail: one row for each fact in the log (architecture §1, the trace is a projection).
CREATE TABLE step (
    position        bigint      PRIMARY KEY,
    mail_id         text        NOT NULL,
    at              timestamptz NOT NULL,
    topic           text        NOT NULL,
    actor_kind      text        NOT NULL,
    actor_id        text        NOT NULL,
    role            text        NOT NULL,   -- which code, under which settings
    version         text        NOT NULL,
    settings        text        NOT NULL,
    cause           text        NOT NULL,
    recipients      int[]       NOT NULL,   -- which of the envelope's
    agency_id       text,
    account_id      text,
    attempt         int,
    code            int,
    status          text,
    reason          text,
    next_attempt_at timestamptz,
    remote_host     text        NOT NULL,   -- this and the next: blank when erased, or when there is none
    reply_text      text        NOT NULL,
    tls             text        NOT NULL,   -- version and cipher; blank: in the clear
    verified        text        NOT NULL,   -- opportunistic, ca, pinned, dane, sts; blank: in the clear
    tls_failure     text        NOT NULL    -- as in RFC 8460; blank: none
);
CREATE INDEX step_mail ON step (mail_id, position);
-- What a mail is found by. Blank when erased.
CREATE TABLE mail (
    mail_id      text        PRIMARY KEY,
    position     bigint      NOT NULL,      -- of mail.accepted
    at           timestamptz NOT NULL,
    octets       bigint      NOT NULL,
    mail_from    text        NOT NULL,      -- "" is also the null reverse-path
    sender_key   text        NOT NULL,      -- normalised
    header_from  text        NOT NULL,
    subject      text        NOT NULL,
    message_id   text        NOT NULL,
    helo         text        NOT NULL,
    remote_ip    text        NOT NULL,
    report_of    text
);
CREATE UNIQUE INDEX mail_position ON mail (position);
CREATE INDEX mail_at ON mail (at, position);
CREATE INDEX mail_sender ON mail (sender_key, position);
CREATE INDEX mail_header_from ON mail (lower(header_from), position);
CREATE INDEX mail_message_id ON mail (message_id) WHERE message_id <> '';
CREATE INDEX mail_remote_ip ON mail (remote_ip, position);
CREATE INDEX mail_subject ON mail USING gin (subject public.gin_trgm_ops);
CREATE TABLE recipient (
    mail_id     text NOT NULL,
    recipient   int  NOT NULL,
    address     text NOT NULL,
    address_key text NOT NULL,              -- normalised
    PRIMARY KEY (mail_id, recipient)
);
CREATE INDEX recipient_address ON recipient (address_key, mail_id);
-- The traffic log: sessions, sign-ins, mails. A partition for each day, made and dropped by the fold.
CREATE TABLE traffic (
    position           bigint      NOT NULL,
    day                date        NOT NULL,  -- of `at`, UTC
    at                 timestamptz NOT NULL,
    kind               text        NOT NULL,  -- session, sessions, sign-in, password, mail
    agency_id          text,
    account_id         text,
    listener           text        NOT NULL,
    began_at           timestamptz,
    remote_ip          text        NOT NULL,  -- this and what follows: blank when erased, or when there is none
    remote_port        int         NOT NULL,
    helo               text        NOT NULL,
    tls                text        NOT NULL,
    identity           text        NOT NULL,
    mechanism          text        NOT NULL,
    app_id             text        NOT NULL,
    app_password       text        NOT NULL,
    mail_id            text        NOT NULL,
    mail_from          text        NOT NULL,
    rcpt_to            text[]      NOT NULL,
    octets             bigint      NOT NULL,
    outcome            text        NOT NULL,
    limit_met          text        NOT NULL,
    sessions           int         NOT NULL,
    transactions       int         NOT NULL,
    accepted           int         NOT NULL,
    recipients         int         NOT NULL,
    refused_recipients int         NOT NULL,
    refused            text[]      NOT NULL,
    PRIMARY KEY (day, position)
) PARTITION BY RANGE (day);
CREATE INDEX traffic_position ON traffic (position);
CREATE INDEX traffic_sign_in ON traffic (account_id, day, position)
    WHERE kind = 'sign-in' AND account_id IS NOT NULL;
-- What app passwords are called, so that sign-ins with them can be told.
CREATE TABLE app_password (
    app_id text PRIMARY KEY,
    label  text NOT NULL                    -- blank when erased
);
-- The last day (and all before) whose traffic is not kept any longer: of an agency; blank: of everybody
-- without a time of their own, who are in `kept`.
CREATE TABLE expired (
    agency_id text PRIMARY KEY,
    day       date NOT NULL
);
CREATE TABLE kept (
    agency_id text PRIMARY KEY
);
-- Recipients that were refused at RCPT for a reason somebody may ask about: there never was a mail.
CREATE TABLE refusal (
    position     bigint      PRIMARY KEY,
    at           timestamptz NOT NULL,
    agency_id    text        NOT NULL,      -- the recipient's
    reason       text        NOT NULL,
    code         int         NOT NULL,
    status       text        NOT NULL,
    valid_since  timestamptz NOT NULL,      -- what the sender asked for (RFC 7293)
    owner_since  timestamptz,               -- since when the address is whose it is; NULL: nobody's own
    mail_from    text        NOT NULL,      -- this and what follows: blank when erased
    sender_key   text        NOT NULL,      -- normalised, as recipient_key is
    rcpt_to      text        NOT NULL,
    recipient_key text       NOT NULL,
    remote_ip    text        NOT NULL,
    helo         text        NOT NULL,
    unrecorded   int         NOT NULL       -- refusals of that network just before that have no event
);
CREATE INDEX refusal_at ON refusal (at, position);
CREATE INDEX refusal_sender ON refusal (sender_key, position);
CREATE INDEX refusal_recipient ON refusal (recipient_key, position);
CREATE INDEX refusal_remote_ip ON refusal (remote_ip, position);

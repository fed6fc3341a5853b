-- Agencies, domains, accounts and addresses, as far as they have been given out.
CREATE TABLE agency (
    agency_id  text        PRIMARY KEY,
    name       text        NOT NULL,
    relay_host text,                   -- NULL: its mailboxes are here
    relay_port int,
    created_at timestamptz NOT NULL,
    trial_ends_at timestamptz,                         -- NULL: it is no trial
    said       text        NOT NULL DEFAULT '',        -- suspended, closing, closed; blank: nothing was
    reason     text        NOT NULL DEFAULT '',        -- why; blank when erased
    trial_closes_at timestamptz,                       -- its trial has ended; NULL: it has not
    lacking         int    NOT NULL DEFAULT 0,         -- messages that are in its mailboxes and not in its files
    lacking_named   text[] NOT NULL DEFAULT '{}',      -- the first of the files that are not there
    -- What holds of all that: trial, active, suspended, expired, closing, closed.
    status     text        NOT NULL GENERATED ALWAYS AS (CASE WHEN said <> '' THEN said
        WHEN trial_closes_at IS NOT NULL THEN 'expired' WHEN trial_ends_at IS NOT NULL THEN 'trial'
        ELSE 'active' END) STORED,
    contact_id text,                                    -- account that gets mail to postmaster; NULL: the oldest
    catch_all_id text,                                  -- account that gets what is for nobody; NULL: refused
    plus_addressing boolean NOT NULL DEFAULT true,      -- name+tag@ is name@
    -- Its limits; NULL: the gateway's.
    accounts_max          int,
    recipients_max        int,
    message_octets_max    bigint,
    attachment_octets_max bigint DEFAULT 26214400,
    trace_days            int,
    relay_connections_max int,
    relay_mails_a_minute  int,
    -- Where its people prove who they are; NULL: nowhere.
    issuer    text,
    audience  text,
    client_id text,
    claim     text,
    former_names text[] NOT NULL DEFAULT '{}',          -- oldest first
    forwarding text NOT NULL DEFAULT 'inside', -- where its accounts may forward: none, inside, anywhere
    -- What TLS with its own mail server has to be: opportunistic, required, pinned, mutual.
    tls_use             text NOT NULL DEFAULT 'opportunistic',
    tls_authorities     text NOT NULL DEFAULT '',      -- PEM, who alone vouches for it; blank: whom we trust
    tls_certificate     text NOT NULL DEFAULT '',      -- PEM, what we show; blank: nothing
    tls_exception_until timestamptz,                   -- opportunistic until then
    -- Where its mail goes; relay_host and relay_port are the first of it.
    route     text,                                    -- JSON of domain/route.py Route; NULL: nobody beside that one
    way       text NOT NULL DEFAULT 'main',            -- by which of its ways: main, backup
    way_since timestamptz                              -- since when, where that was switched; NULL: it never was
);
CREATE TABLE domain (
    domain      text PRIMARY KEY,      -- A-labels, lower case
    agency_id   text NOT NULL,
    stem        text NOT NULL,         -- under which its addresses are claimed: itself, or what it replaced
    replaced_by text                   -- where new addresses are given out; NULL: here
);
CREATE INDEX domain_stem ON domain (stem);
CREATE INDEX domain_agency ON domain (agency_id);
CREATE TABLE account (
    account_id   text        PRIMARY KEY,
    agency_id    text        NOT NULL,
    kind         text        NOT NULL,
    quota_octets bigint      NOT NULL,
    address      text        NOT NULL,  -- as the administrator wrote it; blank when erased
    display_name text        NOT NULL,  -- blank when erased
    created_at   timestamptz NOT NULL,
    status       text        NOT NULL DEFAULT 'active',  -- its own: active, suspended, closed
    reason       text        NOT NULL DEFAULT ''         -- why; blank when erased
);
CREATE INDEX account_agency ON account (agency_id, account_id);
-- What accounts are looked for by, folded: a text each, and the same texts in pages, which a search looks at first.
CREATE TABLE search (
    account_id text PRIMARY KEY,
    agency_id  text NOT NULL,
    number     int  NOT NULL UNIQUE,   -- 1 is the account that was made first
    called     text NOT NULL           -- address, display name and aliases
);
CREATE INDEX search_agency ON search (agency_id, number);
CREATE TABLE search_page (
    page       int  PRIMARY KEY,       -- the accounts' numbers / 128
    called     text STORAGE EXTERNAL NOT NULL  -- never packed: it is read far more often than written
);
CREATE TABLE inbox (
    account_id text PRIMARY KEY,
    mailbox_id text NOT NULL
);
CREATE TABLE address (
    name        text        PRIMARY KEY,  -- HMAC of the normalised address, as in the log
    address     text        UNIQUE,       -- normalised; NULL when erased
    written     text,                     -- as the administrator wrote it; NULL when erased
    account_id  text        NOT NULL,     -- whose it is, or was until released_at
    agency_id   text        NOT NULL,
    is_alias    boolean     NOT NULL,
    owner_since timestamptz NOT NULL,     -- no other account had it since (RFC 7293)
    is_first    boolean     NOT NULL,     -- no other account is known to have had it before
    released_at timestamptz               -- NULL: it is given out
);
CREATE INDEX address_account ON address (account_id);
CREATE TABLE app_password (
    app_id     text        PRIMARY KEY,
    account_id text        NOT NULL,
    label      text        NOT NULL,      -- blank when erased
    made_at    timestamptz NOT NULL,
    expires_at timestamptz,               -- NULL: never
    protocols  text[]      NOT NULL,      -- empty: all
    networks   text[]      NOT NULL       -- CIDR; empty: all
);
CREATE INDEX app_password_account ON app_password (account_id);
CREATE TABLE password (
    account_id text        PRIMARY KEY,
    set_at     timestamptz NOT NULL,
    how        text        NOT NULL,  -- invitation, administrator, import
    set_by     text        NOT NULL   -- kind and id of the actor
);
CREATE INDEX address_alias ON address (account_id) WHERE is_alias;
CREATE TABLE role (
    account_id text        NOT NULL,
    role       text        NOT NULL,  -- operator, agency-admin, auditor, helpdesk
    agency_id  text        NOT NULL,  -- where; blank: everywhere, an operator's alone
    granted_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, role, agency_id)
);
CREATE TABLE forwarding (
    account_id text        PRIMARY KEY,
    keeps_copy boolean     NOT NULL,
    targets    text[]      NOT NULL,  -- as they were written; none when erased
    set_at     timestamptz NOT NULL,
    set_by     text        NOT NULL   -- id of the actor
);

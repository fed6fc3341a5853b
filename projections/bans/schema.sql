-- Bans of networks and accounts, past ones too. Whether one has ended is for the reader's clock to say.
CREATE TABLE ban (
    ban_id      text        PRIMARY KEY,
    what        text        NOT NULL,  -- network, account
    network     text,                  -- CIDR; NULL: of an account, or erased
    account_id  text,
    agency_id   text,                  -- the account's
    reason      text        NOT NULL,  -- sign-ins, operator
    why         text        NOT NULL,  -- an operator's words; blank when erased
    imposed_at  timestamptz NOT NULL,
    imposed_by  text        NOT NULL,  -- kind and id of the actor
    until       timestamptz NOT NULL,
    lifted_at   timestamptz,
    lifted_by   text,
    lift_reason text,
    changed     bigint      NOT NULL   -- position of the last event about it
);
CREATE INDEX ban_until ON ban (until);
CREATE INDEX ban_changed ON ban (changed);

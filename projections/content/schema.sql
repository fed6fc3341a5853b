-- Where contents are: packs and objects, as ev.content and the mails name them (architecture §5).

CREATE TABLE pack (
    id     bigint PRIMARY KEY,   -- position of the first event that named it
    name   text   NOT NULL UNIQUE,
    octets bigint NOT NULL,
    digest bytea  NOT NULL
);

CREATE TABLE content (
    digest bytea   PRIMARY KEY,  -- Content.digest
    pack   bigint  NOT NULL,
    place  integer NOT NULL,     -- offset in the pack
    octets integer NOT NULL      -- as stored, encrypted
);

-- An attachment or a large message. octets, digest: as stored; NULL while only a mail has named it.
CREATE TABLE object (
    name   text PRIMARY KEY,
    octets bigint,
    digest bytea
);

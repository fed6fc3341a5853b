"""Whose mailbox an address is, and who is registered."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

import asyncpg

from gateway.domain.account import AccountStatus
from gateway.domain.agency import AgencyStatus, IdentityProvider, Limits, NextHop
from gateway.domain.agency_tls import AgencyTls
from gateway.domain.catching import Looked, settle
from gateway.domain.quota import Room
from gateway.domain.routing import Hosted as Hosted
from gateway.domain.routing import NotOurs as NotOurs
from gateway.domain.routing import Relayed as Relayed
from gateway.domain.routing import UnknownHere as UnknownHere
from gateway.domain.routing import Whereabouts as Whereabouts
from gateway.mail.address import Address, parse_address
from gateway.mail.ids import AccountId, AgencyId, MailboxId
from gateway.mail.srs import is_rewritten
from gateway.mail.valid_since import NOBODYS, Owner
from projections.directory.finding import find_ids
from projections.directory.project import DirectoryModel
from projections.directory.routes import route_in
from projections.mailbox.project import MailboxModel
from projections.readmodel import Rows, schema_of

_SCHEMA, _MAILBOX = schema_of(DirectoryModel), schema_of(MailboxModel)


# An account's own status, unless its agency's says more: closed, then its agency suspended or its trial
# ended, then suspended.
EffectiveStatus = AccountStatus | Literal["agency-suspended", "trial-ended"]

POSTMASTER: Final = "postmaster"


@dataclass(frozen=True, slots=True)
class Addressing:
    """How addresses are read here. hostname: this gateway's, where "Postmaster" alone is at; "": none."""

    hostname: str = ""
    plus: bool = True  # name+tag@ is name@, unless somebody has name+tag@ itself


ADDRESSING: Final = Addressing()

# A closed agency has no mail server of its own any more, as far as we know.
_HOP: Final = "CASE WHEN agency.status <> 'closed' THEN relay_host END AS relay_host, relay_port"

# Where an address is given out: as it is, or under the domain that all names of its domain come from.
_CLAIMED: Final = f"""LEFT JOIN {_SCHEMA}.address
    ON address.address = wanted.address AND address.released_at IS NULL
LEFT JOIN {_SCHEMA}.address AS stem ON domain.stem <> domain.domain AND stem.released_at IS NULL
    AND stem.address = left(wanted.address, -length(wanted.domain)) || domain.stem
LEFT JOIN {_SCHEMA}.address AS gone ON agency.catch_all_id IS NOT NULL AND gone.released_at IS NOT NULL
    AND gone.address = left(wanted.address, -length(wanted.domain)) || domain.stem"""

# Where what is for nobody goes, of agencies whose catch-all is still there.
_CATCHERS: Final = f"""
SELECT agency.agency_id, inbox.account_id, inbox.mailbox_id,
    usage.quota_octets, usage.octets, full_since, usage.kind
FROM {_SCHEMA}.agency
JOIN {_SCHEMA}.account ON account.account_id = catch_all_id AND account.agency_id = agency.agency_id
    AND account.status <> 'closed'
JOIN {_SCHEMA}.inbox ON inbox.account_id = catch_all_id
LEFT JOIN {_MAILBOX}.usage ON usage.account_id = catch_all_id
WHERE agency.agency_id = ANY($1::text[])"""

FIND = f"""
SELECT agency.agency_id, {_HOP}, inbox.account_id, inbox.mailbox_id,
    coalesce(address.owner_since, stem.owner_since) AS owner_since,
    coalesce(address.is_first, stem.is_first) AS is_first,
    quota_octets, usage.octets, full_since, usage.kind,
    plus_addressing, catch_all_id, gone.name IS NOT NULL AS was_held
FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS wanted (address, domain, nth)
LEFT JOIN {_SCHEMA}.domain USING (domain)
LEFT JOIN {_SCHEMA}.agency USING (agency_id)
{_CLAIMED}
LEFT JOIN {_SCHEMA}.inbox ON inbox.account_id = coalesce(address.account_id, stem.account_id)
LEFT JOIN {_MAILBOX}.usage ON usage.account_id = inbox.account_id
ORDER BY nth
"""

# The same for a set with a postmaster in it (RFC 5321 §4.5.1). Where no account has that address it is the
# agency's contact, or else its oldest account. $3: the postmaster at this gateway's own name; where that
# is no agency's domain, the oldest hosted agency answers.
FIND_POSTMASTERS = f"""
SELECT agency.agency_id, {_HOP}, inbox.account_id, inbox.mailbox_id,
    coalesce(address.owner_since, stem.owner_since) AS owner_since,
    coalesce(address.is_first, stem.is_first) AS is_first,
    quota_octets, usage.octets, full_since, usage.kind,
    plus_addressing, catch_all_id, gone.name IS NOT NULL AS was_held
FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS wanted (address, domain, nth)
LEFT JOIN {_SCHEMA}.domain USING (domain)
LEFT JOIN {_SCHEMA}.agency ON agency.agency_id = CASE WHEN wanted.address = $3
    THEN coalesce(domain.agency_id, (SELECT hosted.agency_id FROM {_SCHEMA}.agency AS hosted
        WHERE relay_host IS NULL ORDER BY created_at, agency_id LIMIT 1))
    ELSE domain.agency_id END
{_CLAIMED}
LEFT JOIN {_SCHEMA}.inbox ON inbox.account_id = CASE
    WHEN address.account_id IS NULL AND stem.account_id IS NULL
        AND wanted.address = '{POSTMASTER}@' || wanted.domain
    THEN coalesce(
        (SELECT contact.account_id FROM {_SCHEMA}.account AS contact
         WHERE contact.account_id = agency.contact_id AND contact.agency_id = agency.agency_id
            AND contact.status <> 'closed'),
        (SELECT oldest.account_id FROM {_SCHEMA}.account AS oldest
         WHERE oldest.agency_id = agency.agency_id AND oldest.status <> 'closed'
         ORDER BY oldest.account_id LIMIT 1))
    ELSE coalesce(address.account_id, stem.account_id) END
LEFT JOIN {_MAILBOX}.usage ON usage.account_id = inbox.account_id
ORDER BY nth
"""


async def find_recipients(
    rows: Rows, addresses: Sequence[Address], addressing: Addressing = ADDRESSING
) -> list[Whereabouts]:
    """Where each address is, in the order given, in one round trip; two where an agency's catch-all is asked.

    Spelling does not matter.
    """
    spellings = [_spellings(address.normalise(), addressing) for address in addresses]
    wanted = [spelling for each in spellings for spelling in each]
    asked = [str(spelling) for spelling in wanted], [spelling.domain for spelling in wanted]
    if any(spelling.local_part == POSTMASTER for spelling in wanted):
        ours = f"{POSTMASTER}@{addressing.hostname.lower()}" if addressing.hostname else ""
        found = await rows.fetch(FIND_POSTMASTERS, *asked, ours)
    else:
        found = await rows.fetch(FIND, *asked)
    catchers = await _catchers(rows, found)
    rest = iter(found)
    return [settle(*(_looked(next(rest), spelling, catchers) for spelling in each)) for each in spellings]


async def _catchers(rows: Rows, found: Sequence[asyncpg.Record]) -> dict[str, Hosted]:
    """By agency, where what is for nobody goes: of those agencies alone that may need it now."""
    agencies = {
        row["agency_id"] for row in found if row["account_id"] is None and row["catch_all_id"] is not None
    }
    if not agencies:
        return {}
    catching = await rows.fetch(_CATCHERS, sorted(agencies))
    return {
        row["agency_id"]: Hosted(
            AgencyId(row["agency_id"]), AccountId(row["account_id"]), MailboxId(row["mailbox_id"]), _room(row)
        )
        for row in catching
    }


def _looked(row: asyncpg.Record, spelling: Address, catchers: Mapping[str, Hosted]) -> Looked:
    """Return paths of ours (SRS) are nobody's, and not for a catch-all."""
    where, agency_id = _whereabouts(row), row["agency_id"]
    if agency_id is None:
        return Looked(where)
    catcher = None if is_rewritten(spelling) else catchers.get(agency_id)
    return Looked(where, row["plus_addressing"], row["was_held"], catcher)


def _spellings(address: Address, addressing: Addressing) -> list[Address]:
    """What to look up for a normalised address, in turn: itself, and without its tag."""
    name, plus, _ = address.local_part.partition("+")
    if addressing.plus and name and plus:
        return [address, Address(name, address.domain)]
    return [address]


def _whereabouts(row: asyncpg.Record) -> Whereabouts:
    if row["agency_id"] is None:
        return NotOurs()
    agency_id = AgencyId(row["agency_id"])
    if row["relay_host"] is not None:
        return Relayed(agency_id, NextHop(row["relay_host"], row["relay_port"]))
    if row["account_id"] is None:
        return UnknownHere(agency_id)
    account_id, mailbox_id = AccountId(row["account_id"]), MailboxId(row["mailbox_id"])
    return Hosted(agency_id, account_id, mailbox_id, _room(row), _owner(row))


def _owner(row: asyncpg.Record) -> Owner:
    return Owner(row["owner_since"], row["is_first"]) if row["owner_since"] is not None else NOBODYS


def _room(row: asyncpg.Record) -> Room | None:
    """None: no rows say so yet; the next who asks may know."""
    if row["quota_octets"] is None:
        return None
    return Room(row["quota_octets"], row["octets"], row["full_since"], row["kind"] == "office")


async def sending_hosts(rows: Rows) -> list[tuple[AgencyId, str]]:
    """The mail servers of agencies that may send, backups among them, by name or address."""
    found = await rows.fetch(
        f"""SELECT agency.* FROM {_SCHEMA}.agency
        WHERE relay_host IS NOT NULL AND status IN ('trial', 'active') ORDER BY agency_id"""
    )
    servers = [(AgencyId(row["agency_id"]), hop.host) for row in found for hop in route_in(row).route.hops]
    return list(dict.fromkeys(servers))


async def agency_of_domain(rows: Rows, domain: str) -> AgencyId | None:
    """domain: normalised. None: nobody's here."""
    agency_id: AgencyId | None = await rows.fetchval(
        f"SELECT agency_id FROM {_SCHEMA}.domain WHERE domain = $1", domain
    )
    return agency_id


async def open_accounts(rows: Rows, agency_id: AgencyId) -> int:
    """How many accounts of the agency are not closed."""
    count: int = await rows.fetchval(
        f"SELECT count(*) FROM {_SCHEMA}.account WHERE agency_id = $1 AND status <> 'closed'", agency_id
    )
    return count


async def limits_of(rows: Rows, agency_id: AgencyId) -> Limits:
    """What an agency may use. Limits() where nobody has set any, and for an agency that is not here."""
    row = await rows.fetchrow(
        f"""SELECT accounts_max, recipients_max, message_octets_max, attachment_octets_max, trace_days,
            relay_connections_max, relay_mails_a_minute FROM {_SCHEMA}.agency WHERE agency_id = $1""",
        agency_id,
    )
    return Limits(*row) if row else Limits()


async def trace_days_of(rows: Rows) -> dict[AgencyId, int]:
    """How long the traffic of agencies is kept that have a time of their own."""
    found = await rows.fetch(
        f"SELECT agency_id, trace_days FROM {_SCHEMA}.agency WHERE trace_days IS NOT NULL"
    )
    return {AgencyId(row["agency_id"]): row["trace_days"] for row in found}


async def identity_provider_of(rows: Rows, agency_id: AgencyId) -> IdentityProvider | None:
    """Where the agency's people prove who they are; None: nowhere."""
    row = await rows.fetchrow(
        f"""SELECT issuer, audience, client_id, claim FROM {_SCHEMA}.agency
        WHERE agency_id = $1 AND issuer IS NOT NULL""",
        agency_id,
    )
    return IdentityProvider(*row) if row else None


@dataclass(frozen=True, slots=True)
class AgencyRow:
    agency_id: AgencyId
    name: str
    former_names: tuple[str, ...]  # oldest first
    next_hop: NextHop | None  # None: its mailboxes are here
    domains: tuple[str, ...]
    accounts: int  # without those that are closed
    status: AgencyStatus
    reason: str  # of its status; blank when erased
    created_at: datetime
    trial_ends_at: datetime | None = None  # None: it is no trial
    trial_closes_at: datetime | None = None  # its trial has ended; None: it has not
    lacking: int = 0  # messages that are in its mailboxes and not in the files of its export
    lacking_named: Sequence[str] = ()  # the first of the files that are not there
    catch_all_id: AccountId | None = None  # account that gets what is for nobody; None: it is refused
    plus_addressing: bool = True
    tls: str = "opportunistic"  # of mail to its next hop
    way: str | None = None  # that its mail goes to its servers, and since when; None: its mailboxes are here
    relay_connections_max: int | None = None  # to its servers, at once; None: the gateway's limit
    relay_mails_a_minute: int | None = None  # to its servers; None: likewise


async def list_agencies(rows: Rows, agency_id: AgencyId | None = None) -> list[AgencyRow]:
    """All of them, by name; some hundreds. agency_id: that one alone."""
    found = await rows.fetch(
        f"""SELECT agency.*,
            ARRAY(SELECT domain FROM {_SCHEMA}.domain AS d WHERE d.agency_id = agency.agency_id
                  ORDER BY domain) AS domains,
            coalesce(counted.accounts, 0) AS accounts
        FROM {_SCHEMA}.agency LEFT JOIN (SELECT agency_id, count(*) AS accounts FROM {_SCHEMA}.account
            WHERE status <> 'closed' GROUP BY agency_id) AS counted USING (agency_id)
        WHERE $1::text IS NULL OR agency_id = $1 ORDER BY name, agency_id""",
        agency_id,
    )
    return [
        AgencyRow(
            AgencyId(row["agency_id"]),
            row["name"],
            tuple(row["former_names"]),
            NextHop(row["relay_host"], row["relay_port"]) if row["relay_host"] is not None else None,
            tuple(row["domains"]),
            row["accounts"],
            row["status"],
            row["reason"],
            row["created_at"],
            row["trial_ends_at"],
            row["trial_closes_at"],
            row["lacking"],
            tuple(row["lacking_named"]),
            row["catch_all_id"],
            row["plus_addressing"],
            str(AgencyTls(row["tls_use"], exception_until=row["tls_exception_until"])),
            str(route_in(row)) if row["relay_host"] is not None else None,
            row["relay_connections_max"],
            row["relay_mails_a_minute"],
        )
        for row in found
    ]


@dataclass(frozen=True, slots=True)
class AccountRow:
    """address, display_name, reason: blank when erased."""

    account_id: AccountId
    agency_id: AgencyId
    kind: str
    quota_octets: int
    address: str
    display_name: str
    status: EffectiveStatus
    reason: str  # of that status
    created_at: datetime


_ACCOUNT = f"""
SELECT a.account_id, a.agency_id, kind, quota_octets, a.address, display_name, a.created_at,
    CASE WHEN a.status = 'closed' THEN a.status
        WHEN agency.status = 'suspended' THEN 'agency-suspended'
        WHEN agency.status IN ('expired', 'closing', 'closed') THEN 'trial-ended'
        ELSE a.status END AS status,
    CASE WHEN a.status <> 'closed' AND agency.status = 'suspended' THEN agency.reason ELSE a.reason END
        AS reason
FROM {_SCHEMA}.account AS a JOIN {_SCHEMA}.agency USING (agency_id)
"""


async def list_accounts(
    rows: Rows, *, agency_id: AgencyId | None = None, after: str = "", limit: int = 1_000
) -> list[AccountRow]:
    """By account id, that is by time of creation; after: the last id of the page before."""
    found = await rows.fetch(
        f"""{_ACCOUNT} WHERE account_id > $1 AND ($2::text IS NULL OR agency_id = $2)
        ORDER BY account_id LIMIT $3""",
        after,
        agency_id,
        limit,
    )
    return [_account(row) for row in found]


async def find_accounts(
    rows: Rows,
    *,
    text: str = "",
    agencies: Collection[AgencyId] | None = None,
    after: str = "",
    limit: int = 100,
) -> list[AccountRow]:
    """Oldest first: those with the text in their address, an alias or their name, in any case.

    text: "" for all; agencies: None for all; after: the last id of the page before.
    """
    ids = await find_ids(rows, text, agencies, after, limit)
    found = await rows.fetch(
        f"{_ACCOUNT} WHERE account_id = ANY($1::text[]) ORDER BY array_position($1::text[], account_id)", ids
    )
    return [_account(row) for row in found]


async def account_of(rows: Rows, address: Address) -> AccountRow | None:
    """The account an address belongs to, or belonged to until it was closed; None: it is nobody's here."""
    normal = address.normalise()
    row = await rows.fetchrow(
        f"""{_ACCOUNT} JOIN {_SCHEMA}.address AS claimed USING (account_id)
        WHERE (claimed.address = $1 OR claimed.address = left($1, -length($2::text))
                || (SELECT stem FROM {_SCHEMA}.domain WHERE domain = $2))
            AND (released_at IS NULL OR a.status = 'closed')
        ORDER BY released_at IS NOT NULL, claimed.address <> $1 LIMIT 1""",
        str(normal),
        normal.domain,
    )
    return _account(row) if row else None


async def account_with_id(rows: Rows, account_id: AccountId) -> AccountRow | None:
    """None: there is no such account, as far as the rows know."""
    row = await rows.fetchrow(f"{_ACCOUNT} WHERE account_id = $1", account_id)
    return _account(row) if row else None


async def accounts_with_ids(rows: Rows, account_ids: Collection[AccountId]) -> list[AccountRow]:
    """Those that the rows know."""
    found = await rows.fetch(f"{_ACCOUNT} WHERE account_id = ANY($1::text[])", list(account_ids))
    return [_account(row) for row in found]


@dataclass(frozen=True, slots=True)
class Person:
    """Whoever may sign in with one of these addresses."""

    account_id: AccountId
    agency_id: AgencyId
    address: Address  # the first, as the administrator wrote it
    addresses: frozenset[Address]  # all, normalised
    status: EffectiveStatus = "active"


async def person_of(rows: Rows, address: Address) -> Person | None:
    """Whose address it is; None: nobody's here, or erased."""
    account = await account_of(rows, address)
    if account is None or not account.address:
        return None
    addresses = await addresses_of(rows, account.account_id)
    return Person(
        account.account_id,
        account.agency_id,
        parse_address(account.address),
        frozenset(parse_address(each) for each in addresses),
        account.status,
    )


async def addresses_of(rows: Rows, account_id: AccountId) -> set[str]:
    """Every address the account has, normalised, by every name of its domain; without what was given up."""
    found = await rows.fetch(
        f"""WITH own AS (SELECT address FROM {_SCHEMA}.address
            WHERE account_id = $1 AND released_at IS NULL AND address IS NOT NULL)
        SELECT address FROM own UNION
        SELECT left(address, -length(stem)) || domain FROM own
        JOIN {_SCHEMA}.domain ON stem = substring(address from '[^@]*$') AND domain <> stem""",
        account_id,
    )
    return {row["address"] for row in found}


@dataclass(frozen=True, slots=True)
class AppPasswordRow:
    """A further password. protocols, networks: empty means all. label: blank when erased."""

    app_id: str
    label: str
    made_at: datetime
    expires_at: datetime | None  # None: never
    protocols: tuple[str, ...]
    networks: tuple[str, ...]


async def app_passwords_of(rows: Rows, account_id: AccountId) -> list[AppPasswordRow]:
    """Those that are not revoked, oldest first; expired ones too."""
    found = await rows.fetch(
        f"""SELECT app_id, label, made_at, expires_at, protocols, networks
        FROM {_SCHEMA}.app_password WHERE account_id = $1 ORDER BY app_id""",
        account_id,
    )
    return [
        AppPasswordRow(
            row["app_id"],
            row["label"],
            row["made_at"],
            row["expires_at"],
            tuple(row["protocols"]),
            tuple(row["networks"]),
        )
        for row in found
    ]


@dataclass(frozen=True, slots=True)
class AliasRow:
    """A further address of an account. alias, address, display_name: blank when erased."""

    name: str  # as in the log
    alias: str  # as the administrator wrote it
    account_id: AccountId
    address: str  # the one its account was made with
    display_name: str
    owner_since: datetime  # no other account had it since


async def list_aliases(
    rows: Rows,
    *,
    account_id: AccountId | None = None,
    agencies: Collection[AgencyId] | None = None,
    after: tuple[str, str] = ("", ""),
    limit: int = 1_000,
) -> list[AliasRow]:
    """By account; after: account id and name of the last of the page before. agencies: None for all."""
    found = await rows.fetch(
        f"""SELECT claimed.name, written, account_id, a.address, display_name, owner_since
        FROM {_SCHEMA}.address AS claimed JOIN {_SCHEMA}.account AS a USING (account_id)
        WHERE is_alias AND released_at IS NULL AND ($1::text IS NULL OR account_id = $1)
            AND (account_id, claimed.name) > ($2, $3)
            AND ($5::text[] IS NULL OR a.agency_id = ANY($5::text[]))
        ORDER BY account_id, claimed.name LIMIT $4""",
        account_id,
        *after,
        limit,
        None if agencies is None else list(agencies),
    )
    return [
        AliasRow(
            row["name"],
            row["written"] or "",
            AccountId(row["account_id"]),
            row["address"],
            row["display_name"],
            row["owner_since"],
        )
        for row in found
    ]


def _account(row: asyncpg.Record) -> AccountRow:
    return AccountRow(
        AccountId(row["account_id"]),
        AgencyId(row["agency_id"]),
        row["kind"],
        row["quota_octets"],
        row["address"],
        row["display_name"],
        row["status"],
        row["reason"],
        row["created_at"],
    )

"""Domains of agencies, folded: who has one, and what it is called by now.

Source: ADR 0014.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from gateway.domain.addresses import DomainClaimed
from gateway.domain.claims import DomainMoved, DomainReleased, DomainReplaced
from gateway.mail.address import shown_domain
from gateway.ports import Recorded
from projections.readmodel import Rows

# The domain of a normalised address.
DOMAIN_OF: Final = "substring({} from '[^@]*$')"

FOLD: Final = {
    DomainClaimed.TOPIC: """INSERT INTO domain SELECT * FROM unnest($1::text[], $2::text[], $3::text[])
        ON CONFLICT (domain) DO UPDATE SET agency_id = excluded.agency_id, stem = excluded.stem""",
    # What is shown is the newest name; what is looked up stays what it is.
    DomainReplaced.TOPIC: f"""WITH replaced AS (
            UPDATE domain SET replaced_by = told.by
            FROM unnest($1::text[], $2::text[], $3::text[]) AS told (domain, by, shown)
            WHERE domain.domain = told.domain RETURNING domain.domain, domain.stem, told.shown),
        renamed AS (
            SELECT name, account_id, is_alias, shown FROM address JOIN replaced
                ON {DOMAIN_OF.format("address.address")} IN (replaced.domain, replaced.stem)),
        own AS (
            UPDATE account SET address = regexp_replace(address, '@[^@]*$', '@' || shown)
            FROM renamed WHERE renamed.account_id = account.account_id AND NOT is_alias)
        UPDATE address SET written = regexp_replace(written, '@[^@]*$', '@' || shown)
        FROM renamed WHERE renamed.name = address.name""",
    # An account belongs to the agency of the domain that its own address is in.
    DomainMoved.TOPIC: f"""WITH moved AS (
            UPDATE domain SET agency_id = told.agency_id
            FROM unnest($1::text[], $2::text[]) AS told (domain, agency_id)
            WHERE domain.domain = told.domain RETURNING domain.domain, domain.stem, told.agency_id),
        claimed AS (
            SELECT name, account_id, is_alias, moved.agency_id FROM address JOIN moved
                ON {DOMAIN_OF.format("address.address")} IN (moved.domain, moved.stem)),
        own AS (
            UPDATE account SET agency_id = claimed.agency_id
            FROM claimed WHERE claimed.account_id = account.account_id AND NOT is_alias)
        UPDATE address SET agency_id = claimed.agency_id FROM claimed WHERE claimed.name = address.name""",
    DomainReleased.TOPIC: "DELETE FROM domain WHERE domain = ANY($1::text[])",
}
# These change rows of many accounts: what came before them is folded before, what came after them after.
_APART: Final = frozenset({DomainReplaced.TOPIC, DomainMoved.TOPIC})


def stretches(batch: Sequence[Recorded]) -> Iterator[Sequence[Recorded]]:
    """The batch in parts, so that each event about many accounts is one by itself."""
    begin = 0
    for place, recorded in enumerate(batch):
        if recorded.topic in _APART:
            yield batch[begin:place]
            yield batch[place : place + 1]
            begin = place + 1
    yield batch[begin:]


def row(event: DomainClaimed | DomainReplaced | DomainMoved | DomainReleased) -> tuple[object, ...]:
    match event:
        case DomainClaimed():
            return event.domain, event.agency_id, event.stem or event.domain
        case DomainReplaced():
            return event.domain, event.successor, shown_domain(event.successor)
        case DomainMoved():
            return event.domain, event.agency_id
        case DomainReleased():
            return (event.domain,)


async def accounts_changed(batch: Sequence[Recorded], rows: Rows) -> set[str]:
    """Whose addresses the batch has given another name, or another agency."""
    changed = [event.event.domain for event in batch if isinstance(event.event, DomainReplaced | DomainMoved)]
    if not changed:
        return set()
    found = await rows.fetch(
        f"""SELECT DISTINCT account_id FROM address JOIN domain
            ON {DOMAIN_OF.format("address.address")} IN (domain.domain, domain.stem)
        WHERE domain.domain = ANY($1::text[])""",
        changed,
    )
    return {row["account_id"] for row in found}

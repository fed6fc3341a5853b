"""What accounts are looked for by: one folded text each, of address, display name and aliases.

A part of a text may be one letter, and Thai has no spaces between words: indexes of words or of three letters
(pg_trgm) help little, and are slower than reading all texts where many accounts have each part of what nobody
has. So a search reads them through, a page of many texts at a time: finding out that a page does not have
something costs little more than for one text (finding.py); docs/bench.md has how long it takes.
"""

from collections.abc import Sequence
from typing import Final

from gateway.domain.account import AccountCreated
from gateway.domain.addresses import AddressClaimed, AddressReleased
from gateway.ports import Recorded
from projections.directory.domains import accounts_changed
from projections.readmodel import Rows

PAGE: Final = 128  # texts: larger pages are read faster, and written slower; measured with 64 and 256
# The numbers of a page's accounts, in SQL.
IN_PAGE: Final = f"number BETWEEN page * {PAGE} AND page * {PAGE} + {PAGE - 1}"

# Compatibility forms, and SARA AM with its parts, are one spelling; capitals are small ones.
FOLDED: Final = "lower(normalize({}, NFKC))"

_CALLED: Final = r"concat_ws(E'\n', address, display_name, aliases)"
# $1: accounts, new ones first in the order they were made in: their numbers go on from the highest there is.
_FOLD: Final = f"""INSERT INTO search
    SELECT account_id, agency_id,
        coalesce(number, place + (SELECT coalesce(max(number), 0) FROM search)), {FOLDED.format(_CALLED)}
    FROM unnest($1::text[]) WITH ORDINALITY AS changed (account_id, place)
    JOIN account USING (account_id)
    LEFT JOIN (SELECT account_id, number FROM search) AS known USING (account_id)
    LEFT JOIN (
        SELECT account_id, string_agg(CASE WHEN is_alias THEN written ELSE address END, E'\\n' ORDER BY name)
            AS aliases FROM address
        WHERE (is_alias OR written <> address) AND released_at IS NULL AND account_id = ANY($1::text[])
        GROUP BY account_id
    ) AS further USING (account_id)
    ON CONFLICT (account_id) DO UPDATE SET called = excluded.called, agency_id = excluded.agency_id"""
_FOLD_PAGES: Final = f"""INSERT INTO search_page
    SELECT page, string_agg(called, E'\\n' ORDER BY number)
    FROM (SELECT DISTINCT number / {PAGE} AS page FROM search WHERE account_id = ANY($1::text[])) AS touched
    JOIN search ON {IN_PAGE} GROUP BY page
    ON CONFLICT (page) DO UPDATE SET called = excluded.called"""


async def fold(batch: Sequence[Recorded], rows: Rows) -> None:
    """After the batch is in the other tables: what it has changed of accounts' texts, from their rows."""
    made = [event.event.originator_id for event in batch if isinstance(event.event, AccountCreated)]
    changed: set[str] = {
        event.event.account_id for event in batch if isinstance(event.event, AddressClaimed | AddressReleased)
    }
    changed |= await accounts_changed(batch, rows)
    if accounts := made + sorted(changed.difference(made)):
        await rows.execute(_FOLD, accounts)
        await rows.execute(_FOLD_PAGES, accounts)

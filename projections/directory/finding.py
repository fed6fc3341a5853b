"""Which accounts have a text in what they are called, oldest first."""

import re
import unicodedata
from collections.abc import Collection
from typing import Final

from gateway.mail.ids import AccountId, AgencyId
from projections.directory.project import DirectoryModel
from projections.directory.search import FOLDED
from projections.readmodel import Rows, schema_of

_SEARCH: Final = f"{schema_of(DirectoryModel)}.search"
# $1: after this account; $2: so many; $3: a pattern, folded once and not for each account; $4: agencies.
# LIKE takes as long for any text; position() is faster for long ones, and slower for one or two letters.
_HAS_IT: Final = f"account_id > $1 AND called LIKE (SELECT {FOLDED.format('$3::text')})"

IN_ALL: Final = f"SELECT account_id FROM {_SEARCH} WHERE {_HAS_IT} ORDER BY account_id LIMIT $2"

# Agency by agency: with `= ANY` all accounts would be read in their order, because some may come early.
IN_AGENCIES: Final = f"""SELECT account_id FROM unnest($4::text[]) AS wanted (agency_id) CROSS JOIN LATERAL (
        SELECT account_id FROM {_SEARCH} AS s WHERE s.agency_id = wanted.agency_id AND {_HAS_IT}
        ORDER BY account_id LIMIT $2) AS each
    ORDER BY account_id LIMIT $2"""


async def find_ids(
    rows: Rows, text: str, agencies: Collection[AgencyId] | None, after: str, limit: int
) -> list[AccountId]:
    """text: "" for all; agencies: None for all; after: the last id of the page before."""
    plain = unicodedata.normalize("NFKC", text).replace("\0", "\N{REPLACEMENT CHARACTER}")  # no % comes later
    asked = after, limit, "%" + re.sub(r"([\\%_])", r"\\\1", plain) + "%"
    if agencies is None:
        found = await rows.fetch(IN_ALL, *asked)
    else:
        found = await rows.fetch(IN_AGENCIES, *asked, list(set(agencies)))
    return [AccountId(row["account_id"]) for row in found]

"""Which accounts have a text in what they are called, oldest first."""

import re
import unicodedata
from collections.abc import Collection
from typing import Final

from gateway.mail.ids import AccountId, AgencyId
from projections.directory.project import DirectoryModel
from projections.directory.search import FOLDED, IN_PAGE, PAGE
from projections.readmodel import Rows, schema_of

_SCHEMA: Final = schema_of(DirectoryModel)
# $1: after this account; $2: so many; $3: a text, $4: the same as a pattern; $5: agencies. A text is folded
# once, not for each account. position() skips by a text's length; LIKE is faster for one or two octets.
_TEXT: Final = f"(SELECT {FOLDED.format('$3::text')})"
_HAS_IT: Final = f"""CASE WHEN octet_length({_TEXT}) > 2 THEN position({_TEXT} IN called) > 0
    ELSE called LIKE (SELECT {FOLDED.format("$4::text")}) END"""
_AFTER: Final = f"""coalesce(
    (SELECT number FROM {_SCHEMA}.search WHERE account_id <= $1 ORDER BY account_id DESC LIMIT 1), 0)"""
_FOUND: Final = (
    f"SELECT account_id, number FROM {_SCHEMA}.search WHERE number > (SELECT {_AFTER}) AND {_HAS_IT}"
)

IN_ALL: Final = f"""SELECT account_id FROM {_SCHEMA}.search_page
    CROSS JOIN LATERAL ({_FOUND} AND {IN_PAGE} ORDER BY number LIMIT $2) AS found
    WHERE page >= (SELECT {_AFTER} / {PAGE}) AND {_HAS_IT} ORDER BY page, number LIMIT $2"""

# Agency by agency: with `= ANY` all accounts would be read in their order, because some may come early.
IN_AGENCIES: Final = f"""SELECT account_id FROM unnest($5::text[]) AS wanted (id)
    CROSS JOIN LATERAL ({_FOUND} AND agency_id = wanted.id ORDER BY number LIMIT $2) AS found
    ORDER BY number LIMIT $2"""


async def find_ids(
    rows: Rows, text: str, agencies: Collection[AgencyId] | None, after: str, limit: int
) -> list[AccountId]:
    """text: "" for all; agencies: None for all; after: the last id of the page before."""
    plain = unicodedata.normalize("NFKC", text).replace("\0", "\N{REPLACEMENT CHARACTER}")  # no % comes later
    asked = after, limit, plain, "%" + re.sub(r"([\\%_])", r"\\\1", plain) + "%"
    if agencies is None:
        found = await rows.fetch(IN_ALL, *asked)
    else:
        found = await rows.fetch(IN_AGENCIES, *asked, list(set(agencies)))
    return [AccountId(row["account_id"]) for row in found]

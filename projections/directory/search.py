"""What accounts are looked for by: one folded text each, of address, display name and aliases.

A part of a text may be one letter, and Thai has no spaces between words: indexes of words or of three letters
(pg_trgm) help little, and are slower than reading all texts where many accounts have each part of what nobody
has. So a search reads them through (finding.py); docs/bench.md has how long it takes.
"""

from collections.abc import Sequence
from typing import Final

from gateway.domain.account import AccountCreated
from gateway.domain.addresses import AddressClaimed, AddressReleased
from gateway.ports import Recorded
from projections.directory.domains import accounts_changed
from projections.readmodel import Rows

# Compatibility forms, and SARA AM with its parts, are one spelling; capitals are small ones.
FOLDED: Final = "lower(normalize({}, NFKC))"

_CALLED: Final = r"concat_ws(E'\n', address, display_name, aliases)"
_FOLD: Final = f"""INSERT INTO search
    SELECT account_id, agency_id, {FOLDED.format(_CALLED)}
    FROM account LEFT JOIN (
        SELECT account_id, string_agg(CASE WHEN is_alias THEN written ELSE address END, E'\\n' ORDER BY name)
            AS aliases FROM address
        WHERE (is_alias OR written <> address) AND released_at IS NULL AND account_id = ANY($1::text[])
        GROUP BY account_id
    ) AS further USING (account_id)
    WHERE account_id = ANY($1::text[])
    ON CONFLICT (account_id) DO UPDATE SET called = excluded.called, agency_id = excluded.agency_id"""


async def fold(batch: Sequence[Recorded], rows: Rows) -> None:
    """After the batch is in the other tables: what it has changed of accounts' texts, from their rows."""
    changed = {account_id for event in batch if (account_id := _account_of(event)) is not None}
    changed |= await accounts_changed(batch, rows)
    if changed:
        await rows.execute(_FOLD, sorted(changed))


def _account_of(recorded: Recorded) -> str | None:
    match recorded.event:
        case AccountCreated(originator_id=account_id):
            return account_id
        case AddressClaimed(account_id=account_id) | AddressReleased(account_id=account_id):
            return account_id
    return None

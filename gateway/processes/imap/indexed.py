"""What rows say of the texts that a search is for, so that few messages or none have to be read.

Source: ADR 0026; which texts are which key's: RFC 9051 §6.4.4.
"""

from collections.abc import Callable, Mapping, Sequence

from gateway.mail.collation import folded
from gateway.mail.ids import AccountId
from gateway.protocols.imap.search_keys import InBody, InHeader, InText, Key, each_key
from gateway.protocols.imap.searching import Verdict, is_of_envelope
from projections import texts
from projections.mailbox.query import Line
from projections.readmodel import Pool
from projections.texts import Sought


class Indexed:
    """The answers to those keys of a search that rows can answer, for the messages they were asked about."""

    def __init__(self, key: Key) -> None:
        self._sought = {one: sought for one in each_key(key) if (sought := _sought(one)) is not None}
        self._found: dict[Key, dict[int, bool]] = {one: {} for one in self._sought}

    @property
    def answers(self) -> Mapping[Key, Callable[[int], Verdict]]:
        """By UID; None: the rows do not have that message."""
        return {key: found.get for key, found in self._found.items()}

    async def ask(self, pool: Pool, account_id: AccountId, messages: Sequence[Line]) -> None:
        """Raises Unavailable."""
        if not self._sought or not messages:
            return
        async with pool.rows() as rows:
            told = await texts.answers(
                rows, account_id, [row.origin for row in messages], list(self._sought.values())
            )
        for row in messages:
            if row.origin in told:
                for found, is_there in zip(self._found.values(), told[row.origin], strict=True):
                    found[row.uid] = is_there


def _sought(key: Key) -> Sought | None:
    """None: rows cannot answer it, or the envelope in the message's own row does."""
    match key:
        case InBody(text):
            sought = Sought(folded(text), in_body=True)
        case InText(text):
            sought = Sought(folded(text))
        case InHeader(field, text) if not is_of_envelope(field):
            sought = Sought(folded(text), field=field)
        case _:
            return None
    return sought if sought.is_answerable else None

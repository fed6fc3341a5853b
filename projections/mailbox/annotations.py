"""What the metadata of mailboxes says: folded from what clients set, read by those who ask (RFC 5464).

What was taken away stays as an entry without a value, so that a session can tell that it has changed.
"""

from typing import Final

from gateway.domain.mailboxtree import MailboxAnnotated
from projections.readmodel import Rows

WHOLE_ACCOUNT: Final = ""  # in the place of a mailbox_id
KEEP: Final = """
INSERT INTO annotation SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::bigint[])
ON CONFLICT (account_id, mailbox_id, entry) DO UPDATE SET value = excluded.value,
    changed_at = excluded.changed_at
"""
FORGET: Final = """
DELETE FROM annotation AS a USING unnest($1::text[], $2::text[]) AS gone (account_id, mailbox_id)
WHERE a.account_id = gone.account_id AND a.mailbox_id = gone.mailbox_id
"""

Key = tuple[str, str, str]  # account, mailbox, entry


class Annotations:
    """What a batch says of them. The id of a mailbox that is gone never comes again."""

    def __init__(self) -> None:
        self._said: dict[Key, tuple[bytes | None, int]] = {}
        self._gone: list[tuple[str, str]] = []

    def keep(self, account_id: str, event: MailboxAnnotated, value: bytes | None, at: int) -> None:
        """value: unsealed. at: position."""
        self._said[account_id, event.mailbox_id or WHOLE_ACCOUNT, event.entry] = value, at

    def forget(self, account_id: str, mailbox_id: str) -> None:
        self._gone.append((account_id, mailbox_id))

    async def write(self, rows: Rows) -> None:
        if self._said:
            said = [(*key, *what) for key, what in self._said.items()]
            await rows.execute(KEEP, *zip(*said, strict=True))
        if self._gone:
            await rows.execute(FORGET, *zip(*self._gone, strict=True))

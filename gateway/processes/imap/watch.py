"""The mailboxes of a session whose client asked to hear of them: as it was told of them, and as they are."""

from typing import Self

from gateway.mail.ids import AccountId
from gateway.ports import Position
from gateway.protocols.imap.notifying import News, Wishes
from projections.mailbox.annotations import WHOLE_ACCOUNT
from projections.mailbox.query import MailboxRow, annotated_since, folded_up_to, list_mailboxes, paths_of
from projections.readmodel import Rows

Picture = dict[str, tuple[str, MailboxRow]]  # by mailbox_id: whole name and row


class Watch:
    """wishes: what the client hears of. now: of the rows that were looked at last."""

    def __init__(self, wishes: Wishes, now: Picture, position: Position) -> None:
        self.wishes, self.now = wishes, now
        self._told, self._annotated_up_to = now, position
        self._annotated: dict[str, list[str]] = {}  # entries that have changed, by mailbox_id

    @classmethod
    async def opened(cls, rows: Rows, account_id: AccountId, wishes: Wishes) -> Self:
        """rows: a snapshot."""
        return cls(wishes, await _picture(rows, account_id), await folded_up_to(rows, account_id))

    async def refresh(self, rows: Rows, account_id: AccountId) -> None:
        """Learn what has changed; nothing is told yet. rows: a snapshot."""
        self.now = await _picture(rows, account_id)
        for mailbox_id, entry, at in await annotated_since(rows, account_id, self._annotated_up_to):
            self._annotated.setdefault(mailbox_id, []).append(entry)
            self._annotated_up_to = max(self._annotated_up_to, at)

    def owed(self, selected_id: str | None) -> list[News]:
        """What the client is to be told; it counts as told from now on."""
        owed = list(self.wishes.differences(self._told, self.now, selected_id))
        self._told = self.now
        return owed

    def owed_metadata(self) -> list[tuple[str, list[str]]]:
        """The same of metadata: names of mailboxes, "" for the account as a whole, and entries."""
        annotated, self._annotated = self._annotated, {}
        owed: list[tuple[str, list[str]]] = []
        for mailbox_id, entries in annotated.items():
            if mailbox_id == WHOLE_ACCOUNT and self.wishes.wants_server_metadata:
                owed.append(("", entries))
            elif mailbox_id in self.now:
                path, row = self.now[mailbox_id]
                if "MAILBOXMETADATACHANGE" in self.wishes.events_of(path, is_subscribed=row.is_subscribed):
                    owed.append((path, entries))
        return owed


async def _picture(rows: Rows, account_id: AccountId) -> Picture:
    found = await list_mailboxes(rows, account_id)
    paths = paths_of(found)
    return {row.mailbox_id: (paths[row.mailbox_id], row) for row in found}

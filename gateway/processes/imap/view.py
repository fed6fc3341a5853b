"""The selected mailbox of a session: which messages its client knows, and what it has to be told."""

from collections.abc import Collection, Sequence

from gateway.mail.uids import Ranges, ranges_of
from gateway.processes.imap.places import Place
from gateway.protocols.imap import responses
from gateway.protocols.imap.errors import BadCommand
from gateway.protocols.imap.fetching import flag_lines
from gateway.protocols.imap.selected import Exists, Expunged, Flagged, NoSuchMessage, Owed, Selected
from gateway.protocols.imap.sequence_set import SequenceSet
from projections.mailbox.query import (
    Change,
    Line,
    Mark,
    MessageRow,
    SummarisedLine,
    changed_since,
    lines,
    marks,
    read_messages,
    summarised_lines,
)
from projections.readmodel import Rows


class View:
    """account_id: whose mailbox it is. viewer: who has it selected, if that is somebody else."""

    def __init__(self, place: Place, selected: Selected, *, is_read_only: bool) -> None:
        self.account_id, self.mailbox_id = place.account_id, place.mailbox_id
        self.viewer, self.rights = place.viewer, place.rights
        self.selected, self.is_read_only = selected, is_read_only

    def may(self, rights: str) -> bool:
        return self.rights.issuperset(rights)

    async def changed_since(self, rows: Rows, modseq: int, *, uids: Ranges | None = None) -> list[Change]:
        return await changed_since(
            rows, self.account_id, self.mailbox_id, modseq, uids=uids, viewer=self.viewer
        )

    async def marks(self, rows: Rows, uids: Ranges) -> list[Mark]:
        return await marks(rows, self.account_id, self.mailbox_id, uids, viewer=self.viewer)

    async def lines(self, rows: Rows, uids: Ranges) -> list[Line]:
        return await lines(rows, self.account_id, self.mailbox_id, uids, viewer=self.viewer)

    async def summarised_lines(self, rows: Rows, uids: Ranges) -> list[SummarisedLine]:
        return await summarised_lines(rows, self.account_id, self.mailbox_id, uids, viewer=self.viewer)

    async def messages(self, rows: Rows, uids: Ranges) -> list[MessageRow]:
        return await read_messages(rows, self.account_id, self.mailbox_id, uids, viewer=self.viewer)

    async def refresh(self, rows: Rows) -> None:
        """Learn what has changed since; nothing is told yet."""
        changes = await self.changed_since(rows, self.selected.modseq)
        if changes:
            self.selected.learn(changes, max(change.modseq for change in changes))

    def uids_of(self, numbers: SequenceSet, *, by_uid: bool) -> Ranges:
        """Those of a set that the client knows. Raises BadCommand for numbers that no message has."""
        try:
            return self.selected.uids_of(numbers, by_uid=by_uid)
        except NoSuchMessage as error:
            raise BadCommand("", str(error)) from None


def told(owed: Sequence[Owed], enabled: Collection[str], *, tells_uid: bool = False) -> bytes:
    """What a client is owed, as responses. RFC 7162 §3.2.10: with QRESYNC VANISHED stands for EXPUNGE, and
    each FETCH has its UID, as after UID commands (RFC 9051 §6.4.9). With UIDONLY nothing has a number."""
    if not owed:
        return b""
    gone = [one for one in owed if isinstance(one, Expunged)]
    if "QRESYNC" in enabled or "UIDONLY" in enabled:
        lines = responses.vanished(ranges_of(sorted(one.uid for one in gone))) if gone else b""
    else:
        lines = responses.expunged(one.number for one in gone)
    lines += b"".join(responses.exists(one.messages) for one in owed if isinstance(one, Exists))
    return lines + flag_lines(
        (one for one in owed if isinstance(one, Flagged)),
        tells_uid=tells_uid or "QRESYNC" in enabled,
        tells_modseq="CONDSTORE" in enabled,
        is_uidonly="UIDONLY" in enabled,
    )

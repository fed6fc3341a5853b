"""Which mailboxes somebody reaches, by the names they have for them: their own, and what others share.

Others' mailboxes lie below `Other Users/`, by their owners' addresses (RFC 2342 §3). What somebody has no
LOOKUP right to is not there.

Source: RFC 4314 §4 (LIST, and what each command needs); ADR 0027.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from gateway.domain.open_tree import OTHERS, SEPARATOR, OpenTree
from gateway.domain.sharing import ALL_RIGHTS, Party, rights_of
from gateway.mail.ids import AccountId, MailboxId
from gateway.mail.rights import LOOKUP
from gateway.ports import Position
from gateway.protocols.imap.errors import CannotObey
from projections.directory.query import AccountRow, Person, accounts_with_ids
from projections.mailbox.query import MailboxRow, list_mailboxes, paths_of
from projections.mailbox.sharing import mailboxes_of, rights_given, seen_by, shared_with, unfollowed_by
from projections.readmodel import Rows

PREFIX: Final = OTHERS + SEPARATOR


@dataclass(frozen=True, slots=True)
class Place:
    """A mailbox somebody reaches. path: their name for it; inner: its owner's; rights: theirs.

    viewer: who reaches it; None: its owner, whose \\Seen stands in the message itself. root: of the quota it
    counts for (RFC 9208 §3.1), "" for their own.
    """

    path: str
    inner: str
    row: MailboxRow
    rights: frozenset[str] = ALL_RIGHTS
    viewer: AccountId | None = None
    root: str = ""
    is_subscribed: bool = True

    @property
    def account_id(self) -> AccountId:
        return self.row.account_id

    @property
    def mailbox_id(self) -> MailboxId:
        return self.row.mailbox_id


@dataclass(frozen=True, slots=True)
class Named:
    """A mailbox that a decision is about: whose it is, and its owner's name for it.

    mailbox_id: the one that somebody has the right to; None: it is their own.
    """

    account_id: AccountId
    inner: str
    mailbox_id: MailboxId | None = None

    def check(self, tree: OpenTree) -> None:
        """Its owner may have given the name to another meanwhile. Raises CannotObey."""
        if self.mailbox_id is not None and tree.find(self.inner) != self.mailbox_id:
            raise CannotObey("", "There is no mailbox of that name", "NONEXISTENT")


async def own_places(rows: Rows, person: Person) -> dict[str, Place]:
    """By their whole names, INBOX first."""
    found = await list_mailboxes(rows, person.account_id)
    paths = paths_of(found)
    return {
        path: Place(path, path, row, is_subscribed=row.is_subscribed)
        for row in found
        for path in (paths[row.mailbox_id],)
    }


async def others_places(rows: Rows, person: Person) -> dict[str, Place]:
    """By their whole names, owner by owner."""
    shared = await shared_with(rows, (person.account_id, person.agency_id))
    shared.pop(person.account_id, None)  # what they share with everybody
    if not shared:
        return {}
    known = {row.account_id: row for row in await accounts_with_ids(rows, [person.account_id, *shared])}
    if person.account_id not in known:  # erased meanwhile
        return {}
    if person.account_id not in known:  # the directory's rows are behind: nobody can say who this is
        return {}
    owners = sorted((known[one] for one in shared if one in known), key=lambda owner: owner.address)
    mailboxes = await mailboxes_of(rows, [owner.account_id for owner in owners])
    unfollowed = await unfollowed_by(rows, person.account_id)
    places: dict[str, Place] = {}
    for owner in owners:
        root = PREFIX + owner.address
        paths = paths_of(mailboxes[owner.account_id])
        for row in mailboxes[owner.account_id]:
            given = shared[owner.account_id].get(row.mailbox_id, {})
            rights = rights_of(party(known[person.account_id]), party(owner), given)
            if LOOKUP in rights:
                inner = paths[row.mailbox_id]
                path = f"{root}{SEPARATOR}{inner}"
                is_subscribed = row.mailbox_id not in unfollowed
                places[path] = Place(path, inner, row, rights, person.account_id, root, is_subscribed)
    return places


async def rights_to(
    rows: Rows, person: Person, account_id: AccountId, mailbox_id: MailboxId
) -> frozenset[str]:
    """What somebody may do now with a mailbox of another account."""
    given = await rights_given(rows, account_id, mailbox_id)
    known = {row.account_id: row for row in await accounts_with_ids(rows, [person.account_id, account_id])}
    if len(known) < 2:
        return frozenset()
    return rights_of(party(known[person.account_id]), party(known[account_id]), given)


async def as_seen(rows: Rows, places: Mapping[str, Place]) -> dict[str, Place]:
    """The same, with \\Seen counted for whom reaches them."""
    viewers = {place.viewer for place in places.values() if place.viewer is not None}
    seen: dict[Position, int] = {}
    for viewer in viewers:
        boxes = [place.row.opened_at for place in places.values() if place.viewer == viewer]
        seen |= await seen_by(rows, viewer, boxes)
    return {
        path: place
        if place.viewer is None
        else replace(
            place, row=replace(place.row, unseen=place.row.messages - seen.get(place.row.opened_at, 0))
        )
        for path, place in places.items()
    }


def party(row: AccountRow) -> Party:
    return Party(row.account_id, row.agency_id, row.status == "active", row.status == "closed")

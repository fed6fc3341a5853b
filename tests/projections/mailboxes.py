"""What people do in their mailboxes, as facts of a made-up history: folders, flags, moves, deletions."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from gateway.domain.changes import (
    Changed,
    MessageAppended,
    MessageCopied,
    MessageExpunged,
    MessageFlagged,
    MessageMoved,
    MessageMovedIn,
    MessageMovedOut,
    MessageRestored,
)
from gateway.domain.events import Actor
from gateway.domain.histories import box_history
from gateway.domain.mailboxtree import MailboxTree, tree_id
from gateway.domain.open_tree import OpenTree
from gateway.mail.ids import MailboxId, MailId
from gateway.mail.uids import each_uid, parse_uids, ranges_of, uids_text
from gateway.ports import Fact, Position
from tests.projections.world import Owner, World

FLAGS = ("\\Seen", "\\Deleted", "\\Answered", "\\Flagged", "$Work", "$WORK", "$Later")
KINDS: Sequence[type[Changed]] = (
    MessageFlagged, MessageFlagged, MessageExpunged, MessageCopied, MessageMoved, MessageRestored,
    MessageMovedOut,
)  # fmt: skip

T = TypeVar("T")


def decide(world: World, owner: Owner, decision: Callable[[OpenTree], T]) -> T:
    """A decision about the account's mailboxes; what it decided is in the log."""
    tree, _ = world.aggregate(MailboxTree, tree_id(owner.account_id))
    made = decision(
        OpenTree(
            tree,
            world.keys.key(f"account.{owner.account_id}"),
            world.stamp(),
            new_id=lambda: MailboxId(world._id("mbx")),
            nonce=lambda: world.chance.randbytes(12),
        )
    )
    world.add(*tree.collect_facts())
    return made


def append(
    world: World,
    owner: Owner,
    mailbox_id: str,
    flags: Sequence[str] = (),
    subject: str = "ร่าง",
    by: Owner | None = None,
) -> MessageAppended:
    """A message that a client puts into a mailbox. by: whose it is; it has come from their account then."""
    mail = world.accept(owner.agency_id, owner.address, [owner.address], subject)
    world.log.pop()  # nobody accepted it: it only looks like a mail
    delivered = world.deliver(mail, owner, [0])
    world.log.pop()
    moved = {} if by is None else {"from_account_id": by.account_id, "from_position": len(world.log)}
    event = (MessageAppended if by is None else MessageMovedIn)(
        account_id=owner.account_id,
        mailbox_id=MailboxId(mailbox_id),
        mail_id=mail.mail_id,
        message=mail.message,
        keys=delivered.keys,
        internal_date=world.now,
        flags=tuple(flags),
        **moved,
        **_fields(world, by),
    )
    world.add(Fact(box_history(owner.account_id), event))
    return event


def change(
    world: World,
    owner: Owner,
    kind: type[Changed],
    mailbox_id: str,
    uids: str,
    fields: Mapping[str, Any],
    by: Owner | None = None,
) -> Position:
    """Any other change; where it stands."""
    event = kind(
        account_id=owner.account_id,
        mailbox_id=MailboxId(mailbox_id),
        uids=uids,
        **fields,
        **_fields(world, by),
    )
    return world.add(Fact(box_history(owner.account_id), event))[0]


def _share(world: World, owner: Owner, holder: str, rights: str) -> None:
    decide(world, owner, lambda tree: tree.share(owner.inbox_id, holder, "replace", frozenset(rights)))


def _follow(world: World, follower: Owner, owner: Owner, *, is_subscribed: bool) -> None:
    def decision(tree: OpenTree) -> None:
        tree.follow(owner.account_id, owner.inbox_id, is_subscribed=is_subscribed)

    decide(world, follower, decision)


def _fields(world: World, by: Owner | None) -> dict[str, Any]:
    return world.stamp().fields() | ({} if by is None else {"actor": Actor("account", by.account_id)})


def change_some(world: World, times: int, accounts: int = 4) -> None:
    """Changes of every kind by every account, among them of what is not there, of what is gone, and twice."""
    chance = world.chance
    owners = world.accounts[:accounts]
    folders: dict[str, dict[MailboxId, str]] = {owner.account_id: {} for owner in owners}
    gone = [MailboxId("mbx_gone")]
    for number in range(times):
        owner = chance.choice(owners)
        own = folders[owner.account_id]
        places = [owner.inbox_id, *own, *chance.sample(gone, 1)]
        mailbox_id, other = chance.choice(places), chance.choice(places)
        if chance.random() < 0.2:
            _change_folders(world, owner, own, gone)
        elif chance.random() < 0.3:
            append(world, owner, mailbox_id, chance.sample(FLAGS, 2), by=chance.choice([None, *owners]))
        elif chance.random() < 0.1:
            _follow(world, chance.choice(owners), owner, is_subscribed=chance.random() < 0.5)
            _share(world, owner, chance.choice([owners[0].account_id, owner.agency_id]), chance.choice("lr"))
        else:
            change(world, owner, *_some_change(world, mailbox_id, other), by=chance.choice([None, *owners]))
        if number % 3 == 0:
            world.deliver(world.accept(owner.agency_id, None, [owner.address]), owner, [0], mailbox_id)


def _some_change(world: World, mailbox_id: str, other: str) -> tuple[type[Changed], str, str, dict[str, Any]]:
    chance = world.chance
    uids = uids_text(ranges_of(sorted(chance.sample(range(1, 40), chance.randrange(1, 12)))))
    kind = chance.choice(KINDS)
    fields: dict[str, Any] = {}
    if kind is MessageFlagged:
        fields = {
            "how": chance.choice(("add", "remove", "replace")),
            "flags": tuple(chance.sample(FLAGS, chance.randrange(4))),
            "unchanged_since": chance.choice((None, None, len(world.log) - 20)),
        }
    elif kind is MessageMovedOut:
        fields = {
            "to_account_id": world.accounts[0].account_id,
            "to_mailbox_id": MailboxId(other),
            "mail_ids": tuple(MailId(world._id("mail")) for _ in each_uid(parse_uids(uids))),
        }
    elif kind is MessageExpunged:
        fields = {"only_deleted": chance.random() < 0.7}
    else:
        fields = {"to_mailbox_id": MailboxId(other)}
    return kind, mailbox_id, uids, fields


def _change_folders(world: World, owner: Owner, own: dict[MailboxId, str], gone: list[MailboxId]) -> None:
    """One more, another name, another subscription, other metadata, or one less."""
    name = f"งาน {len(world.log)}"
    match world.chance.randrange(5) if own else 0:
        case 0:
            own[decide(world, owner, lambda tree: tree.create(name))] = name
        case 1:
            mailbox_id = world.chance.choice(list(own))
            decide(world, owner, lambda tree: tree.rename(own[mailbox_id], name))
            own[mailbox_id] = name
        case 2:
            path, is_subscribed = world.chance.choice(list(own.values())), world.chance.random() < 0.5
            decide(world, owner, lambda tree: tree.subscribe(path, is_subscribed=is_subscribed))
        case 3:
            path, value = world.chance.choice(["", *own.values()]), world.chance.choice([None, b"", b"red"])
            entry = world.chance.choice(("/private/comment", "/shared/comment"))
            decide(world, owner, lambda tree: tree.annotate(path, [(entry, value)]))
        case _:
            mailbox_id, path = world.chance.choice(list(own.items()))
            decide(world, owner, lambda tree: tree.delete(path))
            gone.append(mailbox_id)
            del own[mailbox_id]

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
    MessageRestored,
)
from gateway.domain.histories import box_history
from gateway.domain.mailboxtree import MailboxTree, tree_id
from gateway.domain.open_tree import OpenTree
from gateway.mail.ids import MailboxId
from gateway.mail.uids import ranges_of, uids_text
from gateway.ports import Fact, Position
from tests.projections.world import Owner, World

FLAGS = ("\\Seen", "\\Deleted", "\\Answered", "\\Flagged", "$Work", "$WORK", "$Later")
KINDS: Sequence[type[Changed]] = (
    MessageFlagged, MessageFlagged, MessageExpunged, MessageCopied, MessageMoved, MessageRestored,
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
    world: World, owner: Owner, mailbox_id: str, flags: Sequence[str] = (), subject: str = "ร่าง"
) -> MessageAppended:
    """A message that a client puts into a mailbox."""
    mail = world.accept(owner.agency_id, owner.address, [owner.address], subject)
    world.log.pop()  # nobody accepted it: it only looks like a mail
    delivered = world.deliver(mail, owner, [0])
    world.log.pop()
    event = MessageAppended(
        account_id=owner.account_id,
        mailbox_id=MailboxId(mailbox_id),
        mail_id=mail.mail_id,
        message=mail.message,
        keys=delivered.keys,
        internal_date=world.now,
        flags=tuple(flags),
        **world.stamp().fields(),
    )
    world.add(Fact(box_history(owner.account_id), event))
    return event


def change(
    world: World, owner: Owner, kind: type[Changed], mailbox_id: str, uids: str, fields: Mapping[str, Any]
) -> Position:
    """Any other change; where it stands."""
    event = kind(
        account_id=owner.account_id,
        mailbox_id=MailboxId(mailbox_id),
        uids=uids,
        **fields,
        **world.stamp().fields(),
    )
    return world.add(Fact(box_history(owner.account_id), event))[0]


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
            append(world, owner, mailbox_id, chance.sample(FLAGS, 2))
        else:
            change(world, owner, *_some_change(world, mailbox_id, other))
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

"""Mailboxes, messages and what accounts use, folded from deliveries and from what people change.

A batch is walked in the order of the log, over what its events name: rows are read and written in sets, the
rules stand in changing.py. However the log is cut into batches, rows are the same.

Source: architecture §1, §2 (delivery is once per mail and account), §6; ADR 0024.
"""

from collections.abc import Iterator, Sequence
from typing import Final, cast

import msgspec

from gateway.domain.account import AccountCreated, account_key_name
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
    viewer_of,
)
from gateway.domain.events import MailDelivered, MessageSecret
from gateway.domain.mailboxtree import (
    AnnotationSecret,
    MailboxAnnotated,
    MailboxCreated,
    MailboxDeleted,
    MailboxFollowed,
    MailboxRenamed,
    MailboxShared,
    MailboxSubscribed,
    NameSecret,
    TreeCreated,
    annotation_label,
    name_label,
)
from gateway.domain.routing import message_label
from gateway.mail.flags import flags_text
from gateway.mail.ids import AccountId
from gateway.mail.uids import contains, each_uid, parse_uids
from gateway.ports import Recorded
from projections.keyring import Keyring, Keys, clear
from projections.mailbox.annotations import Annotations
from projections.mailbox.changing import INBOX, Account, Arrival, Moment, Outcome, appended
from projections.mailbox.counting import ALL_UIDS
from projections.mailbox.said import said
from projections.mailbox.tables import (
    DEPARTURE_COLUMNS,
    KEEP_FOLLOWS,
    KEEP_SHARES,
    Accounts,
    Named,
    note_outcomes,
)
from projections.readmodel import ReadModel, Rows
from projections.summary import envelope_of, heading_of

# 50 MB at most in memory. A change of more messages than that is folded alone.
NAMED_MAX: Final = 100_000

DELIVER: Final = """
INSERT INTO delivery
SELECT DISTINCT ON (account_id, mail_id) account_id, mail_id, position
FROM unnest($1::text[], $2::text[], $3::bigint[]) AS d (account_id, mail_id, position)
ORDER BY account_id, mail_id, position
ON CONFLICT DO NOTHING RETURNING position
"""
ORIGIN_COLUMNS: Final = (
    "account_id", "position", "mail_id", "digest", "octets", "presented_octets", "hint", "large",
    "attachments", "hidden", "sealed", "keys", "subject", "from_", "message_id", "front", "summary",
    "said",
)  # fmt: skip

ARRIVALS: Final = frozenset({MailDelivered.TOPIC, MessageAppended.TOPIC, MessageMovedIn.TOPIC})
Arrived = MailDelivered | MessageAppended
TreeChanged = (
    MailboxCreated
    | MailboxRenamed
    | MailboxDeleted
    | MailboxSubscribed
    | MailboxAnnotated
    | MailboxShared
    | MailboxFollowed
)


class MailboxModel(ReadModel):
    name = "mailbox"
    version = 7
    topics = frozenset(
        kind.TOPIC
        for kind in (
            AccountCreated, TreeCreated, MailboxCreated, MailboxRenamed, MailboxDeleted, MailboxSubscribed,
            MailboxAnnotated, MailDelivered, MessageAppended, MessageFlagged, MessageExpunged, MessageCopied,
            MessageMoved, MessageRestored, MailboxShared, MailboxFollowed, MessageMovedOut,
            MessageMovedIn,
        )
    )  # fmt: skip
    # Their sessions wait for the outcome.
    awaited = topics - {AccountCreated.TOPIC, TreeCreated.TOPIC, MailDelivered.TOPIC}
    is_sharded = True
    absorbed = ("quota",)
    wakes_readers = True

    def __init__(self, ring: Keyring) -> None:
        self._ring = ring

    async def keys_for(self, batch: Sequence[Recorded]) -> Keys:
        names: set[str] = set()
        for recorded in batch:
            match recorded.event:
                case MailDelivered() | MessageAppended() as event:
                    names.update(wrap.key for wrap in event.keys)
                case MailboxCreated() | MailboxRenamed() | MailboxAnnotated():
                    names.add(account_key_name(_account_id(recorded)))
        return await self._ring.fetch_named(names)

    async def apply(self, batch: Sequence[Recorded], rows: Rows, keys: Keys) -> None:
        fresh = await _first_arrivals(batch, rows)
        accounts = await Accounts.load(
            rows,
            list({_account_id(recorded) for recorded in batch}),
            list({mailbox_id for recorded in batch for mailbox_id in _mailbox_ids(recorded)}),
            growing=list({_account_id(one) for one in batch if one.topic == MailboxCreated.TOPIC}),
        )
        outcomes: list[tuple[str, int, Outcome]] = []
        annotations = Annotations()
        shares: dict[tuple[str, ...], str] = {}
        follows: dict[tuple[str, ...], bool] = {}
        for part, named in _parts(batch, accounts):
            await accounts.load_messages(rows, named)
            fold = Fold(accounts, fresh, keys, annotations)
            for recorded in part:
                fold.take(recorded)
            if fold.origins:
                await rows.copy_records_to_table("origin", records=fold.origins, columns=ORIGIN_COLUMNS)
            if fold.departures:
                await rows.copy_records_to_table(
                    "departure", records=fold.departures, columns=DEPARTURE_COLUMNS
                )
            await accounts.write_messages(rows)
            outcomes += fold.outcomes
            shares |= fold.shares
            follows |= fold.follows
        await accounts.write(rows)
        await annotations.write(rows)
        if outcomes:
            await note_outcomes(rows, outcomes)
        for keep, news in ((KEEP_SHARES, shares), (KEEP_FOLLOWS, follows)):
            if news:
                await rows.execute(
                    keep, *zip(*((*place, value) for place, value in news.items()), strict=True)
                )


class Fold:
    """Events into accounts; what that leaves to write beside them."""

    def __init__(self, accounts: Accounts, fresh: set[int], keys: Keys, annotations: Annotations) -> None:
        self._accounts, self._fresh, self._keys = accounts, fresh, keys
        self._annotations = annotations
        self.origins: list[tuple[object, ...]] = []
        self.outcomes: list[tuple[str, int, Outcome]] = []
        self.departures: list[tuple[object, ...]] = []
        self.shares: dict[tuple[str, ...], str] = {}  # rights, by account, mailbox and holder
        self.follows: dict[tuple[str, ...], bool] = {}  # by account and mailbox of another

    def take(self, recorded: Recorded) -> None:
        event, moment = recorded.event, Moment(recorded.position, recorded.event.at)
        account = self._accounts[_account_id(recorded)]
        match event:
            case MailDelivered():
                self._arrive(account, event, moment)
            case MessageAppended():
                arrival = self._arrive(account, event, moment, flags_text(event.flags), viewer_of(event))
                self._note(account, moment, appended(event.mailbox_id, arrival))
            case AccountCreated():
                account.usage.quota_octets, account.usage.kind = event.quota_octets, event.kind
            case TreeCreated():
                account.last_uidvalidity = event.base
                account.open(event.mailbox_id, moment, parent_id="", name="INBOX", role=INBOX)
            case (
                MailboxCreated()
                | MailboxRenamed()
                | MailboxDeleted()
                | MailboxSubscribed()
                | MailboxAnnotated()
                | MailboxShared()
                | MailboxFollowed()
            ):
                self._change_tree(account, event, moment)
            case Changed():
                outcome = account.change(event, moment)
                self._note(account, moment, outcome)
                if isinstance(event, MessageMovedOut):
                    self._depart(account, event, moment, outcome)
        account.usage.settle(moment.at)

    def _arrive(
        self, account: Account, event: Arrived, moment: Moment, flags: str = "", viewer: str | None = None
    ) -> Arrival | None:
        """None: the account has it already, nothing changes."""
        if moment.position not in self._fresh:
            return None
        message = event.message
        self.origins.append(_origin(moment.position, event, self._keys))
        octets, date = message.presented_octets, event.internal_date
        return account.arrive(event.mailbox_id, moment, octets, date, flags, viewer)

    def _depart(self, account: Account, event: MessageMovedOut, moment: Moment, outcome: Outcome) -> None:
        """What of it has to arrive at the other account."""
        going = zip(each_uid(parse_uids(event.uids)), event.mail_ids, strict=False)
        self.departures += [
            (
                moment.position, uid, account.mailboxes[event.mailbox_id].opened_at, mail_id,
                event.to_account_id, event.to_mailbox_id, event.actor.id, moment.at,
            )
            for uid, mail_id in going
            if contains(outcome.applied, uid)
        ]  # fmt: skip

    def _change_tree(self, account: Account, event: TreeChanged, moment: Moment) -> None:
        match event:
            case MailboxCreated():
                account.open(
                    event.mailbox_id,
                    moment,
                    parent_id=event.parent_id or "",
                    name=self._name(account, event),
                    role=event.role or "",
                )
            case MailboxRenamed():
                mailbox = account.mailboxes[event.mailbox_id]
                mailbox.parent_id, mailbox.name = event.parent_id or "", self._name(account, event)
            case MailboxSubscribed():
                account.mailboxes[event.mailbox_id].is_subscribed = event.is_subscribed
            case MailboxAnnotated():
                self._annotations.keep(
                    account.account_id, event, self._value(account, event), moment.position
                )
            case MailboxDeleted():
                account.close(event.mailbox_id, moment)
                self._annotations.forget(account.account_id, event.mailbox_id)
            case MailboxShared():
                self.shares[account.account_id, event.mailbox_id, event.holder] = event.rights
            case MailboxFollowed():
                self.follows[account.account_id, event.mailbox_id] = event.is_subscribed

    def _name(self, account: Account, event: MailboxCreated | MailboxRenamed) -> str:
        secret = self._keys.unseal_with(
            NameSecret,
            event.name,
            account_key_name(AccountId(account.account_id)),
            label=name_label(event.mailbox_id),
        )
        return clear(secret.name) if secret else ""

    def _value(self, account: Account, event: MailboxAnnotated) -> bytes | None:
        if event.value is None:
            return None
        secret = self._keys.unseal_with(
            AnnotationSecret,
            event.value,
            account_key_name(AccountId(account.account_id)),
            label=annotation_label(event.mailbox_id, event.entry),
        )
        return secret.value if secret else b""

    def _note(self, account: Account, moment: Moment, outcome: Outcome) -> None:
        self.outcomes.append((account.account_id, moment.position, outcome))


def _account_id(recorded: Recorded) -> AccountId:
    """`ev.box.<slot>.<account_id>`, `ev.tree.<account_id>`, `ev.account.<account_id>`."""
    return AccountId(recorded.subject.rpartition(".")[2])


def _mailbox_ids(recorded: Recorded) -> tuple[str, ...]:
    """Those an event names that may have rows."""
    match recorded.event:
        case MailDelivered() | MessageAppended() as event:
            return (event.mailbox_id,)
        case MessageCopied() | MessageMoved() | MessageRestored() as event:
            return event.mailbox_id, event.to_mailbox_id
        case Changed() as event:
            return (event.mailbox_id,)
        case MailboxRenamed() | MailboxDeleted() | MailboxSubscribed() as event:
            return (event.mailbox_id,)
    return ()


def _parts(batch: Sequence[Recorded], accounts: Accounts) -> Iterator[tuple[list[Recorded], list[Named]]]:
    """A batch in parts that name at most NAMED_MAX messages each, or are one event."""
    part, named, size = list[Recorded](), list[Named](), 0
    for recorded in batch:
        one = list(_named(recorded))
        more = accounts.count_named(one)
        if part and size + more > NAMED_MAX:
            yield part, named
            part, named, size = [], [], 0
        part.append(recorded)
        named += one
        size += more
    yield part, named


def _named(recorded: Recorded) -> Iterator[Named]:
    match recorded.event:
        case Changed() as event:
            is_restored = isinstance(event, MessageRestored)
            uids = parse_uids(event.uids)
            yield Named(event.account_id, event.mailbox_id, uids, is_restored, _seen_by(event))
        case MailboxDeleted() as event:
            yield Named(_account_id(recorded), event.mailbox_id, ALL_UIDS)


def _seen_by(event: Changed) -> str | None:
    """Whose \\Seen it takes to fold a change: what is put elsewhere takes everybody's along."""
    match event:
        case MessageFlagged():
            return viewer_of(event)
        case MessageCopied() | MessageMoved() | MessageRestored():
            return ""
    return None


async def _first_arrivals(batch: Sequence[Recorded], rows: Rows) -> set[int]:
    """Positions of those that bring what their account has not got."""
    arrived = [
        (recorded.position, cast(Arrived, recorded.event)) for recorded in batch if recorded.topic in ARRIVALS
    ]
    if not arrived:
        return set()
    found = await rows.fetch(
        DELIVER,
        [event.account_id for _, event in arrived],
        [event.mail_id for _, event in arrived],
        [position for position, _ in arrived],
    )
    return {row["position"] for row in found}


def _origin(position: int, event: Arrived, keys: Keys) -> tuple[object, ...]:
    message, content = event.message, event.message.content
    secret = keys.unseal(MessageSecret, message.sealed, event.keys, label=message_label(event.mail_id))
    envelope = envelope_of(secret.summary) if secret else None
    heading = heading_of(envelope)
    return (
        event.account_id, position, event.mail_id,
        content.digest, content.octets, message.presented_octets,
        content.hint, content.large, list(content.attachments),
        [bound for span in message.hidden for bound in span],
        message.sealed, msgspec.json.encode(event.keys),
        heading.subject, heading.from_, heading.message_id,
        secret.front if secret else b"", secret.summary if secret else b"",
        said(envelope) if envelope else None,
    )  # fmt: skip

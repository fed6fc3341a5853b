"""Where a mail goes: from the envelope and what the directory says of each recipient to facts.

Pure: the directory's answers, keys and nonces are arguments. The message goes on unopened; only who can
open it changes, so its data key is wrapped again for each holder.

Source: RFC 5321 §3.3, §3.6; RFC 3463 §3.2 (5.1.1); RFC 3461 §5.2 (DSN options go on);
RFC 7293 §5.1 (an address with another owner); architecture §2.2.
"""

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal, assert_never

from gateway.domain import sealing
from gateway.domain.account import account_key_name
from gateway.domain.agency import NextHop
from gateway.domain.agency import agency_key_name as agency_key_name
from gateway.domain.events import (
    AttemptSecret,
    EnvelopeSecret,
    Fact,
    MailAccepted,
    MailBounced,
    MailDelivered,
    MailQueued,
    Stamp,
    Wrap,
)
from gateway.domain.forwarding import ForwardedSecret, MailForwarded, forwarded_label
from gateway.domain.histories import box_history, mail_history
from gateway.domain.maillist import ListExpanded
from gateway.domain.quota import FULL, Room
from gateway.mail import valid_since
from gateway.mail.address import parse_address
from gateway.mail.dsn_options import SUCCESS, chosen, wants
from gateway.mail.ids import AccountId, AgencyId, MailboxId, MailId
from gateway.mail.reply import Reply, reply
from gateway.mail.valid_since import NOBODYS, Owner

NO_SUCH_MAILBOX: Final = reply(550, "5.1.1", "No such mailbox here")
TOO_LATE: Final = reply(554, "5.4.7", "The time by which the mail was to be delivered is over")


@dataclass(frozen=True, slots=True)
class Hosted:
    """The address is an account's whose mailboxes are here."""

    agency_id: AgencyId
    account_id: AccountId
    mailbox_id: MailboxId  # INBOX
    room: Room | None = field(default=None, compare=False)  # None: not known
    owner: Owner = field(default=NOBODYS, compare=False)  # what is on record of the address


@dataclass(frozen=True, slots=True)
class Relayed:
    """The domain is an agency's that has a mail server of its own."""

    agency_id: AgencyId
    next_hop: NextHop


@dataclass(frozen=True, slots=True)
class UnknownHere:
    """The domain is an agency's whose mailboxes are here, and none has this address."""

    agency_id: AgencyId


@dataclass(frozen=True, slots=True)
class NotOurs:
    """No agency has the domain."""


Whereabouts = Hosted | Relayed | UnknownHere | NotOurs


@dataclass(frozen=True, slots=True)
class Listed(Hosted):
    """The same, and the account is a mailing list."""


@dataclass(frozen=True, slots=True)
class ForwardingRule:
    """What holds of an account's rule now. address: the account's own; targets: those its agency allows."""

    address: str
    targets: tuple[str, ...]
    keeps_copy: bool

    def __post_init__(self) -> None:
        assert self.targets, "a rule that names nobody does not hold"


@dataclass(frozen=True, slots=True)
class Forwarder(Hosted):
    """The same as Hosted, and the account's mail goes on. room: None where no copy is kept."""

    rule: ForwardingRule = field(kw_only=True)

    @property
    def mailbox(self) -> Hosted:
        """The account without its rule."""
        return Hosted(self.agency_id, self.account_id, self.mailbox_id, self.room, self.owner)


@dataclass(frozen=True, slots=True)
class Expanding:
    """The mail is for the members of this list as they were at this version of it."""

    agency_id: AgencyId
    account_id: AccountId
    version: int
    members: int
    owner: Owner = field(default=NOBODYS, compare=False)  # what is on record of its address


@dataclass(frozen=True, slots=True)
class NotAllowed:
    """The list does not take the mail. status: RFC 3463."""

    agency_id: AgencyId
    status: str
    text: str


Destination = Whereabouts | Expanding | NotAllowed


@dataclass(frozen=True, slots=True)
class OpenedMail:
    """An accepted mail with its envelope open."""

    position: int  # of its mail.accepted
    accepted: MailAccepted
    envelope: EnvelopeSecret = field(repr=False)
    data_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Means:
    """What a decision is made with. holder_keys: by name; a name that is missing was destroyed."""

    stamp: Stamp
    holder_keys: Mapping[str, bytes] = field(repr=False)
    nonce: Callable[[], bytes] = field(repr=False)  # 12 random octets each time
    give_up_after: timedelta


def transit_key_name(agency_id: AgencyId, at: datetime) -> str:
    """The accepting agency's key of one day (UTC): it only lives until its mails are decided."""
    return f"transit.{agency_id}.{at:%Y%m%d}"


def traffic_key_name(agency_id: AgencyId | None, at: datetime) -> str:
    """The KeyStore's name of the traffic log's key of one month (UTC; architecture §4, Sealed).

    None: of what no agency can be told for.
    """
    return f"traffic.{agency_id or 'none'}.{at:%Y%m}"


def envelope_label(mail_id: MailId) -> str:
    """The label under which an EnvelopeSecret is sealed."""
    return f"envelope:{mail_id}"


def message_label(mail_id: MailId) -> str:
    """The label under which a MessageSecret is sealed."""
    return f"message:{mail_id}"


def traffic_label(mail_id: MailId) -> str:
    """The label under which the traffic log's copy of an EnvelopeSecret is sealed."""
    return f"traffic:{mail_id}"


def attempt_label(mail_id: MailId) -> str:
    """The label under which an AttemptSecret is sealed."""
    return f"attempt:{mail_id}"


def holders(accepted: MailAccepted, whereabouts: Sequence[Destination]) -> set[str]:
    """The names of the keys `decide` may wrap for: it bounces what an account can no longer get."""
    forwarders = {agency_key_name(where.agency_id) for where in whereabouts if isinstance(where, Forwarder)}
    accounts = {_holder(accepted, where) for where in whereabouts}
    return {agency_key_name(accepted.agency_id)} | forwarders | accounts


def decide(
    mail: OpenedMail,
    whereabouts: Sequence[Destination],
    means: Means,
    ended: Container[int] = frozenset(),
    full: Container[AccountId] = frozenset(),
) -> list[Fact]:
    """What becomes of each recipient. whereabouts: by recipient id; ended: recipients decided before; full:
    whose mailboxes take no more.

    A mail is delivered once per account, however many of its addresses were named; queued once per
    destination; bounced at once for all whom nobody here knows, or who are not whom the sender means. Of an
    account that forwards it goes on once; where a copy is kept its delivery is right behind, so that both are
    one write. The last delivery names those whose success the sender wants to know, so that there is one
    report of them all.
    """
    assert len(whereabouts) == len(mail.envelope.rcpt_to), mail.accepted.mail_id
    deliveries: dict[Hosted, list[int]] = {}
    queues: dict[AgencyId | None, list[int]] = {}
    refused: dict[Reply, list[int]] = {}
    lists: dict[Expanding, list[int]] = {}
    forwards: dict[Forwarder, list[int]] = {}
    is_too_late = _is_too_late(mail.accepted, means)
    for recipient, where in enumerate(whereabouts):
        if recipient in ended:
            continue
        match where:
            case Hosted() | Expanding() if is_too_late:
                refused.setdefault(TOO_LATE, []).append(recipient)
            case Hosted() if _is_erased(where, means):
                refused.setdefault(NO_SUCH_MAILBOX, []).append(recipient)
            case Hosted() | Expanding() if (said := _not_meant(mail, recipient, where)) is not None:
                refused.setdefault(said, []).append(recipient)
            case Hosted(account_id=account_id) if account_id in full:
                refused.setdefault(FULL, []).append(recipient)
            case Forwarder(rule=ForwardingRule(keeps_copy=False)):
                forwards.setdefault(where, []).append(recipient)
            case Hosted():
                deliveries.setdefault(where, []).append(recipient)
            case Relayed(agency_id=agency_id):
                queues.setdefault(agency_id, []).append(recipient)
            case UnknownHere():
                refused.setdefault(NO_SUCH_MAILBOX, []).append(recipient)
            case NotOurs():
                queues.setdefault(None, []).append(recipient)
            case Expanding():
                lists.setdefault(where, []).append(recipient)
            case NotAllowed():
                refused.setdefault(reply(550, where.status, where.text), []).append(recipient)
            case _:
                assert_never(where)

    told = () if is_too_late else _report_success(mail, whereabouts, means, full)
    facts = list[Fact]()
    for number, (hosted, ids) in enumerate(deliveries.items(), 1):
        if isinstance(hosted, Forwarder):
            facts.append(_forwarded(mail, hosted, tuple(ids), means))
        facts.append(_delivered(mail, hosted, tuple(ids), told if number == len(deliveries) else (), means))
    facts += [_forwarded(mail, where, tuple(ids), means) for where, ids in forwards.items()]
    facts += [_queued(mail, agency_id, tuple(ids), means) for agency_id, ids in queues.items()]
    facts += [_expanded(mail, where, tuple(ids), means) for where, ids in lists.items()]
    facts += [_bounced(mail, said, tuple(ids), means) for said, ids in refused.items()]
    return facts


def _is_too_late(accepted: MailAccepted, means: Means) -> bool:
    """True when its sender wants it back by now (RFC 2852 §4): no router was there in time."""
    by, mode = accepted.deliver_by, accepted.deliver_by_mode
    return by is not None and mode in ("R", "RT") and means.stamp.at > by


def _is_erased(hosted: Hosted, means: Means) -> bool:
    return account_key_name(hosted.account_id) not in means.holder_keys


def _not_meant(mail: OpenedMail, recipient: int, where: Hosted | Expanding) -> Reply | None:
    """What is said when the address is not (known to be) of whom the sender means (RFC 7293 §5.1, §9)."""
    asked = mail.accepted.recipients[recipient].rrvs
    if not asked:
        return None
    return valid_since.refusal(parse_address(mail.envelope.rcpt_to[recipient]), asked, where.owner)


def _report_success(
    mail: OpenedMail, whereabouts: Sequence[Destination], means: Means, full: Container[AccountId]
) -> tuple[int, ...]:
    """Whose delivery is to be reported, those that were decided before too: their last delivery was not.

    Never to a null sender and never about a report. What goes on without a copy is not delivered here.
    """
    if not _hears_of_success(mail):
        return ()
    return tuple(
        recipient.id
        for recipient, where in zip(mail.accepted.recipients, whereabouts, strict=True)
        if wants(recipient.notify, SUCCESS)
        and isinstance(where, Hosted)
        and not (isinstance(where, Forwarder) and not where.rule.keeps_copy)
        and not _is_erased(where, means)
        and where.account_id not in full
        and _not_meant(mail, recipient.id, where) is None
    )


def _hears_of_success(mail: OpenedMail) -> bool:
    return mail.envelope.mail_from is not None and mail.accepted.report_of is None


def _wanting_success(mail: OpenedMail, recipients: Sequence[int]) -> tuple[int, ...]:
    if not _hears_of_success(mail):
        return ()
    return tuple(r for r in recipients if wants(mail.accepted.recipients[r].notify, SUCCESS))


def _holder(accepted: MailAccepted, where: Destination) -> str:
    match where:
        case Hosted(account_id=account_id):
            return account_key_name(account_id)
        case Relayed(agency_id=agency_id):
            return agency_key_name(agency_id)
        case UnknownHere() | NotOurs() | Expanding() | NotAllowed():
            return agency_key_name(accepted.agency_id)
        case _:
            assert_never(where)


def _wrapped(mail: OpenedMail, holder: str, means: Means) -> tuple[Wrap, ...]:
    return (Wrap(holder, sealing.wrap(mail.data_key, means.holder_keys[holder])),)


def _delivered(
    mail: OpenedMail, hosted: Hosted, recipients: tuple[int, ...], told: tuple[int, ...], means: Means
) -> Fact:
    accepted = mail.accepted
    event = MailDelivered(
        **means.stamp.answering(mail.position),
        mail_id=accepted.mail_id,
        account_id=hosted.account_id,
        mailbox_id=hosted.mailbox_id,
        recipients=recipients,
        message=accepted.message,
        keys=_wrapped(mail, account_key_name(hosted.account_id), means),
        internal_date=_went_at(accepted),
        report_success=told,
    )
    return Fact(box_history(hosted.account_id), event)


def _queued(mail: OpenedMail, agency_id: AgencyId | None, recipients: tuple[int, ...], means: Means) -> Fact:
    accepted = mail.accepted
    mail_id = accepted.mail_id
    envelope = EnvelopeSecret(
        mail_from=mail.envelope.mail_from,
        rcpt_to=tuple(mail.envelope.rcpt_to[recipient] for recipient in recipients),
        orcpt=chosen(mail.envelope.orcpt, recipients),
        envid=mail.envelope.envid,
    )
    event = MailQueued(
        **means.stamp.answering(mail.position),
        mail_id=mail_id,
        recipients=recipients,
        agency_id=agency_id,
        accepted_by=accepted.agency_id,
        message=accepted.message,
        keys=_wrapped(mail, agency_key_name(agency_id or accepted.agency_id), means),
        sealed=sealing.seal(envelope, mail.data_key, nonce=means.nonce(), label=envelope_label(mail_id)),
        accepted_at=accepted.at,
        expires_at=_expires_at(accepted, means),
        smtputf8=accepted.smtputf8,
        eight_bit=accepted.eight_bit,
        binary=accepted.binary,
        is_report=accepted.report_of is not None,
        notify=chosen(tuple(recipient.notify for recipient in accepted.recipients), recipients),
        ret=accepted.ret,
        deliver_by=accepted.deliver_by,
        deliver_by_mode=accepted.deliver_by_mode,
        priority=accepted.priority,
        requiretls=accepted.requiretls,
        tls_optional=accepted.tls_optional,
        rrvs=chosen(tuple(recipient.rrvs for recipient in accepted.recipients), recipients),
    )
    return Fact(mail_history(mail_id), event)


def _went_at(accepted: MailAccepted) -> datetime:
    """When it came, or came out of its hold (RFC 4865)."""
    return accepted.hold_until or accepted.at


def _expires_at(accepted: MailAccepted, means: Means) -> datetime:
    """When it is given up: not after the time at which its sender wants it back (RFC 2852 §4)."""
    expires_at = _went_at(accepted) + means.give_up_after
    if accepted.deliver_by is None or accepted.deliver_by_mode not in ("R", "RT"):
        return expires_at
    return min(expires_at, accepted.deliver_by)


def _forwarded(mail: OpenedMail, where: Forwarder, recipients: tuple[int, ...], means: Means) -> Fact:
    accepted, rule = mail.accepted, where.rule
    told = ForwardedSecret(mail.envelope.mail_from, rule.address, rule.targets)
    label = forwarded_label(accepted.mail_id, where.account_id)
    event = MailForwarded(
        **means.stamp.answering(mail.position),
        mail_id=accepted.mail_id,
        recipients=recipients,
        agency_id=where.agency_id,
        account_id=where.account_id,
        keeps_copy=rule.keeps_copy,
        targets=len(rule.targets),
        keys=_wrapped(mail, agency_key_name(where.agency_id), means),
        sealed=sealing.seal(told, mail.data_key, nonce=means.nonce(), label=label),
        report_success=() if rule.keeps_copy else _wanting_success(mail, recipients),
    )
    return Fact(mail_history(accepted.mail_id), event)


def _expanded(mail: OpenedMail, where: Expanding, recipients: tuple[int, ...], means: Means) -> Fact:
    mail_id = mail.accepted.mail_id
    event = ListExpanded(
        **means.stamp.answering(mail.position),
        mail_id=mail_id,
        recipients=recipients,
        agency_id=where.agency_id,
        account_id=where.account_id,
        version=where.version,
        members=where.members,
        report_success=_wanting_success(mail, recipients),
    )
    return Fact(mail_history(mail_id), event)


def _bounced(mail: OpenedMail, why: Reply, recipients: tuple[int, ...], means: Means) -> Fact:
    accepted = mail.accepted
    mail_id = accepted.mail_id
    said = AttemptSecret(remote_host="", reply_text=" ".join(why.text))
    event = MailBounced(
        **means.stamp.answering(mail.position),
        mail_id=mail_id,
        recipients=recipients,
        attempt=1,
        code=why.code,
        status=str(why.status),
        reason=_reason(why),
        keys=_wrapped(mail, agency_key_name(accepted.agency_id), means),
        sealed=sealing.seal(said, mail.data_key, nonce=means.nonce(), label=attempt_label(mail_id)),
    )
    return Fact(mail_history(mail_id), event)


def _reason(why: Reply) -> Literal["mailbox", "full", "policy", "expired"]:
    if why is FULL:
        return "full"
    if why is TOO_LATE:
        return "expired"
    is_policy = why.status is not None and why.status.subject == 7
    is_owners = why in (valid_since.OWNER_CHANGED, valid_since.NOT_ON_RECORD)
    return "policy" if is_policy and not is_owners else "mailbox"

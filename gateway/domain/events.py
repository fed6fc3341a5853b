"""Every fact the log holds, in past tense (architecture §4). Aggregates keep their events beside themselves.

An event is a frozen struct with an explicit, versioned TOPIC; JSON on the wire. In the clear stand ids,
sizes, codes and times. Addresses, names, subjects and free text are in `sealed`, AES-256-GCM under the
mail's data key, which `keys` carries wrapped for its holders (`sealing.py`). Until 1.0 a /1 may still
change in place, with its golden; from then on a new shape is /2 and an upcast in `codec.py`.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta, Struct

from gateway.mail.demands import DeliverByMode
from gateway.mail.dsn_options import Ret
from gateway.mail.ids import AccountId, AgencyId, MailboxId, MailId

Instant = Annotated[datetime, Meta(tz=True)]  # aware, UTC

EVENT_TYPES: dict[str, type["Event"]] = {}


class Actor(Struct, frozen=True, omit_defaults=True):
    """Who did it. id: role, account id, operator's user name; "" for a remote host (its IP is sealed)."""

    kind: Literal["system", "remote", "account", "operator"]
    id: str = ""


class By(Struct, frozen=True):
    """Which code under which settings decided, so that a trace can say so."""

    role: str
    version: str
    settings: str  # digest of the settings without secrets


class Event(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What every event carries. at: stamped by the appending process (Clock port)."""

    TOPIC: ClassVar[str]

    at: Instant
    actor: Actor
    by: By
    cause: str = ""  # the position or the mail id it answers

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if topic := cls.__dict__.get("TOPIC"):
            known = EVENT_TYPES.setdefault(topic, cls)
            assert known.__qualname__ == cls.__qualname__, f"{topic} is taken by {known}"


@dataclass(frozen=True, slots=True)
class Fact:
    """An event and the history it belongs to. subject: without `ev.`, e.g. `mail.07` (histories.py)."""

    subject: str
    event: Event


@dataclass(frozen=True, slots=True)
class Stamp:
    """What every event of one decision carries: when, who, which code, in answer to what."""

    at: datetime  # aware, UTC
    actor: Actor
    by: By
    cause: str = ""

    def fields(self) -> dict[str, Any]:
        return {"at": self.at, "actor": self.actor, "by": self.by, "cause": self.cause}

    def answering(self, cause: int | str) -> dict[str, Any]:
        """The same, in answer to a position or a mail id."""
        return self.fields() | {"cause": str(cause)}


class Wrap(Struct, frozen=True):
    """A mail's data key, encrypted for one holder."""

    key: str  # name in the KeyStore: "account.acc_…", "agency.ag_…", "transit.ag_….20261123"
    wrapped: bytes


class Content(Struct, frozen=True, omit_defaults=True):
    """A message's octets, by digest and size only; where they live is the `content` projection."""

    digest: str  # hex SHA-256 over a sealed random salt and the message as received
    octets: int  # of the message as received
    hint: int = 0  # sequence in CT, of use until the rows know a pack; 0: not there, `large` names it
    large: str = ""  # S3 object that holds what is too large for CT after carving
    attachments: tuple[str, ...] = ()  # S3 objects the message has holes for


class Message(Struct, frozen=True, omit_defaults=True):
    """All a reader needs, copied unopened from mail.accepted into what follows (architecture §4).

    sealed: a MessageSecret. hidden: ranges of the stored octets a reader does not get.
    """

    content: Content
    presented_octets: int  # of front + stored octets without the hidden ranges
    sealed: bytes
    hidden: tuple[tuple[int, int], ...] = ()


class MessageSecret(Struct, frozen=True):
    front: bytes  # the octets we add: Return-Path, Received
    salt: bytes  # of the content digest
    summary: bytes  # JSON of gateway.mail.summary.Summary, 8 KiB at most


class Recipient(Struct, frozen=True, omit_defaults=True):
    """One RCPT. id: its place in the envelope, from 0; the address is in the envelope's secret."""

    id: int
    agency_id: AgencyId | None = None  # whose domain it is, as far as the edge knew; None: nobody's here
    notify: str = ""  # RFC 3461 NOTIFY, as in gateway.mail.dsn_options; "": not said
    rrvs: str = ""  # RFC 7293 RRVS, of RCPT or header, as in gateway.mail.valid_since; "": not said


class EnvelopeSecret(Struct, frozen=True, omit_defaults=True):
    mail_from: str | None  # None is the null reverse-path (RFC 5321 §4.5.5)
    rcpt_to: tuple[str, ...]  # by recipient id
    helo: str = ""
    remote_ip: str = ""
    remote_port: int = 0
    tls: str = ""  # version and cipher, "" in the clear
    identity: str = ""  # the address of who signed in, "" for another host
    mechanism: str = ""  # of SASL, by which they did
    orcpt: tuple[str, ...] = ()  # RFC 3461 ORCPT, side by side with rcpt_to; (): nobody has one
    envid: str = ""  # RFC 3461 ENVID


# --- a mail's life: ev.mail.<slot of mail_id> ---------------------------------------------------


class MailAccepted(Event, frozen=True, kw_only=True):
    """We answered for this mail: its content and this event are durable before `250`."""

    TOPIC: ClassVar[str] = "mail.accepted/1"

    mail_id: MailId
    agency_id: AgencyId  # the accepting agency, whose transit key wraps the data key
    recipients: tuple[Recipient, ...]
    message: Message
    keys: tuple[Wrap, ...]
    sealed: bytes  # EnvelopeSecret
    traffic: bytes = b""  # for the traffic log: EnvelopeSecret without DSN options, under traffic_key alone
    traffic_key: str = ""  # "traffic.ag_….202611"
    smtputf8: bool = False
    eight_bit: bool = False
    binary: bool = False  # RFC 3030 BODY=BINARYMIME: it need not have lines
    report_of: MailId | None = None  # this mail is the bounce report of that one
    acceptance: Literal["onsite", "both-sites"] = "onsite"
    secrecy: str = ""
    requiretls: bool = False  # RFC 8689
    tls_optional: bool = False  # RFC 8689 §5: its sender wants it to arrive, whatever domains demand of TLS
    hold_until: Instant | None = None  # RFC 4865: it is decided on when mail.released says so
    deliver_by: Instant | None = None  # RFC 2852
    deliver_by_mode: DeliverByMode | None = None
    priority: int = 0  # RFC 6710: -9..9, higher goes first
    sender_account_id: AccountId | None = None
    ret: Ret | None = None  # RFC 3461 RET
    expands: MailId | None = None  # this mail takes that one to members of a list, or further
    part: int = 0  # which of them, from 0


class MailHeld(Event, frozen=True, kw_only=True):
    """Right behind its mail.accepted, in one group: its sender wants it to wait (RFC 4865)."""

    TOPIC: ClassVar[str] = "mail.held/1"

    mail_id: MailId
    hold_until: Instant


class MailReleased(Event, frozen=True, kw_only=True):
    """ev.due: the time of a held mail has come; now the router decides on it. accepted: its mail.accepted."""

    TOPIC: ClassVar[str] = "mail.released/1"

    mail_id: MailId
    accepted: int


class MailQueued(Event, frozen=True, kw_only=True):
    """These recipients are for another host. One event per destination."""

    TOPIC: ClassVar[str] = "mail.queued/1"

    mail_id: MailId
    recipients: tuple[int, ...]
    agency_id: AgencyId | None  # whose next hop it is for; None: a domain without an agency
    accepted_by: AgencyId  # the accepting agency, as in mail.accepted: a report is accepted for it again
    message: Message
    keys: tuple[Wrap, ...]
    sealed: bytes  # EnvelopeSecret; rcpt_to holds the addresses of `recipients`, in their order
    accepted_at: Instant
    expires_at: Instant
    smtputf8: bool = False
    eight_bit: bool = False
    binary: bool = False
    is_report: bool = False
    notify: tuple[str, ...] = ()  # RFC 3461 NOTIFY, side by side with recipients; (): nobody's was said
    ret: Ret | None = None  # RFC 3461 RET
    rrvs: tuple[str, ...] = ()  # RFC 7293 RRVS, likewise
    deliver_by: Instant | None = None  # as in mail.accepted, with its mode
    deliver_by_mode: DeliverByMode | None = None
    priority: int = 0
    requiretls: bool = False
    tls_optional: bool = False


class AttemptSecret(Struct, frozen=True, omit_defaults=True):
    """What the next hop said. The last three: as TlsSeen (tls_policy.py)."""

    remote_host: str
    reply_text: str
    tls: str = ""  # protocol and cipher, "" in the clear
    verified: str = ""
    tls_failure: str = ""


class Attempted(Event, frozen=True, kw_only=True):
    """What every outcome of a delivery attempt to another host carries."""

    mail_id: MailId
    recipients: tuple[int, ...]
    attempt: int  # 1, 2, …
    code: int  # SMTP reply code; 0: no reply was had
    status: str  # RFC 3463
    keys: tuple[Wrap, ...]
    sealed: bytes  # AttemptSecret


class MailRelayed(Attempted, frozen=True, kw_only=True):
    """The next hop said 2xx to the final dot for these recipients."""

    TOPIC: ClassVar[str] = "mail.relayed/1"

    report_success: tuple[int, ...] = ()  # whose success we report: the next hop does not offer DSN


class MailDeferred(Attempted, frozen=True, kw_only=True):
    TOPIC: ClassVar[str] = "mail.deferred/1"

    next_attempt_at: Instant
    report_delay: tuple[int, ...] = ()  # whose delay is reported now: they are late, and were not before


class MailBounced(Attempted, frozen=True, kw_only=True):
    """Given up, for relayed and for hosted recipients alike; the router answers with a report.

    cause: the position of its mail.accepted, or of its mail.queued, where the report finds the sender.
    """

    TOPIC: ClassVar[str] = "mail.bounced/1"

    reason: Literal["mailbox", "full", "policy", "spam", "protocol", "network", "expired", "route"]


# --- an account's mailboxes: ev.box.<slot of account_id>.<account_id> ----------------------------


class MailDelivered(Event, frozen=True, kw_only=True):
    """A hosted account has the mail, once however many of its addresses were named."""

    TOPIC: ClassVar[str] = "mail.delivered/1"

    mail_id: MailId
    account_id: AccountId
    mailbox_id: MailboxId
    recipients: tuple[int, ...]  # every original recipient this delivery ends
    message: Message
    keys: tuple[Wrap, ...]
    internal_date: Instant
    report_success: tuple[int, ...] = ()  # the mail's last delivery: all whose success its sender wants


ReadHow = Literal["fetch", "retr", "show", "export"]


class ReadSecret(Struct, frozen=True, omit_defaults=True):
    client: str = ""
    remote_ip: str = ""
    reason: str = ""


class MessageRead(Event, frozen=True, kw_only=True):
    """Content left us; durable before its first octet did."""

    TOPIC: ClassVar[str] = "message.read/1"

    account_id: AccountId
    mailbox_id: MailboxId
    uids: str  # RFC 9051 sequence-set of UIDs
    how: ReadHow
    sealed: bytes  # ReadSecret, under sealed_key
    sealed_key: str
    peek: bool = False


# --- processes' own histories ---------------------------------------------------------------------


class LaneOpened(Event, frozen=True, kw_only=True):
    """ev.lane.<role>-<host>-<k>: from here on only this owner's appends get in (architecture §4, Lanes)."""

    TOPIC: ClassVar[str] = "lane.opened/1"


class LaneClosed(Event, frozen=True, kw_only=True):
    """An ack was lost: what of that batch is not in the log by here never will be."""

    TOPIC: ClassVar[str] = "lane.closed/1"


class RouterDecided(Event, frozen=True, kw_only=True):
    """ev.route.<share>: every mail of this share up to `up_to` has been decided.

    ended: recipients of the mail at up_to + 1 that have been, when its facts want more than one append.
    aside: positions passed over so far because they were held; released, they are decided then.
    """

    TOPIC: ClassVar[str] = "router.decided/1"

    up_to: int
    ended: tuple[int, ...] = ()
    aside: tuple[int, ...] = ()


class OperatorAppointed(Event, frozen=True, kw_only=True):
    """ev.operator: somebody may run this gateway; their verifier is in the KeyStore."""

    TOPIC: ClassVar[str] = "operator.appointed/1"

    name: str


class ConsumerHeld(Event, frozen=True, kw_only=True):
    """ev.consumer.<name>: the consumer passes over this position until it is released."""

    TOPIC: ClassVar[str] = "consumer.held/1"

    consumer: str
    position: int
    reason: str


class ConsumerReleased(Event, frozen=True, kw_only=True):
    TOPIC: ClassVar[str] = "consumer.released/1"

    consumer: str
    position: int


# --- content: ev.content ----------------------------------------------------------------------------


class ContentStored(Event, frozen=True, kw_only=True):
    """An object of its own is in the store: an attachment or a large message."""

    TOPIC: ClassVar[str] = "content.stored/1"

    name: str  # S3 object name
    octets: int  # as stored
    digest: str  # hex SHA-256 of the stored octets


class PackEntry(Struct, frozen=True):
    digest: str  # Content.digest
    offset: int  # in the pack
    octets: int  # as stored, encrypted
    hint: int  # the sequence it had in CT


class ContentPacked(Event, frozen=True, kw_only=True):
    """These contents are in a pack now. 400 entries an event at most."""

    TOPIC: ClassVar[str] = "content.packed/1"

    pack: str  # S3 object name
    octets: int  # of the whole pack
    digest: str  # hex SHA-256 of the whole pack
    entries: tuple[PackEntry, ...]

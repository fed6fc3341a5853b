"""What a person decides about mails that wait for another host: held, released, retried, rerouted, cancelled.

Each deed is a fact in the mail's own history, with who did it and why; the queue is folded from it. A held
recipient is not tried until it is released, and given up when its time is over, as every other is.

Source: issue 3/9 (Steering); RFC 5321 §4.5.4.1 (a mail is given up at last, whatever happens).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from msgspec import Struct

from gateway.domain.agency import NextHop
from gateway.domain.events import Event, Fact, MailQueued, Stamp, Wrap
from gateway.domain.histories import mail_history
from gateway.domain.sealing import seal
from gateway.mail.dsn_options import FAILURE, wants
from gateway.mail.ids import MailId

CANCELLED_STATUS: Final = "5.0.0"  # RFC 3463 §3.1: no subject says that a person withdrew it
REASON_CHARACTERS_MAX: Final = 1_000


class SteeringSecret(Struct, frozen=True):
    why: str  # the words of who did it


class Steered(Event, frozen=True, kw_only=True):
    """What every deed carries. cause: the position of the mail.queued whose recipients these are."""

    mail_id: MailId
    recipients: tuple[int, ...]
    keys: tuple[Wrap, ...]  # as of mail.queued; () when its keys were destroyed
    sealed: bytes  # SteeringSecret; b"" then


class DeliveryHeld(Steered, frozen=True, kw_only=True):
    """ev.mail: not tried before somebody releases it."""

    TOPIC: ClassVar[str] = "delivery.held/1"


class DeliveryReleased(Steered, frozen=True, kw_only=True):
    """ev.mail: held no longer, and due at once."""

    TOPIC: ClassVar[str] = "delivery.released/1"


class DeliveryRetried(Steered, frozen=True, kw_only=True):
    """ev.mail: due at once, whenever its next attempt would have been."""

    TOPIC: ClassVar[str] = "delivery.retried/1"


class DeliveryRerouted(Steered, frozen=True, kw_only=True):
    """ev.mail: goes to this next hop from now on. None: to its agency's again."""

    TOPIC: ClassVar[str] = "delivery.rerouted/1"

    next_hop: NextHop | None = None


class MailCancelled(Steered, frozen=True, kw_only=True):
    """ev.mail: these recipients do not get it; the end of it for them."""

    TOPIC: ClassVar[str] = "mail.cancelled/1"

    report_failure: tuple[int, ...] = ()  # whose sender is told


@dataclass(frozen=True, slots=True)
class Hold:
    pass


@dataclass(frozen=True, slots=True)
class Release:
    pass


@dataclass(frozen=True, slots=True)
class Retry:
    pass


@dataclass(frozen=True, slots=True)
class Reroute:
    next_hop: NextHop | None  # None: back to the agency's own


@dataclass(frozen=True, slots=True)
class Cancel:
    is_reported: bool  # to senders that want to know of failures


Deed = Hold | Release | Retry | Reroute | Cancel


@dataclass(frozen=True, slots=True)
class Waiting:
    """Recipients of one mail.queued that wait and nobody is trying, alike in what a deed may change."""

    queued: MailQueued
    position: int  # of mail.queued
    recipients: tuple[int, ...]
    is_held: bool
    next_hop: NextHop | None  # None: the agency's own


def changes(deed: Deed, waiting: Waiting) -> bool:
    """False when it is so already, and no fact is wanted."""
    match deed:
        case Hold():
            return not waiting.is_held
        case Release():
            return waiting.is_held
        case Retry():
            return not waiting.is_held  # what is held waits for its release
        case Reroute(next_hop=next_hop):
            return next_hop != waiting.next_hop
        case Cancel():
            return True


def steered(
    deed: Deed,
    waiting: Waiting,
    stamp: Stamp,
    *,
    why: str,
    data_key: bytes | None,
    nonce: Callable[[], bytes],
) -> Fact:
    """The fact of a deed that `changes` something. data_key: None when the mail's keys were destroyed."""
    queued = waiting.queued
    carried: dict[str, Any] = stamp.answering(waiting.position) | {
        "mail_id": queued.mail_id,
        "recipients": waiting.recipients,
        "keys": queued.keys if data_key is not None else (),
        "sealed": b"",
    }
    if data_key is not None:
        label = steering_label(queued.mail_id)
        carried["sealed"] = seal(SteeringSecret(why), data_key, nonce=nonce(), label=label)
    return Fact(mail_history(queued.mail_id), _event(deed, carried, queued))


def steering_label(mail_id: MailId) -> str:
    """The label under which a SteeringSecret is sealed."""
    return f"steering:{mail_id}"


def _event(deed: Deed, carried: dict[str, Any], queued: MailQueued) -> Steered:
    match deed:
        case Hold():
            return DeliveryHeld(**carried)
        case Release():
            return DeliveryReleased(**carried)
        case Retry():
            return DeliveryRetried(**carried)
        case Reroute(next_hop=next_hop):
            return DeliveryRerouted(**carried, next_hop=next_hop)
        case Cancel(is_reported=is_reported):
            told = _told(queued, carried["recipients"]) if is_reported else ()
            return MailCancelled(**carried, report_failure=told)


def _told(queued: MailQueued, recipients: Sequence[int]) -> tuple[int, ...]:
    """Whose sender wants to know that it failed (RFC 3461 §4.1); of a report nobody does (RFC 5321 §6.1)."""
    if queued.is_report:
        return ()
    if not queued.notify:
        return tuple(recipients)
    notify = dict(zip(queued.recipients, queued.notify, strict=True))
    return tuple(recipient for recipient in recipients if wants(notify[recipient], FAILURE))

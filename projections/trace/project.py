"""What happened to each mail, one row a fact, and what it is found by; refused recipients; the traffic log.

Source: architecture §1 (the trace is a projection), §4 (Sealed).
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Final

from gateway.domain.events import (
    Attempted,
    AttemptSecret,
    EnvelopeSecret,
    Event,
    MailAccepted,
    MailBounced,
    MailDeferred,
    MailDelivered,
    MailHeld,
    MailQueued,
    MailRelayed,
    MailReleased,
    MessageSecret,
    Wrap,
)
from gateway.domain.forwarding import ForwardedSecret, MailForwarded, forwarded_label
from gateway.domain.maillist import ListExpanded
from gateway.domain.refusals import REFUSALS, RecipientRefused, RefusalSecret
from gateway.domain.routing import attempt_label, envelope_label, message_label, traffic_label
from gateway.domain.steering import (
    DeliveryHeld,
    DeliveryReleased,
    DeliveryRerouted,
    DeliveryRetried,
    MailCancelled,
    Steered,
    SteeringSecret,
    steering_label,
)
from gateway.mail.address import parse_address
from gateway.mail.ids import AccountId, AgencyId, MailId
from gateway.ports import Recorded
from projections.keyring import Keyring, Keys, clear
from projections.readmodel import ReadModel, Rows
from projections.summary import envelope_of, heading_of
from projections.trace import traffic

PassedOn = ListExpanded | MailForwarded
MailEvent = (
    MailAccepted | MailHeld | MailReleased | MailQueued | MailDelivered | PassedOn | Attempted | Steered
)

STEP_COLUMNS: Final = (
    "position", "mail_id", "at", "topic", "actor_kind", "actor_id", "role", "version", "settings", "cause",
    "recipients", "agency_id", "account_id", "attempt", "code", "status", "reason", "next_attempt_at",
    "remote_host", "reply_text", "tls", "verified", "tls_failure",
)  # fmt: skip
FOUND_BY = """
INSERT INTO mail SELECT * FROM unnest($1::text[], $2::bigint[], $3::timestamptz[], $4::bigint[], $5::text[],
    $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[])
ON CONFLICT DO NOTHING
"""
NAME = """
INSERT INTO recipient SELECT * FROM unnest($1::text[], $2::int[], $3::text[], $4::text[])
ON CONFLICT DO NOTHING
"""

REFUSE = """
INSERT INTO refusal SELECT * FROM unnest($1::bigint[], $2::timestamptz[], $3::text[], $4::text[], $5::int[],
    $6::text[], $7::timestamptz[], $8::timestamptz[], $9::text[], $10::text[], $11::text[], $12::text[],
    $13::text[], $14::text[], $15::int[])
ON CONFLICT DO NOTHING
"""


class TraceModel(ReadModel):
    name = "trace"
    version = 9  # since what was had of TLS with a next hop is in it
    topics = traffic.TOPICS | {
        kind.TOPIC
        for kind in (
            MailAccepted,
            MailHeld,
            MailReleased,
            MailQueued,
            MailDelivered,
            ListExpanded,
            MailForwarded,
            MailRelayed,
            MailDeferred,
            MailBounced,
            DeliveryHeld,
            DeliveryReleased,
            DeliveryRetried,
            DeliveryRerouted,
            MailCancelled,
            RecipientRefused,
        )
    }

    def __init__(self, ring: Keyring) -> None:
        self._ring = ring

    async def keys_for(self, batch: Sequence[Recorded]) -> Keys:
        return await self._ring.fetch_named(name for event in batch for name in _wanted(event.event))

    async def apply(self, batch: Sequence[Recorded], rows: Rows, keys: Keys) -> None:
        refused = [
            _refusal(r.position, r.event, keys) for r in batch if isinstance(r.event, RecipientRefused)
        ]
        if refused:
            await rows.execute(REFUSE, *map(list, zip(*refused, strict=True)))
        steps = [_step(recorded, keys) for recorded in batch if isinstance(recorded.event, MailEvent)]
        await rows.copy_records_to_table("step", records=steps, columns=STEP_COLUMNS)
        mails: list[tuple[object, ...]] = []
        recipients: list[tuple[object, ...]] = []
        envelopes: dict[int, EnvelopeSecret | None] = {}
        for recorded in batch:
            if isinstance(event := recorded.event, MailAccepted):
                envelope = envelopes[recorded.position] = _envelope(event, keys)
                mails.append(_mail(recorded.position, event, envelope, keys))
                recipients += _addresses(event.mail_id, envelope)
        if mails:
            await rows.execute(FOUND_BY, *map(list, zip(*mails, strict=True)))
        if recipients:
            await rows.execute(NAME, *map(list, zip(*recipients, strict=True)))
        await traffic.fold(batch, envelopes, rows, keys)


def _step(recorded: Recorded, keys: Keys) -> tuple[object, ...]:
    event = _mail_event(recorded.event)
    attempt = event if isinstance(event, Attempted) else None
    said = _said(event, keys)
    return (
        recorded.position, event.mail_id, event.at, recorded.topic, event.actor.kind, event.actor.id,
        event.by.role, event.by.version, event.by.settings, event.cause,
        _recipients(event), _agency(event), _account(event),
        attempt and attempt.attempt, attempt and attempt.code, attempt and attempt.status,
        event.reason if isinstance(event, MailBounced) else None,
        _next_at(event),
        clear(said.remote_host), clear(said.reply_text),
        clear(said.tls), clear(said.verified), clear(said.tls_failure),
    )  # fmt: skip


def _refusal(position: int, event: RecipientRefused, keys: Keys) -> tuple[object, ...]:
    secret = keys.unseal_with(RefusalSecret, event.sealed, event.sealed_key, label=REFUSALS)
    sender = (secret.mail_from if secret else None) or ""
    recipient = secret.rcpt_to if secret else ""
    return (
        position, event.at, event.agency_id, event.reason, event.code, event.status,
        event.valid_since, event.owner_since,
        clear(sender), address_key(sender), clear(recipient), address_key(recipient),
        clear(secret.remote_ip) if secret else "", clear(secret.helo) if secret else "", event.unrecorded,
    )  # fmt: skip


def _said(event: MailEvent, keys: Keys) -> AttemptSecret:
    """Which host said what; of a deed, which host it is for now and the words of who did it; of a mail that
    was forwarded, by whose rule and to whom."""
    said: AttemptSecret | None = None
    match event:
        case Attempted():
            label = attempt_label(event.mail_id)
            said = keys.unseal(AttemptSecret, event.sealed, event.keys, label=label)
        case Steered():
            label = steering_label(event.mail_id)
            secret = keys.unseal(SteeringSecret, event.sealed, event.keys, label=label)
            hop = event.next_hop if isinstance(event, DeliveryRerouted) else None
            said = AttemptSecret(str(hop) if hop else "", secret.why if secret else "")
        case MailForwarded():
            label = forwarded_label(event.mail_id, event.account_id)
            told = keys.unseal(ForwardedSecret, event.sealed, event.keys, label=label)
            copy = ", a copy is kept" if event.keeps_copy else ""
            text = f"by the rule of {told.address} to {', '.join(told.targets)}{copy}" if told else ""
            said = AttemptSecret("", text)
    return said or AttemptSecret("", "")


def _envelope(event: MailAccepted, keys: Keys) -> EnvelopeSecret | None:
    """From the mail's own seal, or from the traffic copy, whose key lives as long as the law wants."""
    label = envelope_label(event.mail_id)
    secret = keys.unseal(EnvelopeSecret, event.sealed, event.keys, label=label)
    if secret is None and event.traffic:
        label = traffic_label(event.mail_id)
        secret = keys.unseal_with(EnvelopeSecret, event.traffic, event.traffic_key, label=label)
    return secret


def _mail(
    position: int, event: MailAccepted, envelope: EnvelopeSecret | None, keys: Keys
) -> tuple[object, ...]:
    label = message_label(event.mail_id)
    secret = keys.unseal(MessageSecret, event.message.sealed, event.keys, label=label)
    heading = heading_of(envelope_of(secret.summary) if secret else None)
    sender = (envelope.mail_from if envelope else None) or ""
    return (
        event.mail_id, position, event.at, event.message.content.octets,
        clear(sender), address_key(sender),
        heading.from_, heading.subject, heading.message_id,
        clear(envelope.helo) if envelope else "", envelope.remote_ip if envelope else "", event.report_of,
    )  # fmt: skip


def _wanted(event: Event) -> Iterator[str]:
    """The names of the keys the event's seals want."""
    sealed = MailAccepted | MailForwarded | Attempted | Steered
    wraps: tuple[Wrap, ...] = event.keys if isinstance(event, sealed) else ()
    yield from (wrap.key for wrap in wraps)
    if isinstance(event, MailAccepted) and event.traffic:
        yield event.traffic_key
    yield from traffic.keys_of(event)
    if isinstance(event, RecipientRefused):
        yield event.sealed_key


def _mail_event(event: Event) -> MailEvent:
    assert isinstance(event, MailEvent), event
    return event


def _next_at(event: MailEvent) -> datetime | None:
    match event:
        case MailDeferred(next_attempt_at=at) | MailHeld(hold_until=at):
            return at
    return None


def _recipients(event: MailEvent) -> list[int]:
    if isinstance(event, MailHeld | MailReleased):
        return []  # all of them
    if isinstance(event, MailAccepted):
        return [recipient.id for recipient in event.recipients]
    return list(event.recipients)


def _agency(event: MailEvent) -> AgencyId | None:
    return event.agency_id if isinstance(event, MailAccepted | MailQueued | PassedOn) else None


def _account(event: MailEvent) -> AccountId | None:
    return event.account_id if isinstance(event, MailDelivered | PassedOn) else None


def _addresses(mail_id: MailId, envelope: EnvelopeSecret | None) -> list[tuple[object, ...]]:
    return [
        (mail_id, number, clear(address), address_key(address))
        for number, address in enumerate(envelope.rcpt_to if envelope else ())
    ]


@lru_cache(maxsize=10_000)
def address_key(text: str) -> str:
    """The form all spellings of an address share; what is no address stands for itself."""
    try:
        return str(parse_address(text).normalise())
    except ValueError:
        return clear(text).lower()

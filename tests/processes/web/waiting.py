"""Mails that wait for other hosts, put into the log behind the API."""

import os
from collections.abc import Sequence
from datetime import timedelta

from gateway.domain.events import (
    Actor,
    AttemptSecret,
    Content,
    EnvelopeSecret,
    Fact,
    MailDeferred,
    MailQueued,
    Message,
    Stamp,
    Wrap,
)
from gateway.domain.group import encode_group
from gateway.domain.histories import mail_history
from gateway.domain.routing import attempt_label, envelope_label
from gateway.domain.sealing import NONCE_OCTETS, seal, unwrap, wrap
from gateway.mail.ids import ID_ENTROPY_OCTETS, AgencyId, MailId, new_mail_id
from gateway.ports import Position
from projections.queue.project import QueueModel
from projections.trace.project import TraceModel
from tests.processes.web.world import BY, World

CONTENT = Content(digest=b"d" * 32, octets=5)


async def queue(
    world: World, accepted_by: AgencyId, agency_id: AgencyId | None, sender: str, rcpt_to: Sequence[str]
) -> MailId:
    """A mail that was accepted for one agency and waits for the next hop of another; its rows know it."""
    office = world.office
    at, data_key = office.clock.now(), os.urandom(32)
    mail_id = new_mail_id(at, os.urandom(ID_ENTROPY_OCTETS))
    holder = f"agency.{accepted_by}"
    envelope = EnvelopeSecret(sender, tuple(rcpt_to))
    queued = MailQueued(
        mail_id=mail_id,
        recipients=tuple(range(len(rcpt_to))),
        agency_id=agency_id,
        accepted_by=accepted_by,
        message=Message(content=CONTENT, presented_octets=5, sealed=b""),
        keys=(Wrap(holder, wrap(data_key, await world.keys.get_or_make(holder))),),
        sealed=seal(envelope, data_key, nonce=os.urandom(NONCE_OCTETS), label=envelope_label(mail_id)),
        accepted_at=at,
        expires_at=at + timedelta(days=5),
        **Stamp(at=at, actor=Actor("system", "router"), by=BY).fields(),
    )
    world.log.store(encode_group([Fact(mail_history(mail_id), queued)]))
    await office.follow(QueueModel)
    return mail_id


async def defer(world: World, mail_id: MailId, recipients: Sequence[int], *hosts: str) -> None:
    """Each host in turn took it later; the rows know."""
    office, queued = world.office, await _queued(world, mail_id)
    (held,) = queued.keys
    data_key = unwrap(held.wrapped, await world.keys.get(held.key))
    for number, host in enumerate(hosts, 1):
        at, nonce = office.clock.now(), os.urandom(NONCE_OCTETS)
        deferred = MailDeferred(
            mail_id=mail_id,
            recipients=tuple(recipients),
            attempt=number,
            code=450,
            status="4.2.1",
            keys=queued.keys,
            sealed=seal(AttemptSecret(host, "later"), data_key, nonce=nonce, label=attempt_label(mail_id)),
            next_attempt_at=at + timedelta(minutes=number),
            **Stamp(at=at, actor=Actor("system", "relay"), by=BY).fields(),
        )
        world.log.store(encode_group([Fact(mail_history(mail_id), deferred)]))
    await office.follow(QueueModel)
    await office.follow(TraceModel)


async def _queued(world: World, mail_id: MailId) -> MailQueued:
    for at in range(1, await world.log.last() + 1):
        event = (await world.log.read(Position(at))).event
        if isinstance(event, MailQueued) and event.mail_id == mail_id:
            return event
    raise AssertionError(f"{mail_id} was never queued")

"""Mail to an account that forwards: does it go on, and then the one mail that takes it further.

A mail that was here before, or has come too long a way, stays in the mailbox; one without return path is kept
there as well, for nobody could be told if it was lost further on. Whom the mail goes to was settled by
mail.forwarded, so a rule that changes meanwhile changes nothing about it.

Source: RFC 5321 §3.9.1, §6.3; RFC 3461 §5.2.7 (what the sender is told); RFC 9228.
"""

from collections.abc import Collection
from dataclasses import replace

import msgspec

from gateway.domain import sealing
from gateway.domain.events import EnvelopeSecret, Fact, MailAccepted, MessageSecret, Recipient
from gateway.domain.forwarding import ForwardedSecret, MailForwarded, forwarded_label
from gateway.domain.routing import Forwarder, Hosted, OpenedMail, envelope_label, message_label
from gateway.mail.address import parse_address
from gateway.mail.dsn_options import FAILURE, NEVER, SUCCESS, said_of
from gateway.mail.forwarded import forwarded_front, is_going_round, mark_of
from gateway.mail.presented import presented_octets
from gateway.ports import KeyForgotten, Position, Recorded
from gateway.processes.router.passing_on import PassingOn


class Forwards(PassingOn):
    """All raise Unavailable."""

    async def look(self, mail: OpenedMail, where: Forwarder) -> Forwarder | Hosted:
        """What becomes of the mail for this account."""
        accepted = mail.accepted
        secret = sealing.unseal(
            MessageSecret, accepted.message.sealed, mail.data_key, label=message_label(accepted.mail_id)
        )
        header = await self._header(accepted.message, mail.data_key, secret.salt)
        mark = mark_of(parse_address(where.rule.address), where.account_id)
        if is_going_round(secret.front, header, mark):
            return where.mailbox
        if mail.envelope.mail_from is None:
            return replace(where, rule=replace(where.rule, keeps_copy=True))
        return where

    async def on(self, recorded: Recorded, ended: Collection[int]) -> list[Fact]:
        """The mail that goes on. ended: (0,) when it is in the log already."""
        forwarded = recorded.event
        assert isinstance(forwarded, MailForwarded), forwarded
        accepted = (await self._log.read(Position(int(forwarded.cause)))).event
        assert isinstance(accepted, MailAccepted), f"{forwarded.cause} is no mail to forward"
        wrap, mail_id = forwarded.keys[0], accepted.mail_id
        try:
            data_key = sealing.unwrap(wrap.wrapped, await self._keys.get(wrap.key))
        except KeyForgotten:
            return []
        if ended:
            return []
        told = sealing.unseal(
            ForwardedSecret, forwarded.sealed, data_key, label=forwarded_label(mail_id, forwarded.account_id)
        )
        secret = sealing.unseal(
            MessageSecret, accepted.message.sealed, data_key, label=message_label(mail_id)
        )
        came = sealing.unseal(EnvelopeSecret, accepted.sealed, data_key, label=envelope_label(mail_id))
        ours, path = parse_address(told.address), None
        if told.mail_from is not None:
            sender = parse_address(told.mail_from)
            path = await self.return_paths.write(sender, ours.domain, recorded.position)
        front = forwarded_front(secret.front, mark_of(ours, forwarded.account_id), path)
        message = accepted.message
        octets = presented_octets(len(front), message.hidden, message.content.octets)
        place, count = forwarded.recipients[0], len(told.targets)
        notify = _notify(accepted.recipients[place].notify, keeps_copy=forwarded.keeps_copy)
        return [
            await self._take_further(
                accepted,
                recorded.position,
                forwarded.agency_id,
                EnvelopeSecret(
                    mail_from=None if path is None else str(path),
                    rcpt_to=told.targets,
                    orcpt=(_orcpt(came, place),) * count,
                    envid=came.envid,
                ),
                msgspec.structs.replace(message, presented_octets=octets),
                msgspec.structs.replace(secret, front=front),
                data_key,
                recipients=[Recipient(id=number, notify=notify) for number in range(count)],
                ret=accepted.ret,
                deliver_by=accepted.deliver_by,
                deliver_by_mode=accepted.deliver_by_mode,
            )
        ]


def _notify(asked: str, *, keeps_copy: bool) -> str:
    """What the sender is to be told of the way further on (RFC 3461 §5.2.7.3, §5.2.7.4).

    Of a success here it has been told. Where a copy is kept it is told no more: the mail is not lost.
    """
    if keeps_copy:
        return NEVER
    keywords = [keyword for keyword in asked.split(",") if keyword != SUCCESS]
    return ",".join(keywords) or NEVER if asked else FAILURE


def _orcpt(came: EnvelopeSecret, place: int) -> str:
    """The address that the sender wrote to, for reports (RFC 3461 §5.2.7.2)."""
    address = came.rcpt_to[place]
    return said_of(came.orcpt, place) or f"{'rfc822' if address.isascii() else 'utf-8'};{address}"

"""What one mail may be: the limits of its sender's agency, or the strictest of its recipients' agencies.

Who signed in is known, so the sender's agency decides. Of another host's mail the sender is only a claim:
then those who get it decide. The gateway's own limits are kept by the session core.

Source: RFC 1870 §6 (552 5.3.4), RFC 5321 §4.5.3.1.10 (452 4.5.3: the rest in another mail).
"""

from dataclasses import dataclass, field
from typing import Final

import msgspec

from gateway.domain.agency import Limits
from gateway.domain.quota import QuotaRule, Room
from gateway.mail.ids import AgencyId
from gateway.mail.mime import Part
from gateway.mail.reply import Reply, reply
from gateway.ports import Clock
from gateway.processes.recent import Recent
from gateway.protocols.smtp import replies
from projections.directory.query import limits_of
from projections.readmodel import Rows

HOLDS_S: Final = 5.0
AGENCIES_MAX: Final = 10_000
NO_LIMITS: Final = Limits(attachment_octets_max=None)


class AgencyLimits:
    """The agencies' limits, each asked for once in some seconds."""

    def __init__(self, clock: Clock) -> None:
        self._recent = Recent[AgencyId, Limits](clock, holds_s=HOLDS_S, known_max=AGENCIES_MAX)

    def known(self, agency_id: AgencyId) -> Limits | None:
        return self._recent.get(agency_id)

    async def find(self, rows: Rows, agency_id: AgencyId) -> Limits:
        known = self.known(agency_id)
        if known is None:
            known = await limits_of(rows, agency_id)
            self._recent.keep(agency_id, known)
        return known


@dataclass(slots=True)
class MailLimits:
    """Of one mail on its way in. own: of the sender's agency, who signed in; None: another host's mail."""

    octets: int = 0  # as declared by SIZE; 0: not at all
    own: Limits | None = None
    _strictest: Limits = field(default=NO_LIMITS)

    @property
    def _limits(self) -> Limits:
        return self.own or self._strictest

    def sender(self) -> Reply | None:
        """Why the mail may not begin."""
        return _too_large(self.octets, self._limits)

    def recipient(self, limits: Limits, accepted: int) -> Reply | None:
        """Why one more recipient is refused. limits: of its agency; accepted: how many the mail has."""
        together = self.own or _stricter(self._strictest, limits)
        most = together.recipients_max
        if most is not None and accepted >= most:
            return replies.TOO_MANY_RECIPIENTS
        return _too_large(self.octets, together)

    def accepted(self, limits: Limits) -> None:
        """A recipient of an agency with these limits is in the envelope."""
        self._strictest = _stricter(self._strictest, limits)

    def message(self, octets: int, tree: Part) -> Reply | None:
        """Why the message is refused, now that all of it is there."""
        most = self._limits.attachment_octets_max
        if most is not None and tree.largest_attachment_octets > most:
            return reply(552, "5.3.4", f"Attachment is larger than the limit of {most} octets")
        return _too_large(octets, self._limits)


def quota_refusal(rule: QuotaRule, room: Room | None, octets: int, clock: Clock) -> Reply | None:
    """Why a mailbox takes no mail of so many octets."""
    return None if room is None else rule.refusal(room, octets, clock.now())


def _too_large(octets: int, limits: Limits) -> Reply | None:
    most = limits.message_octets_max
    if most is None or octets <= most:
        return None
    return reply(552, "5.3.4", f"Message is larger than the limit of {most} octets")


def _stricter(one: Limits, other: Limits) -> Limits:
    """Of each limit the smaller one."""
    pairs = zip(msgspec.structs.astuple(one), msgspec.structs.astuple(other), strict=True)
    return Limits(*(min((each for each in pair if each is not None), default=None) for pair in pairs))

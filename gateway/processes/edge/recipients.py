"""May a mail go to this recipient? The directory's rows say so at RCPT (RFC 5321 §3.3).

The answer holds for a second, so a thousand mails to one address are one question. The router decides
again from the log; what the edge says is a courtesy to the sender, not a promise about the mailbox.
"""

from dataclasses import dataclass, replace
from typing import Final, assert_never

from gateway.domain.agency import Limits
from gateway.domain.quota import Room
from gateway.mail.address import Address
from gateway.mail.ids import AgencyId
from gateway.mail.reply import Reply, reply
from gateway.mail.srs import Expired, is_rewritten
from gateway.mail.valid_since import Owner
from gateway.ports import START, Clock, Position, Unavailable
from gateway.processes import maillog
from gateway.processes.edge.limits import AgencyLimits
from gateway.processes.recent import Recent
from gateway.processes.return_paths import ReturnPaths
from projections.checkpoint import position_of
from projections.directory import query as directory
from projections.directory.forwarding import leaves_mailbox_alone
from projections.directory.project import DirectoryModel
from projections.readmodel import Pool, Rows

HOLDS_S: Final = 1.0
KNOWN_MAX: Final = 10_000
MESSAGE_OCTETS_MAX: Final = 1024**3  # no message is larger, whatever is set

RECIPIENT_OK = reply(250, "2.1.5", "Recipient OK")
UNKNOWN_HERE = reply(550, "5.1.1", "No such mailbox here")
NOT_OURS = reply(550, "5.7.1", "This host does not relay for that domain")
NO_WAY_OUT = reply(550, "5.4.4", "No agency has that domain, and this gateway sends nowhere else")
# To a return path that we wrote, or somebody else in our name (gateway/mail/srs.py).
FORGED = reply(550, "5.7.1", "This return path was not written here")
EXPIRED = reply(550, "5.7.1", "This return path has expired")
CANNOT_ANSWER = reply(451, "4.3.0", "Temporary local problem, try again later")


@dataclass(frozen=True, slots=True)
class Checked:
    """What to answer to a stranger, and whose domain the recipient is in.

    agency_id: None unless it is a yes. is_elsewhere: no agency has the domain; who may send there is let.
    room: of its mailbox, if that is here; whether it is enough depends on the mail. limits: of its agency.
    owner: None when it is not for us to say. only_reports: it is a return path of ours.
    """

    verdict: Reply
    agency_id: AgencyId | None
    is_elsewhere: bool = False
    room: Room | None = None
    limits: Limits = Limits()  # noqa: RUF009  a frozen struct
    owner: Owner | None = None
    only_reports: bool = False


class Recipients:
    """Answers RCPT for all sessions of one edge.

    since: where the log ended when the edge started. Rows that are not as far, as while they are folded anew,
    may say yes; their no is none.
    """

    def __init__(
        self,
        pool: Pool,
        clock: Clock,
        addressing: directory.Addressing = directory.ADDRESSING,
        since: Position = START.position,
        return_paths: ReturnPaths | None = None,
    ) -> None:
        self._return_paths = return_paths
        self._pool, self._addressing, self._since = pool, addressing, since
        self.limits = AgencyLimits(clock)
        self._recent = Recent[Address, Checked](clock, holds_s=HOLDS_S, known_max=KNOWN_MAX)

    def known(self, address: Address) -> Checked | None:
        """The answer when it was given within the last second; key: the normalised address."""
        return self._recent.get(address)

    async def check(self, address: Address) -> Checked:
        """Ask the directory about a normalised address."""
        try:
            async with self._pool.rows() as rows:
                (found,) = await directory.find_recipients(rows, [address], self._addressing)
                checked = await self._verdict(rows, address, found)
                if checked.agency_id is not None:
                    limits = await self.limits.find(rows, checked.agency_id)
                    checked = replace(checked, limits=limits)
                elif not await self._is_sure(rows):
                    return Checked(CANNOT_ANSWER, None)
        except Unavailable as error:
            maillog.service_unavailable(service=error.service, reason=error.reason, doing="rcpt")
            return Checked(CANNOT_ANSWER, None)
        self._recent.keep(address, checked)
        return checked

    async def _verdict(self, rows: Rows, address: Address, found: directory.Whereabouts) -> Checked:
        match found:
            case directory.UnknownHere(agency_id=agency_id) if self._return_paths and is_rewritten(address):
                return await _return_path(self._return_paths, address, agency_id)
            case directory.Hosted(account_id=account_id, room=Room() as room) if _is_short(room):
                # Whoever passes everything on needs no room for it.
                is_no_matter = await leaves_mailbox_alone(rows, account_id)
                return replace(_verdict(found), room=None if is_no_matter else room)
        return _verdict(found)

    async def limits_of(self, agency_id: AgencyId) -> Limits:
        """What an agency's own people may send. Raises Unavailable."""
        async with self._pool.rows() as rows:
            return await self.limits.find(rows, agency_id)

    async def _is_sure(self, rows: Rows) -> bool:
        """Whether the rows have been as far as the log was at the start; asked until they have."""
        if self._since and await position_of(rows, DirectoryModel) >= self._since:
            self._since = START.position
        return not self._since


async def _return_path(return_paths: ReturnPaths, address: Address, agency_id: AgencyId) -> Checked:
    """Reports about what we forwarded get in; guesses and what is long past do not. Raises Unavailable."""
    try:
        await return_paths.check(address)
    except Expired:
        return Checked(EXPIRED, None)
    except ValueError:
        return Checked(FORGED, None)
    return Checked(RECIPIENT_OK, agency_id, only_reports=True)


def _is_short(room: Room) -> bool:
    """Whether some mail may not fit."""
    return room.quota_octets - room.octets < MESSAGE_OCTETS_MAX


def _verdict(found: directory.Whereabouts) -> Checked:
    match found:
        case directory.Hosted(agency_id=agency_id, room=room, owner=owner):
            return Checked(RECIPIENT_OK, agency_id, room=room, owner=owner)
        case directory.Relayed(agency_id=agency_id):
            return Checked(RECIPIENT_OK, agency_id)
        case directory.UnknownHere():
            return Checked(UNKNOWN_HERE, None)
        case directory.NotOurs():
            return Checked(NOT_OURS, None, is_elsewhere=True)
        case _:
            assert_never(found)

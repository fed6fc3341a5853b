"""From a received message to `250`: content durable, event durable, then yes (architecture §2.1, §7).

Nothing is half accepted: an object or a content without its event is garbage the sweep finds, and an
event never names content that is not there.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from gateway.domain.events import Actor, By, EnvelopeSecret, Stamp
from gateway.mail import hops, presented, submission
from gateway.mail.address import Address
from gateway.mail.demands import NO_DEMANDS, Demands
from gateway.mail.dsn_options import NOTHING_ASKED, DsnOptions
from gateway.mail.ids import ID_ENTROPY_OCTETS, AgencyId, MailId, new_mail_id
from gateway.mail.mime import Part
from gateway.mail.reply import Reply, reply
from gateway.mail.tls_required import is_tls_optional
from gateway.mail.urgency import priority_of
from gateway.mail.valid_since import asked_of
from gateway.ports import Clock, Entropy, Full, Lane, Spooled, Unavailable
from gateway.processes import maillog
from gateway.processes.intake import Incoming, Intake
from projections.directory.query import Person

SHORT_OF_SPACE = reply(452, "4.3.1", "Short of space, try again later")
HEADER_TOO_LARGE = reply(552, "5.3.4", "Message header too large")
GOING_ROUND = reply(554, "5.4.6", "The mail is going round: too many Received fields")
TOO_MANY_TRACES = reply(554, "5.6.0", "Too many Authentication-Results fields in our name")
CANNOT_ANSWER = reply(451, "4.3.0", "Temporary local problem, try again later")


@dataclass(frozen=True, slots=True)
class Transaction:
    """What the session learnt before the message: envelope, and who is talking to us how."""

    mail_from: Address | None  # None is the null reverse-path
    rcpt_to: tuple[Address, ...]
    agencies: tuple[AgencyId | None, ...]  # whose domain each recipient is in, in the same order
    helo: str
    remote_ip: str
    protocol: str  # RFC 3848 and RFC 6531 §4.3: ESMTP, ESMTPS, UTF8SMTP, …
    smtputf8: bool = False
    eight_bit: bool = False
    binary: bool = False
    author: Person | None = None  # who signed in; None: another host's mail
    sent_for: AgencyId | None = None  # whose own server sends it to somewhere else; None: nobody's does
    dsn: DsnOptions = NOTHING_ASKED
    remote_port: int = 0
    tls: str = ""  # version and cipher, "" in the clear
    mechanism: str = ""  # by which the author signed in
    rrvs: tuple[str, ...] = ()
    demands: Demands = NO_DEMANDS


class Acceptance:
    """Makes mails durable, one `accept` per message; as many at once as there are sessions."""

    def __init__(
        self,
        *,
        hostname: str,
        by: By,
        lane: Lane,
        intake: Intake,
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        self._hostname, self._by = hostname, by
        self._lane, self._intake = lane, intake
        self._clock, self._entropy = clock, entropy

    async def accept(self, transaction: Transaction, spool: Spooled, tree: Part) -> Reply:
        """`250 2.0.0 <mail_id>` when content and event are on disk; 451 or 452 when neither counts.

        tree: the structure that `StructureScanner` found while the octets came. Raises Deposed when this
        edge lost its lane: the session must close unanswered.
        """
        started = self._clock.monotonic()
        hidden = presented.hidden_ranges(tree.header_octets, self._hostname)
        if tree.is_cut:  # what is beyond the cut could claim to be ours, and nobody looked
            return HEADER_TOO_LARGE
        if hops.is_going_round(tree.header_octets):
            return GOING_ROUND
        if len(hidden) > presented.HIDDEN_RANGES_MAX:
            return TOO_MANY_TRACES
        if transaction.author is not None:
            refusal = submission.refusal(tree.header_octets, transaction.author.addresses)
            if refusal is not None:
                return refusal
        mail_id = new_mail_id(self._clock.now(), self._entropy(ID_ENTROPY_OCTETS))
        try:
            facts = await self._intake.take(self._incoming(mail_id, transaction, spool, tree, hidden))
            position = await self._lane.append(facts)
        except Full as error:
            maillog.service_unavailable(service=error.service, reason=error.reason, doing="accept")
            return SHORT_OF_SPACE
        except Unavailable as error:
            maillog.service_unavailable(service=error.service, reason=error.reason, doing="accept")
            return CANNOT_ANSWER
        maillog.mail_accepted(
            mail_id=mail_id,
            octets=spool.octets,
            recipients=len(transaction.rcpt_to),
            position=position,
            took_s=self._clock.monotonic() - started,
        )
        return reply(250, "2.0.0", mail_id)

    def _incoming(
        self,
        mail_id: MailId,
        transaction: Transaction,
        spool: Spooled,
        tree: Part,
        hidden: tuple[tuple[int, int], ...],
    ) -> Incoming:
        at, author = self._clock.now(), transaction.author
        envelope = EnvelopeSecret(
            mail_from=None if transaction.mail_from is None else str(transaction.mail_from),
            rcpt_to=tuple(str(address) for address in transaction.rcpt_to),
            helo=transaction.helo,
            remote_ip=transaction.remote_ip,
            remote_port=transaction.remote_port,
            tls=transaction.tls,
            identity="" if author is None else str(author.address),
            mechanism=transaction.mechanism,
        )
        actor = Actor("remote") if author is None else Actor("account", author.account_id)
        # Of another host's mail the sender's domain is only a claim: then the first recipient's agency keeps
        # the keys and shares the attachments. What goes elsewhere is its sender's agency's.
        agency_id = transaction.sent_for or transaction.agencies[0]
        if author is not None:
            agency_id = author.agency_id
        assert agency_id is not None, "a host may not send to nobody's domain"
        return Incoming(
            mail_id=mail_id,
            stamp=Stamp(at=at, actor=actor, by=self._by, cause=mail_id),
            agency_id=agency_id,
            envelope=envelope,
            agencies=transaction.agencies,
            message=spool,
            tree=tree,
            front=self._front(mail_id, at, transaction, tree.header_octets),
            hidden=hidden,
            smtputf8=transaction.smtputf8,
            eight_bit=transaction.eight_bit,
            binary=transaction.binary,
            sender_account_id=None if author is None else author.account_id,
            dsn=transaction.dsn,
            rrvs=asked_of(transaction.rcpt_to, transaction.rrvs, tree.header_octets),
            demands=_demands(transaction, tree.header_octets),
        )

    def _front(self, mail_id: MailId, at: datetime, transaction: Transaction, header: bytes) -> bytes:
        reception = presented.Reception(
            helo=transaction.helo,
            remote_ip=transaction.remote_ip,
            by_host=self._hostname,
            protocol=transaction.protocol,
            mail_id=mail_id,
            at=at,
        )
        mail_from, author, missing = transaction.mail_from, transaction.author, list[str]()
        if author is not None:
            message_id = f"{mail_id}@{self._hostname}"
            missing = submission.missing_fields(header, author=author.address, message_id=message_id, at=at)
        path = None if mail_from is None else str(mail_from)
        return presented.front(path, reception, header, missing=missing)


def _demands(transaction: Transaction, header: bytes) -> Demands:
    """What MAIL says, and what the message says of TLS where MAIL does not (RFC 8689 §5).

    Where it says nothing of the priority, who signed in may say it in the message.
    """
    demands = transaction.demands
    if not demands.requires_tls and is_tls_optional(header):
        demands = replace(demands, is_tls_optional=True)
    if transaction.author is None or demands.priority is not None:
        return demands
    return replace(demands, priority=priority_of(header))

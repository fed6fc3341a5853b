"""What the questions of one session are answered with: who signs in, what they may send, and to whom.

Source: RFC 4954 §6 and RFC 5248 (replies to AUTH), RFC 6409 §6.1 (who may send under which address).
"""

from collections.abc import Callable, Mapping
from typing import Final

from gateway.domain.signin import Refusal
from gateway.mail.address import Address
from gateway.mail.envelope import Body
from gateway.mail.ids import AccountId, AgencyId
from gateway.mail.mime import StructureScanner
from gateway.mail.reply import Reply, reply
from gateway.ports import Full, Spool, Unavailable
from gateway.processes import maillog
from gateway.processes.edge.acceptance import CANNOT_ANSWER, SHORT_OF_SPACE, Transaction
from gateway.processes.edge.limits import MailLimits, quota_refusal
from gateway.processes.edge.rates import Limited
from gateway.processes.edge.recipients import NO_WAY_OUT, NOT_OURS, RECIPIENT_OK, Checked
from gateway.processes.edge.services import EdgeServices
from gateway.processes.listening.sessions import SessionRecord
from gateway.processes.signin.signin import ClaimRefused, Origin, SignIns
from gateway.protocols.sasl.exchange import Verifiers
from gateway.protocols.smtp import effects, replies
from projections.directory.query import Person

SENDER_OK = reply(250, "2.1.0", "Sender OK")
NOT_YOUR_SENDER = reply(550, "5.7.1", "You may not send from that address")  # RFC 6409 §6.1
ONLY_REPORTS = reply(550, "5.7.1", "This return path takes reports alone, from the null sender")
SHUT_OUT = reply(421, "4.7.0", "The account is suspended, ask your administrator")
TRIAL_ENDED: Final = "The trial of your agency has ended, ask its administrator"
SHUT_OUT_AT_ITS_END = reply(421, "4.7.0", TRIAL_ENDED)
# RFC 4954 §6, RFC 5248 (525 5.7.13). Who is shut out is told so only after the right password.
CANNOT_SIGN_IN_NOW = reply(454, "4.7.0", "Cannot check the sign-in now, try again later")
SIGN_IN_REFUSALS: Final[Mapping[Refusal, Reply]] = {
    "suspended": reply(525, "5.7.13", "The account is suspended, ask your administrator"),
    "trial-ended": reply(525, "5.7.13", TRIAL_ENDED),
    "banned": reply(525, "5.7.13", "The account is banned for some time, ask your administrator"),
    "throttled": reply(454, "4.7.0", "Too many failed sign-ins, try again later"),
}


class Answers:
    """For one session. The record is told what was answered."""

    def __init__(self, services: EdgeServices, record: SessionRecord) -> None:
        self._services, self._record = services, record
        self.author: Person | None = None  # who signed in
        # Of the mail on its way in:
        self._agencies: list[AgencyId | None] = []
        self._limits = MailLimits()
        self._mail_from: Address | None = None
        self._elsewhere: Reply | None = None  # said of domains that no agency has; None: not known yet
        self._sent_for: AgencyId | None = None  # whose own server sends there
        self._begun: effects.MessageBegin | None = None
        self._spool: Spool | None = None
        self._scanner = StructureScanner()
        self._spool_failed: Reply | None = None  # read on to the end, then say so

    # --- who --------------------------------------------------------------------------------------

    @property
    def _sign_ins(self) -> SignIns:
        assert self._services.sign_ins is not None, "AUTH is offered where somebody checks it"
        return self._services.sign_ins

    async def verifiers(self, asked: effects.FindVerifiers) -> Verifiers | Reply:
        try:
            found = await self._sign_ins.verifiers(asked.username, self._record.remote_ip)
        except Unavailable as error:
            maillog.service_unavailable(service=error.service, reason=error.reason, doing="sign in")
            return CANNOT_SIGN_IN_NOW
        return SIGN_IN_REFUSALS[found.reason] if isinstance(found, ClaimRefused) else found

    async def identity(self, asked: effects.CheckIdentity) -> Reply:
        self._record.mechanism = asked.mechanism
        origin = Origin("smtp", asked.mechanism, self._record.remote_ip, asked.helo)
        try:
            found = await self._sign_ins.check(asked.claim, origin)
        except Unavailable as error:
            maillog.service_unavailable(service=error.service, reason=error.reason, doing="sign in")
            return CANNOT_SIGN_IN_NOW
        if isinstance(found, ClaimRefused):
            return SIGN_IN_REFUSALS.get(found.reason, replies.BAD_CREDENTIALS)
        self.author = found
        return replies.SIGNED_IN

    # --- from whom ----------------------------------------------------------------------------------

    def begin(self, asked: effects.CheckSender) -> Reply | None:
        """A mail begins. The answer where nobody has signed in, else None: `sender` has it."""
        self._agencies, self._limits = [], MailLimits(asked.octets or 0)
        self._mail_from, self._sent_for, self._elsewhere = asked.mail_from, None, self._known_of_elsewhere()
        return self._verdict_on(asked.mail_from) if self.author is None else None

    async def sender(self, asked: effects.CheckSender) -> Reply:
        """Who signed in sends while nobody shuts them out, by the limits of their own agency."""
        assert self.author is not None, "somebody has signed in"
        try:
            found = await self._sign_ins.still(self.author)
            if isinstance(found, ClaimRefused):
                return SHUT_OUT_AT_ITS_END if found.reason == "trial-ended" else SHUT_OUT
            self.author = found
            self._limits.own = await self._services.recipients.limits_of(self.author.agency_id)
        except Unavailable as error:
            maillog.service_unavailable(service=error.service, reason=error.reason, doing="mail")
            return CANNOT_ANSWER
        return self._verdict_on(asked.mail_from)

    def _verdict_on(self, mail_from: Address | None) -> Reply:
        author = self.author
        if author is not None and mail_from is not None and mail_from.normalise() not in author.addresses:
            return NOT_YOUR_SENDER
        if not self._services.has_space():
            return SHORT_OF_SPACE
        refusal = self._limits.sender() or self._reply_of(self._rate_of(self._services.rates.message))
        return refusal or SENDER_OK

    # --- to whom ------------------------------------------------------------------------------------

    def _known_of_elsewhere(self) -> Reply | None:
        """What is said of domains that no agency has; None: it depends on whose server the client is."""
        if self.author is not None:
            return RECIPIENT_OK if self._services.people_send_out else NO_WAY_OUT
        return NOT_OURS if self._services.outward is None else None

    def known_recipient(self, asked: effects.CheckRecipient) -> Reply | None:
        """The answer when it is known already, else None: `recipient` has it."""
        if asked.rrvs:
            return None
        checked = self._services.recipients.known(asked.rcpt_to.normalise())
        return None if checked is None or self._depends_on_host(checked) else self._checked(checked)

    async def recipient(self, asked: effects.CheckRecipient) -> Reply:
        services, address = self._services, asked.rcpt_to.normalise()
        checked = services.recipients.known(address) or await services.recipients.check(address)
        if asked.rrvs:
            checked = await services.refusals.check(asked, checked, self._record.remote_ip)
        if self._depends_on_host(checked):
            try:
                await self._find_host()
            except Unavailable as error:
                maillog.service_unavailable(service=error.service, reason=error.reason, doing="rcpt")
                return CANNOT_ANSWER
        return self._checked(checked)

    def _depends_on_host(self, checked: Checked) -> bool:
        """Whether it has to be found out yet whose server the client is."""
        return checked.is_elsewhere and self._elsewhere is None

    async def _find_host(self) -> None:
        assert self._services.outward is not None, "else it depends on nothing"
        found = await self._services.outward.agency_of(self._record.remote_ip, self._mail_from)
        if isinstance(found, Reply):
            self._elsewhere = found
        else:
            self._elsewhere = NOT_OURS if found is None else RECIPIENT_OK
            self._sent_for = found

    def _checked(self, checked: Checked) -> Reply:
        verdict = checked.verdict
        if checked.is_elsewhere:
            assert self._elsewhere is not None, "it was found out"
            verdict = self._elsewhere
        if checked.only_reports and self._mail_from is not None:
            verdict = ONLY_REPORTS
        if verdict.is_success:
            verdict = self._limit_met(checked) or verdict
        if verdict.is_success:
            self._agencies.append(checked.agency_id)
            self._limits.accepted(checked.limits)
            self._record.recipients += 1
            self._record.agency_id = self._record.agency_id or checked.agency_id
        else:
            self._record.refused_recipients += 1
        return verdict

    def _limit_met(self, checked: Checked) -> Reply | None:
        """Which limit stands against this recipient of this mail."""
        services, limits = self._services, self._limits
        refusal = limits.recipient(checked.limits, len(self._agencies))
        refusal = refusal or quota_refusal(services.quota, checked.room, limits.octets, services.clock)
        return refusal or self._reply_of(self._rate_of(services.rates.recipient))

    def _rate_of(self, counted: Callable[[str, AccountId | None, float], Limited | None]) -> Limited | None:
        account_id = None if self.author is None else self.author.account_id
        return counted(self._record.remote_ip, account_id, self._services.clock.monotonic())

    def _reply_of(self, limited: Limited | None) -> Reply | None:
        """What to say of a limit that is met; the session's fact names it."""
        if limited is None:
            return None
        self._record.limit = limited.limit
        return limited.reply

    # --- what ---------------------------------------------------------------------------------------

    def begin_message(self, begun: effects.MessageBegin) -> None:
        self._record.transactions += 1
        self._begun, self._spool_failed = begun, None
        self._spool, self._scanner = self._services.new_spool(), StructureScanner()

    def take(self, octets: bytes) -> None:
        if self._spool is None:
            return
        try:
            self._spool.write(octets)
        except Unavailable as error:
            maillog.service_unavailable(service=error.service, reason=error.reason, doing="spool")
            self.forget_message()
            self._spool_failed = SHORT_OF_SPACE if isinstance(error, Full) else CANNOT_ANSWER
            return
        self._scanner.feed(octets)

    def forget_message(self) -> None:
        if self._spool is not None:
            self._spool.close()
            self._spool = None

    async def conclusion(self) -> Reply:
        """Make the message durable. Raises Deposed: then nobody may be answered."""
        if self._spool_failed is not None:
            return self._spool_failed
        begun, spool = self._begun, self._spool
        assert begun is not None, "a message ends that never began"
        assert spool is not None, "a message ends that never began"
        try:
            tree = self._scanner.finish()
            concluded = self._limits.message(spool.octets, tree)
            if concluded is None:
                concluded = await self._services.acceptance.accept(self._transaction(begun), spool, tree)
        finally:
            self.forget_message()
        self._record.accepted += concluded.is_success
        if not concluded.is_success:
            maillog.mail_refused(code=concluded.code, status=str(concluded.status), reason=concluded.text[0])
        return concluded

    def _transaction(self, begun: effects.MessageBegin) -> Transaction:
        envelope, record = begun.envelope, self._record
        return Transaction(
            mail_from=envelope.mail_from,
            rcpt_to=envelope.rcpt_to,
            agencies=tuple(self._agencies),
            helo=begun.helo,
            remote_ip=record.remote_ip,
            protocol=begun.protocol,
            smtputf8=envelope.is_smtputf8,
            eight_bit=envelope.body is not Body.SEVEN_BIT,
            binary=envelope.body is Body.BINARY,
            author=self.author,
            sent_for=self._sent_for if None in self._agencies else None,
            dsn=envelope.dsn,
            remote_port=record.remote_port,
            tls=record.tls,
            mechanism=record.mechanism if self.author else "",
            rrvs=envelope.rrvs,
            demands=envelope.demands,
        )

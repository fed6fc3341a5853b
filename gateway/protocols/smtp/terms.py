"""What a server offers a client, and the terms on which it takes the commands that rest on an offer.

Source: RFC 5321 §4.1.1.1 and §4.1.1.11 (EHLO, parameters), RFC 1870 §6.1 (SIZE), RFC 3207 §4 (STARTTLS),
RFC 3848 §1 (protocol names), RFC 4954 §4 (AUTH), RFC 6409 §4.3 (submission needs it), RFC 6531 §3.5 and §4.3,
RFC 9422 §4 (LIMITS).
"""

from datetime import datetime, timedelta
from typing import Any

from gateway.mail.reply import PeerError, Reply, reply
from gateway.protocols.sasl.mechanisms import offered
from gateway.protocols.smtp import demanding, replies
from gateway.protocols.smtp.commands import Auth, Ehlo, Helo, Mail, Rcpt
from gateway.protocols.smtp.config import SessionConfig
from gateway.protocols.smtp.incoming import Incoming
from gateway.protocols.smtp.sign_in import SignIn


class Terms:
    """For one client, by what is known of it. Each refusal is a Reply, or a PeerError for a bad command."""

    def __init__(self, config: SessionConfig, sign_in: SignIn, began_at: datetime | None) -> None:
        """began_at: now; None: no mail is held, as it cannot be told until when."""
        self._config, self._sign_in = config, sign_in
        self.is_tls = config.is_tls
        # `tls-server-end-point` of what it was shown (RFC 5929 §4.1); None: no -PLUS.
        self.channel_binding: bytes | None = None
        self.helo = ""  # as it named itself, printable ASCII; "" as long as it has not
        self._is_esmtp = False
        # Until when and for how long a mail may be held (RFC 4865 §3).
        self._hold: dict[str, Any] = {}
        if config.hold_s_max and began_at is not None:
            until = began_at.replace(microsecond=0) + timedelta(seconds=config.hold_s_max)
            self._hold = {"held_until": until, "hold_s_max": config.hold_s_max}

    def tls_started(self, channel_binding: bytes | None) -> None:
        """What it said before is forgotten (RFC 3207 §4.2)."""
        self.is_tls, self.channel_binding = True, channel_binding
        self.helo, self._is_esmtp = "", False

    def greeted(self, command: Ehlo | Helo) -> Reply:
        """The answer: after EHLO with all that is offered to this client."""
        self.helo = command.client
        self._is_esmtp = isinstance(command, Ehlo)
        config = self._config
        if not self._is_esmtp:
            return reply(250, None, config.hostname)
        offers = ["PIPELINING", f"SIZE {config.message_octets_max}", "8BITMIME", "CHUNKING"]
        offers += ["BINARYMIME", "SMTPUTF8", "DSN", "RRVS", f"LIMITS RCPTMAX={config.recipients_max}"]
        offers += [*demanding.offered(is_tls=self.is_tls, **self._hold), "ENHANCEDSTATUSCODES"]
        if config.offers_starttls and not self.is_tls:
            offers.append("STARTTLS")
        if config.mechanisms and self.is_tls:
            offers.append(f"AUTH {' '.join(self._mechanisms)}")
        return reply(250, None, config.hostname, *offers)

    def refusal_of_mail(self, mail: Mail) -> Reply | None:
        if self._config.needs_sign_in and not self._sign_in.is_done:
            return replies.SIGN_IN_FIRST if self.is_tls else replies.TLS_FIRST
        if mail.has_auth and not self._config.mechanisms:
            raise PeerError(replies.UNKNOWN_PARAMETER, "AUTH parameter where nobody signs in")
        if mail.is_extended and not self._is_esmtp:
            raise PeerError(replies.UNKNOWN_PARAMETER, "MAIL parameter after HELO")
        if mail.mail_from is not None and not mail.mail_from.is_ascii and not mail.is_smtputf8:
            return replies.NEEDS_SMTPUTF8
        refusal = demanding.refusal(mail.demands, is_tls=self.is_tls, **self._hold)
        if refusal is not None:
            return refusal
        if mail.octets is not None and mail.octets > self._config.message_octets_max:
            return replies.MESSAGE_TOO_LARGE
        return None

    def refusal_of_rcpt(self, rcpt: Rcpt, incoming: Incoming) -> Reply | None:
        if rcpt.is_extended and not self._is_esmtp:
            raise PeerError(replies.UNKNOWN_PARAMETER, "RCPT parameter after HELO")
        if not rcpt.rcpt_to.is_ascii and not incoming.mail.is_smtputf8:
            return replies.NEEDS_SMTPUTF8
        is_full = len(incoming.rcpt_to) >= self._config.recipients_max
        if is_full or incoming.envelope_octets + rcpt.envelope_octets > self._config.envelope_octets_max:
            return replies.TOO_MANY_RECIPIENTS
        return None

    def check_starttls(self) -> None:
        """Raises PeerError where TLS cannot begin."""
        if not self._config.offers_starttls:
            raise PeerError(replies.NOT_IMPLEMENTED, "STARTTLS is not offered")
        if self.is_tls or not self._is_esmtp:
            raise PeerError(replies.BAD_SEQUENCE, "STARTTLS inside TLS or without EHLO")

    def refusal_of_auth(self, auth: Auth) -> Reply | None:
        """RFC 4954 §4: once a session, and here only inside TLS."""
        if not self._config.mechanisms:
            raise PeerError(replies.NOT_IMPLEMENTED, "AUTH is not offered")
        if not self._is_esmtp or self._sign_in.is_done:
            raise PeerError(replies.BAD_SEQUENCE, "AUTH without EHLO or a second time")
        if not self.is_tls:
            return replies.TLS_FIRST
        return None if auth.mechanism in self._mechanisms else replies.UNKNOWN_MECHANISM

    def granted(self, mail: Mail) -> Incoming:
        """The mail as it is begun, with those of its demands that this client may make."""
        return Incoming(mail, demanding.granted(mail.demands, is_signed_in=self._sign_in.is_done))

    def protocol(self, *, is_smtputf8: bool) -> str:
        """How a mail came, for its Received field (RFC 3848 §1, RFC 6531 §4.3)."""
        if not self._is_esmtp:
            return "SMTP"
        secure = ("S" if self.is_tls else "") + ("A" if self._sign_in.is_done else "")
        return ("UTF8SMTP" if is_smtputf8 else "ESMTP") + secure

    @property
    def _mechanisms(self) -> list[str]:
        possible = offered(self.channel_binding)
        return [name for name in self._config.mechanisms if name in possible]

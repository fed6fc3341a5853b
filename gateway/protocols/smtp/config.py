"""What an SMTP session needs to know of the gateway, and the limits of what a client may send.

Source: RFC 5321 §4.5.3, RFC 2920 §3.1, RFC 4954 §4, RFC 4865 §3.
"""

from dataclasses import dataclass
from typing import Final

# RFC 5321 §4.5.3.1.4 asks for 512 octets with CRLF, and for more with each extension that adds
# parameters; two UTF-8 paths and all parameters we know stay far below. Precedent: Postfix 2,048.
COMMAND_OCTETS_MAX: Final = 4096
# A longer line is answered 500 when it ends within these octets, else the session ends.
ENDLESS_COMMAND_OCTETS: Final = 16 * 1024
# What a client may send ahead while an answer is awaited (RFC 2920 §3.1): 1,000 recipients at their
# longest are 264 KB, and one read of the shell may come on top.
AHEAD_OCTETS_MAX: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """What a session needs to know of the gateway."""

    hostname: str
    message_octets_max: int
    # RFC 5321 §4.5.3.1.8 asks for 100 at least; the envelope is one event (architecture.md §4).
    recipients_max: int = 1000
    envelope_octets_max: int = 128 * 1024
    # RFC 5321 §4.5.3.1.6 has senders stop at 1,000; real mail has lines of 48,677 octets.
    line_octets_max: int = 1024 * 1024
    # Precedent: Postfix smtpd_hard_error_limit 20. Counted from the last accepted mail.
    bad_commands_max: int = 20
    offers_starttls: bool = False
    is_tls: bool = False  # from the first octet on (RFC 8314 §3)
    # Of SASL, offered inside TLS alone, those with -PLUS where it has a binding; (): nobody signs in here.
    mechanisms: tuple[str, ...] = ()
    needs_sign_in: bool = False  # no mail before it: submission (RFC 6409 §4.3)
    hold_s_max: int = 0  # a mail may ask to be held so long (RFC 4865); 0: not offered
    # RFC 4954 §4 lets a server close after some failures. Precedent: Dovecot and Exchange allow 3.
    failed_sign_ins_max: int = 3

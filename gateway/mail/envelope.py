"""The envelope of a mail: who sent it and who is to get it, and what was said about its message.

Source: RFC 5321 §2.3.1 (envelope), RFC 6152 (BODY), RFC 1870 (SIZE), RFC 6531 §3.4 (SMTPUTF8), RFC 3461
(DSN), RFC 7293 (RRVS).
"""

from dataclasses import dataclass
from enum import Enum

from gateway.mail.address import Address
from gateway.mail.demands import NO_DEMANDS, Demands
from gateway.mail.dsn_options import NOTHING_ASKED, DsnOptions


class Body(Enum):
    """What the sender said about the octets of the message (RFC 6152 §3, RFC 3030 §3)."""

    SEVEN_BIT = "7BIT"
    EIGHT_BIT = "8BITMIME"
    BINARY = "BINARYMIME"


@dataclass(frozen=True, slots=True)
class Envelope:
    """Sender and recipients of one mail, apart from what its headers say."""

    mail_from: Address | None  # None is the null reverse-path "<>" (RFC 5321 §4.5.5)
    rcpt_to: tuple[Address, ...]
    body: Body = Body.SEVEN_BIT
    is_smtputf8: bool = False  # the sender needs SMTPUTF8 for addresses or header fields
    octets: int | None = None  # of the message; as declared by SIZE when the mail comes in
    dsn: DsnOptions = NOTHING_ASKED
    rrvs: tuple[str, ...] = ()  # by recipient, as in gateway.mail.valid_since; (): nobody's was said
    demands: Demands = NO_DEMANDS

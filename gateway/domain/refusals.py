"""Recipients that were refused for a reason somebody may ask about later: `ev.access.<agency_id>`.

A refusal at RCPT is no mail: this is all there is of it. Who and to whom is sealed under the key of the
recipient's agency and month, as the traffic log is, and goes with it.

Source: RFC 7293 §5.1 (an address with another owner), §9 (one whose owner then is unknown);
architecture §4 (Subjects, Sealed).
"""

from typing import ClassVar, Final, Literal

from msgspec import Struct

from gateway.domain.events import Event, Instant
from gateway.mail.ids import AgencyId

REFUSALS: Final = "refusal"  # the label under which RefusalSecret is sealed


class RefusalSecret(Struct, frozen=True, omit_defaults=True):
    mail_from: str | None  # None is the null reverse-path
    rcpt_to: str
    remote_ip: str
    helo: str = ""  # as the client named itself


class RecipientRefused(Event, frozen=True, kw_only=True):
    """Durable before the client heard it. unrecorded: refusals of that network before without one."""

    TOPIC: ClassVar[str] = "recipient.refused/1"

    agency_id: AgencyId  # the recipient's
    reason: Literal["owner-changed", "owner-unknown"]
    code: int
    status: str  # RFC 3463
    valid_since: Instant  # what the sender asked for
    owner_since: Instant | None = None  # since when the address is whose it is; None: nobody's own
    sealed: bytes  # RefusalSecret
    sealed_key: str  # "traffic.ag_….202611"
    unrecorded: int = 0

"""What a sender demands of the way of its mail, beyond who is to get it.

Source: RFC 2852 §4 (DELIVERBY), RFC 6710 §3 (MT-PRIORITY), RFC 8689 (REQUIRETLS),
RFC 4865 (FUTURERELEASE).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

# RFC 2852 §4: return the mail at the deadline, or notify its sender and go on; T: tell of each relay.
DeliverByMode = Literal["R", "N", "RT", "NT"]


@dataclass(frozen=True, slots=True)
class DeliverBy:
    """seconds: what is left; 0 or less: the deadline has passed, and the mail goes on all the same (N)."""

    seconds: int
    mode: DeliverByMode

    @property
    def returns(self) -> bool:
        """True when the mail is worth nothing after its deadline."""
        return self.mode in ("R", "RT")


@dataclass(frozen=True, slots=True)
class Demands:
    """Of one mail."""

    deliver_by: DeliverBy | None = None
    priority: int | None = None  # -9..9, higher goes first; None: not said, which is 0
    requires_tls: bool = False  # all the way, with hosts that are who they say
    hold_for_s: int = 0  # from its acceptance on; one of the two at most
    hold_until: datetime | None = None  # aware
    is_tls_optional: bool = False  # whatever the recipient's domain demands (the field TLS-Required)

    def released_at(self, accepted_at: datetime) -> datetime | None:
        """When the mail may go; None: at once."""
        at = self.hold_until or accepted_at + timedelta(seconds=self.hold_for_s)
        return at if at > accepted_at else None


NO_DEMANDS: Final = Demands()

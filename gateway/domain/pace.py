"""How fast a destination is brought mail.

A destination is whom connections, and what is known of their success, are counted for: an agency, a host that
a person named, or a domain that no agency has.

Pure: time is an argument.
"""

from typing import Final

from gateway.domain.agency import NextHop
from gateway.mail.ids import AgencyId

# Mails of a destination that one relay has in hand. As many as connections begin with, until it is seen how
# fast they go: many hosts that do not answer shall not have all a relay can hold.
IN_HAND_MIN: Final = 5
IN_HAND_MAX: Final = 400
IN_HAND_S: Final = 2.0  # what goes in so many seconds: longer than it takes to fetch more


def destination_name(agency_id: AgencyId | None, hop: NextHop | None, domain: str) -> str:
    """hop: what a person said for a mail. domain: in A-labels; "": nobody can read it any more."""
    if hop is not None:
        return str(hop)
    return agency_id or domain


def in_hand_max(went: int, seconds: float) -> int:
    """How many mails of a destination one relay takes for it. went: how many were concluded in the last so
    many seconds."""
    assert went >= 0, went
    pace = went / seconds if seconds > 0 else 0.0
    return max(IN_HAND_MIN, min(IN_HAND_MAX, int(pace * IN_HAND_S)))

"""Who came in and who was not let in: `ev.access.<agency_id>`.

What a client said of itself is sealed under the key of its agency and month, as the traffic log is, and goes
with it.

Source: architecture §4 (Subjects, Sealed).
"""

from typing import ClassVar, Final, Literal

from msgspec import Struct

from gateway.domain.events import Event
from gateway.mail.ids import AccountId, AgencyId

SIGN_INS: Final = "signin"  # the label under which SignInSecret is sealed

# unknown: nobody here has that name. acts-as: another than itself. throttled: not even looked at. expired,
# protocol, network: of an app password that is not for this. token: not valid, or somebody else's.
# no-provider: the person's agency has none. trial-ended: its agency's. code: of the authenticator, wrong or
# not given. banned: the account, by an operator; from a banned network it is throttled. invitation: a code
# that is none of that account's, or was used, or has run out.
Refusal = Literal[
    "unknown",
    "password",
    "token",
    "no-provider",
    "suspended",
    "trial-ended",
    "banned",
    "closed",
    "acts-as",
    "throttled",
    "expired",
    "protocol",
    "network",
    "code",
    "invitation",
]


class SignInSecret(Struct, frozen=True, omit_defaults=True):
    username: str  # as typed
    remote_ip: str
    helo: str = ""  # as the client named itself


class SignIn(Event, frozen=True, kw_only=True):
    """What both outcomes carry. account_id: whose name it was, if it is somebody's here."""

    account_id: AccountId | None
    protocol: Literal["smtp", "imap", "pop3", "web"]
    mechanism: str  # of SASL
    app_id: str = ""  # which app password it was; "": the account's own, or none
    sealed: bytes  # SignInSecret
    sealed_key: str  # "traffic.ag_….202611"


class SignInAccepted(SignIn, frozen=True, kw_only=True):
    """Durable before the client heard it."""

    TOPIC: ClassVar[str] = "signin.accepted/1"


class SignInRefused(SignIn, frozen=True, kw_only=True):
    """unrecorded: refusals of that network just before that have no event of their own (throttled)."""

    TOPIC: ClassVar[str] = "signin.refused/1"

    reason: Refusal
    unrecorded: int = 0


def access_history(agency_id: AgencyId | None) -> str:
    """None: the name is nobody's here; it is never part of a subject itself."""
    return f"access.{agency_id or 'none'}"

"""Every session is a fact at its end: `ev.access.<agency_id>` of who signed in, else of its first recipient.

Who it was, by address and name, is sealed under the key of the agency and month, as the traffic log is, and
goes with it. Beyond some sessions a minute from one network there is one fact a minute that counts them.

Source: architecture §4 (Subjects, Sealed); RFC 5321 §4.2 (codes), RFC 3463.
"""

from typing import ClassVar, Final, Literal

from msgspec import Struct

from gateway.domain.events import Event, Instant
from gateway.mail.ids import AccountId

SESSIONS: Final = "session"  # the label under which SessionSecret and NetworkSecret are sealed
REFUSALS_MAX: Final = 10  # told of one session, the first ones

# lost: the client went away. protocol: it did not keep to its protocol. limit: one of ours; see `limit`.
# stopped: the process went down. failed: a mistake of ours. tls: no handshake came to an end.
Ending = Literal["quit", "lost", "timeout", "limit", "protocol", "tls", "stopped", "failed"]


class SessionSecret(Struct, frozen=True, omit_defaults=True):
    """Who was there, and how. tls: version and cipher, "" in the clear."""

    remote_ip: str
    remote_port: int = 0
    helo: str = ""  # as the client named itself at last
    tls: str = ""


class NetworkSecret(Struct, frozen=True):
    network: str  # /24 or /64; "" for all that were too many to be told apart


class Refusal(Struct, frozen=True):
    """A reply of ours that was no yes. reason: its constant text, never a word of the client."""

    code: int
    status: str
    reason: str


class SessionCounts(Event, frozen=True, kw_only=True):
    """What one session has done, or many."""

    transactions: int = 0  # messages that began
    accepted: int = 0  # mails we answered for
    recipients: int = 0  # said yes to
    refused_recipients: int = 0
    refusals: int = 0  # of any command
    sealed: bytes
    sealed_key: str  # "traffic.ag_….202611"


class SessionEnded(SessionCounts, frozen=True, kw_only=True):
    """`at`: its end. sealed: SessionSecret."""

    TOPIC: ClassVar[str] = "session.ended/1"

    began_at: Instant
    listener: str  # smtp, submission, submissions, imap, imaps, pop3, pop3s
    ended: Ending
    limit: str = ""  # the last one that was met, by its setting
    account_id: AccountId | None = None  # who signed in
    mechanism: str = ""  # of SASL
    refused: tuple[Refusal, ...] = ()  # the first of `refusals`


class EndedSo(Struct, frozen=True):
    ended: Ending
    sessions: int


class SessionsEnded(SessionCounts, frozen=True, kw_only=True):
    """Further sessions of one network that ended in one minute, up to `at`. sealed: NetworkSecret."""

    TOPIC: ClassVar[str] = "sessions.ended/1"

    since: Instant
    sessions: int
    ended: tuple[EndedSo, ...]

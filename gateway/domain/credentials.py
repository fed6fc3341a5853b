"""What somebody signs in with: that it was set, how and by whom. What it is stands in the KeyStore alone.

`verifier.<account_id>` holds PHC strings, one a line: the one that is checked, then up to four that were
before it. `invitation.<account_id>` holds an Invitation, or nothing once it was accepted.

Source: issue 2/9, Credentials; RFC 9106 and the PHC string format.
"""

import hashlib
import hmac
import re
from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar, Final, Literal

import msgspec
from msgspec import Struct

from gateway.domain.events import Event, Instant
from gateway.mail.ids import AccountId

TOKENS: Final = "token."  # how their names in the KeyStore begin
SESSIONS: Final = "session."
VERIFIERS_KEPT: Final = 5  # no reuse of the last five passwords

# A sign-in has to be cheap for us: a hash made elsewhere may ask for four times what ours do.
ARGON2_MEMORY_KIB_MAX: Final = 256 * 1024
ARGON2_PASSES_MAX: Final = 16
ARGON2_LANES_MAX: Final = 16
_BASE64: Final = "[A-Za-z0-9+/]"
_PHC: Final = re.compile(
    rf"\$argon2(?:id|i|d)\$v=19\$m=([0-9]{{1,7}}),t=([0-9]{{1,3}}),p=([0-9]{{1,3}})"
    rf"\${_BASE64}{{11,86}}\${_BASE64}{{22,171}}"
)


class PasswordSet(Event, frozen=True, kw_only=True):
    """access.<agency_id>: another password than before signs in. Who set it is the actor.

    how: by the person, with an invitation or the password before; by an administrator; or as a hash made
    elsewhere.
    """

    TOPIC: ClassVar[str] = "password.set/1"

    account_id: AccountId
    how: Literal["invitation", "administrator", "import", "person"]


class TotpSet(Event, frozen=True, kw_only=True):
    """access.<agency_id>: signing in to administer takes a code of this account's authenticator as well."""

    TOPIC: ClassVar[str] = "totp.set/1"

    account_id: AccountId


class TotpRemoved(Event, frozen=True, kw_only=True):
    """access.<agency_id>: its password alone is enough again."""

    TOPIC: ClassVar[str] = "totp.removed/1"

    account_id: AccountId


class OperatorTotpSet(Event, frozen=True, kw_only=True):
    """access.none: the same of an operator without an account."""

    TOPIC: ClassVar[str] = "operator.totp_set/1"

    name: str


class OperatorTotpRemoved(Event, frozen=True, kw_only=True):
    """access.none: the operator's password alone is enough again."""

    TOPIC: ClassVar[str] = "operator.totp_removed/1"

    name: str


class InvitationMade(Event, frozen=True, kw_only=True):
    """access.<agency_id>: whoever has the code may set the account's first password."""

    TOPIC: ClassVar[str] = "invitation.made/1"

    account_id: AccountId
    expires_at: Instant


class Invitation(Struct, frozen=True):
    """As the KeyStore has it. digest: SHA-256 of the code, 128 random bits as they are read out."""

    digest: bytes
    expires_at: Instant

    def is_for(self, code: str, now: datetime) -> bool:
        """False also when it has run out."""
        return now < self.expires_at and hmac.compare_digest(self.digest, _digest(code))


def encode_invitation(code: str, expires_at: datetime) -> bytes:
    return msgspec.json.encode(Invitation(_digest(code), expires_at))


def decode_invitation(value: bytes) -> Invitation | None:
    """None: it was accepted."""
    return msgspec.json.decode(value, type=Invitation) if value else None


def _digest(code: str) -> bytes:
    return hashlib.sha256(code.strip().encode()).digest()


def invitation_name(account_id: AccountId) -> str:
    """The KeyStore's name of an Invitation."""
    return f"invitation.{account_id}"


class _Ending(Struct, frozen=True):
    expires_at: datetime


def ends_at(value: bytes) -> datetime:
    """When a token or a session ends by itself, as the KeyStore has it."""
    return msgspec.json.decode(value, type=_Ending).expires_at


def verifier_name(account_id: AccountId) -> str:
    """The KeyStore's name of the verifiers."""
    return f"verifier.{account_id}"


def operator_verifier_name(operator: str) -> str:
    """The same of an operator without an account; operator: the user name."""
    return f"verifier.operator.{operator}"


def split_verifiers(value: bytes) -> list[bytes]:
    """The one that is checked, then the former ones, newest first."""
    return value.split(b"\n") if value else []


def join_verifiers(verifiers: Sequence[bytes]) -> bytes:
    """As they are kept; those beyond the last five are forgotten."""
    return b"\n".join(verifiers[:VERIFIERS_KEPT])


def phc_fault(text: str) -> str:
    """Why a text is no argon2 hash that is checked here; "" when it is one."""
    found = _PHC.fullmatch(text)
    if found is None:
        return "the hash is no PHC string of argon2 version 19"
    memory, passes, lanes = (int(number) for number in found.groups())
    if not 1 <= lanes <= ARGON2_LANES_MAX or not 1 <= passes <= ARGON2_PASSES_MAX:
        return f"the hash has t={passes}, p={lanes}; at most {ARGON2_PASSES_MAX} and {ARGON2_LANES_MAX} are"
    if not 8 * lanes <= memory <= ARGON2_MEMORY_KIB_MAX:
        return f"the hash has m={memory}; from {8 * lanes} to {ARGON2_MEMORY_KIB_MAX} KiB are checked here"
    return ""

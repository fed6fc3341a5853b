"""SASL mechanisms seen from the server: what the client answers, read into what it claims. No I/O, no lookup.

Each exchange takes the client's responses one by one and gives a challenge or, at its end, a claim; whether
the claim is true is not decided here. SMTP, IMAP and POP3 each carry the octets in their own way.

Source: RFC 4422 (SASL), RFC 4616 (PLAIN), draft-murchison-sasl-login-00 (LOGIN), RFC 8265 §4 (passwords).
"""

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

# RFC 4616 §2: each of the three is at most 255 octets long.
FIELD_OCTETS_MAX: Final = 255


class BadResponse(ValueError):
    """The client's response is not what its mechanism says. The exchange is over."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """Send this to the client and wait for its next response."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class PasswordClaim:
    """The client says who it is and gives a password."""

    username: str  # who proves an identity (authcid), as typed
    password: str = field(repr=False)  # prepared: `prepare_password`
    acts_as: str = ""  # whom it wants to act as (authzid); "": the same


Step = Challenge | PasswordClaim


class Exchange(Protocol):
    """One run of a mechanism."""

    def answer(self, response: bytes | None) -> Step:
        """Take a response; None: the client sent no initial response. Raises BadResponse."""


class Plain:
    """RFC 4616: one response, `[authzid] NUL authcid NUL passwd`."""

    def answer(self, response: bytes | None) -> Step:
        if response is None:
            return Challenge(b"")
        fields = response.split(b"\0")
        if len(fields) != 3:
            raise BadResponse("a PLAIN response has three fields")
        acts_as, username, password = map(_text, fields)
        if not username or not password:
            raise BadResponse("a PLAIN response has a user name and a password")
        return PasswordClaim(username, prepare_password(password), acts_as)


class Login:
    """draft-murchison-sasl-login-00: user name, then password, each asked for."""

    def __init__(self) -> None:
        self._username: str | None = None

    def answer(self, response: bytes | None) -> Step:
        if response is None:
            return Challenge(b"Username:")
        text = _text(response)
        if not text:
            raise BadResponse("a LOGIN response is empty")
        if self._username is None:
            self._username = text
            return Challenge(b"Password:")
        return PasswordClaim(self._username, prepare_password(text))


# By the name in the protocol, in the order they are offered.
MECHANISMS: Final[dict[str, Callable[[], Exchange]]] = {"PLAIN": Plain, "LOGIN": Login}


def prepare_password(text: str) -> str:
    """The form of a password that is hashed and compared (RFC 8265 §4.2.2, OpaqueString).

    Spaces of any kind become U+0020, composed and decomposed characters are one. Raises BadResponse on
    control characters.
    """
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
        raise BadResponse("a password has no control characters")
    spaced = "".join(" " if unicodedata.category(character) == "Zs" else character for character in text)
    return unicodedata.normalize("NFC", spaced)


def _text(octets: bytes) -> str:
    if len(octets) > FIELD_OCTETS_MAX:
        raise BadResponse(f"a field is longer than {FIELD_OCTETS_MAX} octets")
    try:
        return octets.decode()
    except UnicodeDecodeError:
        raise BadResponse("a field is not UTF-8") from None

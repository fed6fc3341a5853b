"""A run of a SASL mechanism as the server sees it: challenges out, responses in, at its end a claim. No I/O.

Whether a claim is true is not decided here. SMTP, IMAP and POP3 each carry the octets in their own way.

Source: RFC 4422 §3 (exchange), RFC 8265 §4 (passwords).
"""

import unicodedata
from dataclasses import dataclass, field
from typing import Protocol


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


@dataclass(frozen=True, slots=True)
class ProofClaim:
    """The client has proved that it knows the password of a verifier, or has tried to.

    verifier_id: whose; None: of none of those it could have been.
    """

    username: str
    verifier_id: str | None
    acts_as: str = ""


@dataclass(frozen=True, slots=True)
class TokenClaim:
    """The client shows a token that an identity provider has given to this user."""

    username: str
    token: str = field(repr=False)
    acts_as: str = ""


@dataclass(frozen=True, slots=True)
class VerifiersWanted:
    """The exchange goes on when it has what is kept of this user: `Exchange.found`."""

    username: str


@dataclass(frozen=True, slots=True)
class Verifier:
    """What is kept instead of a password (RFC 5802 §3), 32 octets each."""

    verifier_id: str
    stored_key: bytes = field(repr=False)
    server_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Verifiers:
    """Of one user, all with one salt; none of a user that is not there, who has a salt all the same."""

    salt: bytes
    iterations: int
    nonce: str  # the server's share, printable ASCII without a comma, at least 18 random octets
    verifiers: tuple[Verifier, ...] = field(repr=False)


Claim = PasswordClaim | ProofClaim | TokenClaim
Step = Challenge | VerifiersWanted | Claim


class Exchange(Protocol):
    """One run of a mechanism."""

    def answer(self, response: bytes | None) -> Step:
        """Take a response; None: the client sent no initial response. Raises BadResponse."""

    def found(self, verifiers: Verifiers) -> Challenge:
        """Answer VerifiersWanted."""

    def refused(self) -> Challenge | None:
        """The claim is not true: what to tell before the exchange has failed; None: nothing."""


def prepare_password(text: str) -> str:
    """The form of a password that is hashed and compared (RFC 8265 §4.2.2, OpaqueString).

    Spaces of any kind become U+0020, composed and decomposed characters are one. Raises BadResponse on
    control characters.
    """
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
        raise BadResponse("a password has no control characters")
    spaced = "".join(" " if unicodedata.category(character) == "Zs" else character for character in text)
    return unicodedata.normalize("NFC", spaced)

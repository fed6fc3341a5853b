"""PLAIN and LOGIN: the password itself comes, so only inside TLS.

Source: RFC 4616 (PLAIN), draft-murchison-sasl-login-00 (LOGIN, which Outlook still wants).
"""

from typing import Final, NoReturn

from gateway.protocols.sasl.exchange import (
    BadResponse,
    Challenge,
    PasswordClaim,
    Step,
    Verifiers,
    prepare_password,
)

# RFC 4616 §2: each of the three is at most 255 octets long.
FIELD_OCTETS_MAX: Final = 255


class _Typed:
    def found(self, verifiers: Verifiers) -> NoReturn:
        raise AssertionError("this mechanism wants no verifiers")

    def refused(self) -> None:
        return None


class Plain(_Typed):
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


class Login(_Typed):
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


def _text(octets: bytes) -> str:
    if len(octets) > FIELD_OCTETS_MAX:
        raise BadResponse(f"a field is longer than {FIELD_OCTETS_MAX} octets")
    try:
        return octets.decode()
    except UnicodeDecodeError:
        raise BadResponse("a field is not UTF-8") from None

"""OAUTHBEARER and XOAUTH2: the client shows a token of its organisation's identity provider.

A refusal is a challenge first, which tells why in JSON; the client answers it with nothing that matters, and
only then the exchange has failed.

Source: RFC 7628 §3 (OAUTHBEARER), RFC 6750 §3.1 (errors), Google's XOAUTH2 description (2012), which Outlook
and phones speak.
"""

import json
import re
from typing import Final, NoReturn

from gateway.protocols.sasl.exchange import BadResponse, Challenge, Step, TokenClaim, Verifiers

RESPONSE_OCTETS_MAX: Final = 8 * 1024  # tokens with many groups are a few KB
# RFC 7628 §3.1: gs2-header kvsep *kvpair kvsep; the value of "auth" is that of an Authorization header.
_BEARER = re.compile(r"n,(?:a=(?P<username>[^,]+))?,\x01(?P<pairs>(?:[A-Za-z]+=[^\x01]*\x01)+)\x01")
_XOAUTH2 = re.compile(r"user=(?P<username>[^\x01]*)\x01(?P<pairs>(?:[A-Za-z]+=[^\x01]*\x01)+)\x01")
_AUTH = re.compile(r"(?:^|\x01)auth=[Bb]earer +(?P<token>[A-Za-z0-9._~+/=-]+)\x01")  # RFC 6750 §2.1


class Bearer:
    """One exchange. is_xoauth2: in the older form."""

    def __init__(self, *, is_xoauth2: bool = False) -> None:
        self._shape = _XOAUTH2 if is_xoauth2 else _BEARER
        self._refusal = {"status": "400" if is_xoauth2 else "invalid_token", "schemes": "bearer"}

    def answer(self, response: bytes | None) -> Step:
        if response is None:
            return Challenge(b"")
        if len(response) > RESPONSE_OCTETS_MAX:
            raise BadResponse("a token is too long")
        try:
            said = self._shape.fullmatch(response.decode())
        except UnicodeDecodeError:
            raise BadResponse("a response with a token is not UTF-8") from None
        auth = said and _AUTH.search(said["pairs"])
        if said is None or auth is None or not said["username"]:
            raise BadResponse("a response with a token names a user and has a bearer token")
        return TokenClaim(said["username"].replace("=2C", ",").replace("=3D", "="), auth["token"])

    def refused(self) -> Challenge:
        return Challenge(json.dumps(self._refusal, separators=(",", ":")).encode())

    def found(self, verifiers: Verifiers) -> NoReturn:
        raise AssertionError("this mechanism wants no verifiers")

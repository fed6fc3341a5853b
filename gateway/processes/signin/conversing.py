"""SASL over lines of base64, as IMAP and POP3 carry it: asks the client until somebody is in, or is not.

Source: RFC 4422 §3; RFC 9051 §6.2.2 (AUTHENTICATE), RFC 4959 (SASL-IR), RFC 5034 (AUTH of POP3).
"""

import base64
import binascii
from collections.abc import Awaitable, Callable
from typing import Final

from gateway.processes.signin.signin import ClaimRefused, Origin, SignIns
from gateway.protocols.sasl.exchange import (
    BadResponse,
    Challenge,
    PasswordClaim,
    VerifiersWanted,
    prepare_password,
)
from gateway.protocols.sasl.mechanisms import begin
from projections.directory.query import Person

# Of one response. RFC 4954 §4 has 12,288 for SMTP; tokens with many groups are a few KB.
RESPONSE_OCTETS_MAX: Final = 12_288
FAILED_SIGN_INS_MAX: Final = 3  # of one session, then it ends (RFC 4954 §4; Dovecot, Exchange 3)

Ask = Callable[[bytes], Awaitable[bytes]]


class Cancelled(Exception):
    """The client sent `*` instead of a response."""


async def converse(
    sign_ins: SignIns, origin: Origin, binding: bytes | None, initial: bytes | None, ask: Ask
) -> Person | ClaimRefused:
    """Run an offered mechanism, `origin.mechanism`, to its end.

    binding: `tls-server-end-point` of our certificate. initial: the first response in base64 (`=` is an empty
    one); None: there was none. ask: sends a challenge in base64, gives the client's line without its CRLF.
    Raises BadResponse and Cancelled (the exchange is over), Unavailable, Full, Deposed.
    """
    exchange = begin(origin.mechanism, binding)
    response = None if initial is None else b"" if initial == b"=" else _decoded(initial)
    while True:
        step = exchange.answer(response)
        match step:
            case Challenge():
                challenge = step
            case VerifiersWanted(username):
                found = await sign_ins.verifiers(username, origin.remote_ip)
                if isinstance(found, ClaimRefused):
                    return found
                challenge = exchange.found(found)
            case claim:
                outcome = await sign_ins.check(claim, origin)
                if isinstance(outcome, ClaimRefused) and outcome.reason != "throttled":
                    told = exchange.refused()
                    if told is not None:  # its answer means nothing (RFC 7628 §3.2.3)
                        await ask(base64.b64encode(told.octets))
                return outcome
        response = _decoded(await ask(base64.b64encode(challenge.octets)))


async def by_password(
    sign_ins: SignIns, origin: Origin, username: str, password: str
) -> Person | ClaimRefused:
    """LOGIN, or USER and PASS. Raises BadResponse, Unavailable, Full, Deposed."""
    if not username or not password:
        raise BadResponse("a user name and a password are wanted")
    return await sign_ins.check(PasswordClaim(username, prepare_password(password)), origin)


def _decoded(line: bytes) -> bytes:
    if line == b"*":
        raise Cancelled
    if len(line) > RESPONSE_OCTETS_MAX:
        raise BadResponse("a response is too long")
    try:
        return base64.b64decode(line, validate=True)
    except binascii.Error:
        raise BadResponse("a response is not base64") from None

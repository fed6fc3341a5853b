"""Passwords and their verifiers: argon2id (RFC 9106), two at once per process, remembered for minutes.

A verifier lives in the KeyStore and never in the log. What was verified a moment ago is not hashed again: a
phone signs in for every mail it sends, and a hash takes 64 MiB and some 50 ms of a core.
"""

import asyncio
import hashlib
import hmac
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from gateway.domain.credentials import split_verifiers
from gateway.ports import Clock, Entropy, KeyForgotten, KeyStore
from gateway.processes.recent import Recent

HASHES_AT_ONCE: Final = 2
REMEMBERED_S: Final = 300.0
REMEMBERED_MAX: Final = 20_000
PASSWORD_CHARACTERS_MIN: Final = 12  # NIST SP 800-63B §3.1.1.2 asks for 8, and 15 where it stands alone

_hasher: Final = PasswordHasher()  # RFC 9106 §4, second recommendation: 64 MiB, 3 passes, 4 lanes
# Hashed against where there is no person, so that it takes as long; a test holds it to its parameters.
NOBODYS: Final = b"$".join(
    (b"$argon2id$v=19$m=65536,t=3,p=4", b"9gaTece956ZyufdDFJ4q0A$5X0e7ONThLQ1BXr4FliuxUa05dH9FWmFG0svvHBi+/8")
)


def make_verifier(password: str) -> bytes:
    """What is kept instead of the password. Takes some 50 ms: call it in a thread."""
    return _hasher.hash(password).encode()


async def verifier_of(keys: KeyStore, name: str) -> bytes | None:
    """What the KeyStore has of the password under that name; None: nothing. Raises Unavailable."""
    try:
        verifiers = split_verifiers(await keys.get(name))
    except (KeyError, KeyForgotten):
        return None
    return verifiers[0] if verifiers else None


async def mark_of(keys: KeyStore, name: str) -> bytes:
    """Stands for that password: another one, or the same set anew, has another mark. Raises Unavailable."""
    return hashlib.sha256(await verifier_of(keys, name) or b"").digest()


class Passwords:
    """Checks passwords for all sessions of one process."""

    def __init__(self, clock: Clock, entropy: Entropy) -> None:
        self._key = entropy(32)  # what is remembered is worth nothing outside of this process
        self._verified = Recent[bytes, bool](clock, holds_s=REMEMBERED_S, known_max=REMEMBERED_MAX)
        self._hashing = asyncio.Semaphore(HASHES_AT_ONCE)

    async def is_right(self, password: str, verifier: bytes | None) -> bool:
        """verifier: None when there is no such person; then it takes as long and is never right."""
        known = hmac.digest(self._key, (verifier or b"") + b"\0" + password.encode(), hashlib.sha256)
        if self._verified.get(known):
            return True
        async with self._hashing:
            is_right = await asyncio.to_thread(_verify, verifier or NOBODYS, password)
        if is_right and verifier is not None:
            self._verified.keep(known, True)
            return True
        return False


def _verify(verifier: bytes, password: str) -> bool:
    try:
        return _hasher.verify(verifier.decode(), password)
    except (VerificationError, InvalidHashError):
        return False

"""Sessions of browsers: 32 random octets in a cookie, of which the KeyStore holds the SHA-256 alone.

Another password ends them, as it does tokens (`gateway.processes.web.tokens`).

Source: RFC 6265bis §4.1.3.2 (`__Host-`); OWASP ASVS 5.0 §7.
"""

import base64
import hashlib
import re
from datetime import datetime, timedelta
from typing import Final

import msgspec

from gateway.domain.credentials import SESSIONS, verifier_name
from gateway.mail.ids import AccountId
from gateway.ports import Admission, Clock, Entropy, KeyForgotten, KeyStore
from gateway.processes.signin.passwords import mark_of

TOKEN_OCTETS: Final = 32
HOLDS_FOR: Final = timedelta(hours=2)
COOKIE: Final = "__Host-saraban"
_TEXT: Final = re.compile(r"[A-Za-z0-9_-]{43}")


class Vouched(msgspec.Struct, frozen=True):
    """A provider let somebody in, and said so last at `said_at`."""

    issuer: str
    admission: Admission
    said_at: datetime


class Session(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who signed in with a browser, and until when. As the KeyStore has it.

    vouched: None: it was by password.
    """

    account_id: AccountId
    expires_at: datetime
    mark: bytes = b""  # of that account's password then
    vouched: Vouched | None = None


class Sessions:
    """Makes sessions, and knows whose one is. All raise Unavailable."""

    def __init__(self, keys: KeyStore, clock: Clock, entropy: Entropy) -> None:
        self._keys, self._clock, self._entropy = keys, clock, entropy

    async def begin(
        self, account_id: AccountId, mark: bytes | None = None, vouched: Vouched | None = None
    ) -> str:
        """The text for the cookie. mark: of the password that was shown; None: of the one that is set now."""
        text = new_secret(self._entropy)
        mark = await self._mark(account_id) if mark is None else mark
        await self.keep(text, Session(account_id, self._clock.now() + HOLDS_FOR, mark, vouched))
        return text

    async def keep(self, text: str, session: Session) -> None:
        await self._keys.put(session_name(text), msgspec.json.encode(session))

    async def find(self, text: str) -> Session | None:
        """None: it is none, has ended or was ended, also by another password. It is forgotten then."""
        if _TEXT.fullmatch(text) is None:
            return None
        try:
            session = msgspec.json.decode(await self._keys.get(session_name(text)), type=Session)
        except (KeyError, KeyForgotten):
            return None
        has_ended = session.expires_at <= self._clock.now()
        if has_ended or session.mark != await self._mark(session.account_id):
            await self.end(text)
            return None
        return session

    async def end(self, text: str) -> None:
        await self._keys.forget(session_name(text))

    async def _mark(self, account_id: AccountId) -> bytes:
        return await mark_of(self._keys, verifier_name(account_id))


def session_name(text: str) -> str:
    """The KeyStore's name of a session."""
    return f"{SESSIONS}{hashlib.sha256(text.encode()).hexdigest()}"


def new_secret(entropy: Entropy) -> str:
    """43 characters that nobody guesses."""
    return base64.urlsafe_b64encode(entropy(TOKEN_OCTETS)).rstrip(b"=").decode()


def cookie(name: str, value: str, holds_for: timedelta | None = None) -> str:
    """A Set-Cookie that only this host over TLS gets back, and no script reads. holds_for: 0 ends it."""
    age = "" if holds_for is None else f"; Max-Age={int(holds_for.total_seconds())}"
    return f"{name}={value}; Path=/; Secure; HttpOnly; SameSite=Lax{age}"

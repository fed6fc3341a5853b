"""Bearer tokens: 32 random octets, of which the KeyStore holds the SHA-256 alone, for twelve hours.

A token holds as long as the password does that was the account's when it was given: another one, whoever
set it, ends it everywhere (as soon as the KeyStore's readers notice: two seconds).

Source: RFC 6750 (bearer tokens); OWASP ASVS 5.0 §7.2 (opaque tokens of at least 128 bits), §7.4 (another
password ends sessions).
"""

import base64
import hashlib
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import msgspec

from gateway.domain.credentials import TOKENS, operator_verifier_name, verifier_name
from gateway.mail.ids import AccountId
from gateway.ports import Clock, Entropy, KeyForgotten, KeyStore
from gateway.processes.signin.passwords import mark_of

TOKEN_OCTETS: Final = 32
HOLDS_FOR: Final = timedelta(hours=12)  # a working day
_TEXT: Final = re.compile(r"[A-Za-z0-9_-]{43}")


class Holder(msgspec.Struct, frozen=True, omit_defaults=True):
    """Whose a token is: an account, or an operator without one."""

    account_id: AccountId | None = None
    operator: str = ""


class _Kept(msgspec.Struct, frozen=True):
    holder: Holder
    expires_at: datetime
    mark: bytes = b""  # of the holder's password (mark_of)


@dataclass(frozen=True, slots=True)
class Token:
    """What its holder sends with every request, and how long it may."""

    text: str = field(repr=False)
    expires_at: datetime


class Tokens:
    """Makes tokens, and knows whose one is. All raise Unavailable."""

    def __init__(self, keys: KeyStore, clock: Clock, entropy: Entropy) -> None:
        self._keys, self._clock, self._entropy = keys, clock, entropy

    async def issue(self, holder: Holder, mark: bytes | None = None) -> Token:
        """mark: of the password that the holder has shown to know; None: of the one that is set now."""
        mark = await self._mark(holder) if mark is None else mark
        text = base64.urlsafe_b64encode(self._entropy(TOKEN_OCTETS)).rstrip(b"=").decode()
        token = Token(text, self._clock.now() + HOLDS_FOR)
        await self._keys.put(_name(text), msgspec.json.encode(_Kept(holder, token.expires_at, mark)))
        return token

    async def holder(self, text: str) -> Holder | None:
        """None: it is no token, has ended or was ended, also by another password. It is forgotten then."""
        if _TEXT.fullmatch(text) is None:
            return None
        try:
            kept = msgspec.json.decode(await self._keys.get(_name(text)), type=_Kept)
        except (KeyError, KeyForgotten):
            return None
        if kept.expires_at <= self._clock.now() or kept.mark != await self._mark(kept.holder):
            await self._keys.forget(_name(text))
            return None
        return kept.holder

    async def end(self, text: str) -> None:
        """From now on it is no token; elsewhere within seconds (KeyStore)."""
        await self._keys.forget(_name(text))

    async def _mark(self, holder: Holder) -> bytes:
        if holder.account_id is None:
            return await mark_of(self._keys, operator_verifier_name(holder.operator))
        return await mark_of(self._keys, verifier_name(holder.account_id))


def _name(text: str) -> str:
    return f"{TOKENS}{hashlib.sha256(text.encode()).hexdigest()}"

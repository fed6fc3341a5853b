"""App passwords as they are checked: one salt an account, a SCRAM verifier each, in the KeyStore.

With one salt the challenge is the same whichever of them a client knows, and one derivation compares a typed
password with all.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable
from typing import Final

from gateway.ports import Entropy, KeyForgotten, KeyStore
from gateway.protocols.sasl.exchange import Verifier
from gateway.protocols.sasl.scram import make_verifier

PASSWORD_OCTETS: Final = 16  # 128 random bits
SALT_OCTETS: Final = 16
SITE_SALT_KEY: Final = "site.salt"  # the KeyStore's name of the key that salts are made with
# As it is shown and typed: base32 in small letters, no digit that looks like a letter.
_SHAPE: Final = re.compile(r"[a-z2-7]{5}(?:-[a-z2-7]{5}){4}-?[a-z2-7]")


def new_password(entropy: Entropy) -> str:
    """26 characters in groups: `abcde-fghij-klmno-pqrst-uvwxy-z`. The dashes belong to it."""
    text = base64.b32encode(entropy(PASSWORD_OCTETS)).decode().rstrip("=").lower()
    return "-".join(text[start : start + 5] for start in range(0, len(text), 5))


def has_shape(password: str) -> bool:
    """Whether it can be one: what cannot is the account's own password."""
    return _SHAPE.fullmatch(password) is not None


def app_password_name(app_id: str) -> str:
    """The KeyStore's name of what is kept of an app password."""
    return f"app-password.{app_id}"


async def salt_of(keys: KeyStore, whose: str) -> bytes:
    """whose: the account's id; of somebody who is not here the name, so that everybody has a salt."""
    key = await keys.get_or_make(SITE_SALT_KEY)
    return hmac.digest(key, whose.encode(), hashlib.sha256)[:SALT_OCTETS]


async def keep(keys: KeyStore, app_id: str, password: str, salt: bytes) -> None:
    verifier = make_verifier(app_id, password, salt)
    await keys.put(app_password_name(app_id), verifier.stored_key + verifier.server_key)


async def kept(keys: KeyStore, app_ids: Iterable[str]) -> tuple[Verifier, ...]:
    """What is kept of these, without those that are forgotten."""
    found = []
    for app_id in app_ids:
        try:
            octets = await keys.get(app_password_name(app_id))
        except (KeyError, KeyForgotten):
            continue
        found.append(Verifier(app_id, octets[:32], octets[32:]))
    return tuple(found)


def matching(password: str, salt: bytes, verifiers: Iterable[Verifier]) -> str | None:
    """The id of the verifier the password belongs to. Takes a few ms, also when there is none."""
    typed = make_verifier("", password, salt)
    ids = [each.verifier_id for each in verifiers if hmac.compare_digest(typed.stored_key, each.stored_key)]
    return ids[0] if ids else None

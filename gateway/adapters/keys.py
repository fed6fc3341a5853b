"""The key store on NATS: stream KEYS, every value encrypted under the site's master key.

A name has two subjects: `key.<name>.value` holds the secret, `key.<name>.forgotten` says that it was
destroyed. Every write is guarded by the last of the two, so a key is made once and never again after it was
forgotten; the tombstone comes first, then the value's octets are overwritten on the disk. What was read is
remembered, and every two seconds all that changed in KEYS since is dropped.

Source: architecture §7 (what is not in the log); NIST SP 800-38D.
"""

import asyncio
import stat
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.adapters.jetstream import wire
from gateway.adapters.jetstream.link import SERVICE, Link
from gateway.adapters.jetstream.log import store_guarded
from gateway.adapters.jetstream.streams import KEYS
from gateway.adapters.jetstream.wire import Outgoing, ServerRefused, Stored, Unanswered
from gateway.domain.sealing import DATA_KEY_OCTETS, NONCE_OCTETS
from gateway.ports import KEYS_AT_ONCE_MAX, Clock, Entropy, KeptSecret, KeyForgotten, Unavailable

MASTER_KEY_OCTETS: Final = 32
REMEMBERED_MAX: Final = 20_000  # keys of about 400 octets each
TRUSTED_S: Final = 2.0  # a forgotten key is noticed after that at the latest
ATTEMPTS_MAX: Final = 10
CHANGES_MAX: Final = 1000  # more at once: forget all that was remembered


class BadMasterKey(Exception):
    """The file with the master key is not usable; the text says why, for the operator."""


def load_master_key(file: Path) -> bytes:
    """32 octets, as 64 hex digits in a file that nobody else may read. Raises BadMasterKey."""
    try:
        mode = stat.S_IMODE(file.stat().st_mode)
        text = file.read_bytes()
    except OSError as error:
        raise BadMasterKey(f"the master key {file} cannot be read: {error.strerror}") from error
    if mode & 0o077:
        raise BadMasterKey(f"the master key {file} has mode {mode:03o}, expected 600")
    try:
        key = bytes.fromhex(text.decode())
    except ValueError:
        key = b""
    if len(key) != MASTER_KEY_OCTETS:
        raise BadMasterKey(f"the master key {file} is not {2 * MASTER_KEY_OCTETS} hex digits")
    return key


class JetStreamKeyStore:
    """The port KeyStore."""

    def __init__(self, link: Link, master_key: bytes, *, clock: Clock, entropy: Entropy) -> None:
        self._link, self._clock, self._entropy = link, clock, entropy
        self._cipher = AESGCM(master_key)
        self._known: OrderedDict[str, bytes] = OrderedDict()
        self._known_up_to: int | None = None  # sequence in KEYS that what is known is true of
        self._trusted_until = 0.0
        self._noticing = asyncio.Lock()

    async def get(self, name: str) -> bytes:
        await self._notice_changes()
        if (secret := self._known.get(name)) is not None:
            self._known.move_to_end(name)
            return secret
        up_to = self._known_up_to
        last = await self._last(name)
        if last is None:
            raise KeyError(name)
        secret = self._opened(name, last)
        if up_to == self._known_up_to:  # else it may have been replaced while we read it
            self._remember(name, secret)
        return secret

    async def get_or_make(self, name: str) -> bytes:
        try:
            return await self.get(name)
        except KeyError:
            # Whose write came first does not matter: all of them then read what is there.
            await self._write(name, self._entropy(DATA_KEY_OCTETS), expected=0)
            return await self.get(name)

    async def put(self, name: str, secret: bytes) -> None:
        for _ in range(ATTEMPTS_MAX):
            last = await self._last(name)
            if last is not None and self._opened(name, last) == secret:
                return
            await self._write(name, secret, expected=last.sequence if last else 0)
            self._known.pop(name, None)
        raise Unavailable(SERVICE, f"{name} is written by others all the time")

    async def exchange(self, name: str, former: bytes, secret: bytes) -> bool:
        last = await self._last(name)
        if last is None:
            raise KeyError(name)
        if self._opened(name, last) != former:
            return False
        self._known.pop(name, None)
        return await self._write(name, secret, expected=last.sequence)

    async def put_new(self, secrets: Mapping[str, bytes]) -> None:
        assert len(secrets) <= KEYS_AT_ONCE_MAX, len(secrets)
        messages = [self._message(name, secret, expected=0) for name, secret in secrets.items()]
        if messages:
            await store_guarded(self._link, KEYS, messages, 0, messages[0].subject)

    async def forget(self, name: str) -> None:
        """Destroy the key: after this `get` raises KeyForgotten everywhere, within seconds."""
        for _ in range(ATTEMPTS_MAX):
            self._known.pop(name, None)
            last = await self._last(name)
            if last is not None and _is_tombstone(last):
                await self._erase(name)
                return
            guard = _guard(name, last.sequence if last else 0)
            await self._store(Outgoing(_tombstone_of(name), b"", guard), name)
        raise Unavailable(SERVICE, f"{name} is written by others all the time")

    async def kept(self, *beginnings: str) -> AsyncIterator[KeptSecret]:
        start = 1
        while found := await self._link.read(KEYS, "key.>", start, CHANGES_MAX):
            for stored in found:
                name = _name_of(stored.subject)
                if name.startswith(beginnings):
                    is_forgotten = _is_tombstone(stored)
                    secret = None if is_forgotten else self._opened(name, stored)
                    yield KeptSecret(name, secret, stored.sequence)
            start = found[-1].sequence + 1

    async def remove(self, name: str) -> None:
        self._known.pop(name, None)
        await self._erase(name)
        await self._erase(name, "forgotten")

    async def check(self) -> None:
        """Raises BadMasterKey when what is kept was encrypted under another master key; Unavailable."""
        newest = await self._link.last(KEYS, "key.*.value")
        if newest is None:
            return
        try:
            self._opened(_name_of(newest.subject), newest)
        except Unavailable as error:
            raise BadMasterKey(
                "the master key is not the one that the keys in NATS were encrypted under: use the key file "
                f"of the gateway that made them (SARABAN_MASTER_KEY_FILE). {error.reason}"
            ) from error

    # --- what is remembered ---------------------------------------------------------------------------

    async def _notice_changes(self) -> None:
        """Drop what was written since it was remembered. Raises Unavailable when that cannot be known."""
        async with self._noticing:
            now = self._clock.monotonic()
            if now < self._trusted_until:
                return
            if self._known_up_to is None:
                newest = await self._link.last(KEYS)
                self._known_up_to = newest.sequence if newest else 0
            else:
                changes = await self._link.read(KEYS, "key.>", self._known_up_to + 1, CHANGES_MAX)
                if len(changes) == CHANGES_MAX:
                    self._known.clear()
                for change in changes:
                    self._known_up_to = max(self._known_up_to, change.sequence)
                    self._known.pop(_name_of(change.subject), None)
            self._trusted_until = now + TRUSTED_S

    def _remember(self, name: str, secret: bytes) -> None:
        self._known[name] = secret
        if len(self._known) > REMEMBERED_MAX:
            self._known.popitem(last=False)

    def _opened(self, name: str, stored: Stored) -> bytes:
        if _is_tombstone(stored):
            raise KeyForgotten(name)
        nonce, sealed = stored.payload[:NONCE_OCTETS], stored.payload[NONCE_OCTETS:]
        try:
            return self._cipher.decrypt(nonce, sealed, name.encode())
        except (InvalidTag, ValueError) as error:
            raise Unavailable(SERVICE, f"the key {name} does not open with this master key") from error

    # --- the stream -----------------------------------------------------------------------------------

    async def _last(self, name: str) -> Stored | None:
        return await self._link.last(KEYS, f"key.{_token(name)}.*")

    async def _write(self, name: str, secret: bytes, expected: int) -> bool:
        return await self._store(self._message(name, secret, expected), name)

    def _message(self, name: str, secret: bytes, expected: int) -> Outgoing:
        nonce = self._entropy(NONCE_OCTETS)
        payload = nonce + self._cipher.encrypt(nonce, secret, name.encode())
        return Outgoing(f"key.{_token(name)}.value", payload, _guard(name, expected))

    async def _store(self, message: Outgoing, name: str) -> bool:
        """Write if nothing was written since; False: something was."""
        try:
            await self._link.publish(message)
        except ServerRefused as refused:
            if not refused.is_conflict:
                raise refused.as_port_error(SERVICE) from refused
            return False
        except Unanswered as error:
            raise Unavailable(SERVICE, f"the key {name} may be stored or not: {error}") from error
        return True

    async def _erase(self, name: str, which: str = "value") -> None:
        """Overwrite its octets on the disk; the same twice changes nothing. which: of its two subjects."""
        value = await self._link.last(KEYS, f"key.{_token(name)}.{which}")
        if value is None:
            return
        try:
            await self._link.api(f"STREAM.MSG.DELETE.{KEYS}", {"seq": value.sequence, "no_erase": False})
        except ServerRefused as refused:
            if refused.code != wire.NOT_FOUND:  # somebody else erased it meanwhile
                raise refused.as_port_error(SERVICE) from refused


def _token(name: str) -> str:
    return wire.token_of(name)


def _guard(name: str, expected: int) -> dict[str, str]:
    """Nothing was written under this name, value or tombstone, since `expected`."""
    return {wire.EXPECTED: str(expected), wire.EXPECTED_SUBJECT: f"key.{_token(name)}.*"}


def _tombstone_of(name: str) -> str:
    return f"key.{_token(name)}.forgotten"


def _is_tombstone(stored: Stored) -> bool:
    return stored.subject.endswith(".forgotten")


def _name_of(subject: str) -> str:
    return unquote(subject.split(".")[1])

"""Opening seals while folding: keys are fetched before the transaction, each data key is unwrapped once.

What a destroyed key had sealed gives None: the columns stay blank (architecture §4, Sealed). A key that never
was, or a seal that does not open under a key we have, is a fault and stops the fold.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, TypeVar

import msgspec

from gateway.domain.events import Wrap
from gateway.domain.sealing import unseal, unwrap
from gateway.ports import KeyForgotten, KeyStore

DATA_KEYS_MAX: Final = 20_000  # 64 octets each; a mail's events come close together
FETCHES_AT_ONCE: Final = 64

S = TypeVar("S", bound=msgspec.Struct)


class Keyring:
    """One for all models of a process: what one of them unwrapped, the others find."""

    def __init__(self, store: KeyStore) -> None:
        self._store = store
        self._data_keys: OrderedDict[bytes, bytes] = OrderedDict()

    async def fetch(self, wraps: Iterable[Wrap]) -> "Keys":
        """The holders' keys of one batch. Raises KeyError for a key that never was, Unavailable."""
        return await self.fetch_named({wrap.key for wrap in wraps})

    async def fetch_named(self, names: Iterable[str]) -> "Keys":
        ordered = sorted(set(names))
        holders: dict[str, bytes | None] = {}
        for start in range(0, len(ordered), FETCHES_AT_ONCE):
            some = ordered[start : start + FETCHES_AT_ONCE]
            holders |= zip(some, await asyncio.gather(*map(self._holder_key, some)), strict=True)
        return Keys(self.data_key, holders)

    async def _holder_key(self, name: str) -> bytes | None:
        try:
            return await self._store.get(name)
        except KeyForgotten:
            return None

    def data_key(self, wrapped: bytes, holder_key: bytes) -> bytes:
        key = self._data_keys.get(wrapped)
        if key is None:
            key = self._data_keys[wrapped] = unwrap(wrapped, holder_key)
            if len(self._data_keys) > DATA_KEYS_MAX:
                self._data_keys.popitem(last=False)
        return key


class Keys:
    """What was fetched for one batch."""

    def __init__(
        self, data_key: Callable[[bytes, bytes], bytes], holders: Mapping[str, bytes | None]
    ) -> None:
        self._data_key, self._holders = data_key, holders

    def unseal(self, kind: type[S], sealed: bytes, wraps: Sequence[Wrap], *, label: str) -> S | None:
        """The secret, or None when every key that opened it is gone. Raises BrokenSeal."""
        for wrap in wraps:
            holder_key = self._holders[wrap.key]
            if holder_key is not None:
                return unseal(kind, sealed, self._data_key(wrap.wrapped, holder_key), label=label)
        return None

    def unseal_with(self, kind: type[S], sealed: bytes, name: str, *, label: str) -> S | None:
        """As `unseal`, for what is sealed under a named key itself."""
        key = self._holders[name]
        return None if key is None else unseal(kind, sealed, key, label=label)


NO_KEYS: Final = Keys(unwrap, {})


def clear(text: str) -> str:
    """Text as PostgreSQL takes it: it has no NUL."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")

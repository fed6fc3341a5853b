"""The key store, in memory."""

from collections.abc import AsyncIterator, Mapping

from gateway.domain.sealing import DATA_KEY_OCTETS
from gateway.ports import KEYS_AT_ONCE_MAX, Conflict, Entropy, KeptSecret, KeyForgotten


class MemoryKeyStore:
    """The port KeyStore."""

    def __init__(self, entropy: Entropy) -> None:
        self._entropy = entropy
        self._kept: dict[str, KeptSecret] = {}  # in the order of their last writing
        self._written = 0

    async def get(self, name: str) -> bytes:
        secret = self._kept[name].secret
        if secret is None:
            raise KeyForgotten(name)
        return secret

    async def get_or_make(self, name: str) -> bytes:
        if name not in self._kept:
            self._write(name, self._entropy(DATA_KEY_OCTETS))
        return await self.get(name)

    async def put(self, name: str, secret: bytes) -> None:
        if name in self._kept and self._kept[name].secret is None:
            raise KeyForgotten(name)
        self._write(name, secret)

    async def exchange(self, name: str, former: bytes, secret: bytes) -> bool:
        if await self.get(name) != former:
            return False
        self._write(name, secret)
        return True

    async def put_new(self, secrets: Mapping[str, bytes]) -> None:
        assert len(secrets) <= KEYS_AT_ONCE_MAX, len(secrets)
        if used := self._kept.keys() & secrets.keys():
            raise Conflict(f"used before: {', '.join(sorted(used))}")
        for name, secret in secrets.items():
            self._write(name, secret)

    async def forget(self, name: str) -> None:
        self._write(name, None)

    async def kept(self, *beginnings: str) -> AsyncIterator[KeptSecret]:
        for kept in list(self._kept.values()):
            if kept.name.startswith(beginnings):
                yield kept

    async def remove(self, name: str) -> None:
        self._kept.pop(name, None)

    def _write(self, name: str, secret: bytes | None) -> None:
        self._written += 1
        self._kept.pop(name, None)
        self._kept[name] = KeptSecret(name, secret, self._written)

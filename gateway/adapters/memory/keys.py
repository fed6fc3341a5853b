"""The key store, in memory."""

from collections.abc import Mapping

from gateway.domain.sealing import DATA_KEY_OCTETS
from gateway.ports import KEYS_AT_ONCE_MAX, Conflict, Entropy, KeyForgotten


class MemoryKeyStore:
    """The port KeyStore."""

    def __init__(self, entropy: Entropy) -> None:
        self._entropy = entropy
        self._secrets: dict[str, bytes | None] = {}  # None: forgotten

    async def get(self, name: str) -> bytes:
        secret = self._secrets[name]
        if secret is None:
            raise KeyForgotten(name)
        return secret

    async def get_or_make(self, name: str) -> bytes:
        if name not in self._secrets:
            self._secrets[name] = self._entropy(DATA_KEY_OCTETS)
        return await self.get(name)

    async def put(self, name: str, secret: bytes) -> None:
        if name in self._secrets and self._secrets[name] is None:
            raise KeyForgotten(name)
        self._secrets[name] = secret

    async def exchange(self, name: str, former: bytes, secret: bytes) -> bool:
        if await self.get(name) != former:
            return False
        self._secrets[name] = secret
        return True

    async def put_new(self, secrets: Mapping[str, bytes]) -> None:
        assert len(secrets) <= KEYS_AT_ONCE_MAX, len(secrets)
        if used := self._secrets.keys() & secrets.keys():
            raise Conflict(f"used before: {', '.join(sorted(used))}")
        self._secrets.update(secrets)

    async def forget(self, name: str) -> None:
        self._secrets[name] = None

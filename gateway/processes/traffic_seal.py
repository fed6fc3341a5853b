"""What tells who was there, sealed under the key its agency has for the month.

Used by whoever writes to `ev.access`: sign-ins, sessions, refusals. Source: architecture §4 (Sealed).
"""

from datetime import datetime

from msgspec import Struct

from gateway.domain.routing import traffic_key_name
from gateway.domain.sealing import NONCE_OCTETS, seal
from gateway.mail.ids import AgencyId
from gateway.ports import Entropy, KeyStore


class TrafficSeal:
    """Seals with the keys of one process."""

    def __init__(self, keys: KeyStore, entropy: Entropy) -> None:
        self._keys, self._entropy = keys, entropy

    async def seal(
        self, secret: Struct, agency_id: AgencyId | None, at: datetime, *, label: str
    ) -> tuple[bytes, str]:
        """An event's `sealed` and `sealed_key`. agency_id: as in `traffic_key_name`. Raises Unavailable."""
        name = traffic_key_name(agency_id, at)
        key = await self._keys.get_or_make(name)
        return seal(secret, key, nonce=self._entropy(NONCE_OCTETS), label=label), name

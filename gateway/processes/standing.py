"""Standing holds, begun and ended: one fact each, guarded by all there were before.

Used by the command line and the HTTP API. No process of its own.

Source: ADR 0023.
"""

from typing import Final

from gateway.domain.events import Fact, Stamp
from gateway.domain.histories import queue_history
from gateway.domain.sealing import NONCE_OCTETS, seal
from gateway.domain.standing import (
    QUEUE_KEY,
    DestinationHeld,
    DestinationReleased,
    StandingSecret,
    Toward,
    standing,
    standing_label,
)
from gateway.ports import START, Conflict, Entropy, EventLog, KeyStore, Position

DECISIONS_MAX: Final = 10


class StandingHolds:
    """All raise Unavailable, Full."""

    def __init__(self, log: EventLog, keys: KeyStore, entropy: Entropy) -> None:
        self._log, self._keys, self._entropy = log, keys, entropy

    async def hold(self, toward: Toward, stamp: Stamp, *, why: str) -> Position | None:
        """Where the log has it; None: it is held already."""
        return await self._decide(DestinationHeld, toward, stamp, why)

    async def release(self, toward: Toward, stamp: Stamp, *, why: str) -> Position | None:
        """Where the log has it; None: it is not held."""
        return await self._decide(DestinationReleased, toward, stamp, why)

    async def _decide(
        self,
        kind: type[DestinationHeld | DestinationReleased],
        toward: Toward,
        stamp: Stamp,
        why: str,
    ) -> Position | None:
        history = queue_history()
        for _ in range(DECISIONS_MAX):
            before = await self._log.history(history)
            is_held = toward in standing(recorded.event for recorded in before)
            if is_held == (kind is DestinationHeld):
                return None
            fact = Fact(history, await self._event(kind, toward, stamp, why))
            last = before[-1].position if before else START.position
            try:
                return await self._log.append_guarded([fact], {history: last})
            except Conflict:
                continue
        raise Conflict("the history of the queue moves too fast")

    async def _event(
        self,
        kind: type[DestinationHeld | DestinationReleased],
        toward: Toward,
        stamp: Stamp,
        why: str,
    ) -> DestinationHeld | DestinationReleased:
        key, nonce = await self._keys.get_or_make(QUEUE_KEY), self._entropy(NONCE_OCTETS)
        sealed = seal(StandingSecret(why), key, nonce=nonce, label=standing_label(toward))
        return kind(**stamp.fields(), what=toward.what, name=toward.name, sealed=sealed)

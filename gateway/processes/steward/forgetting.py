"""Secrets that nobody needs any more go: ended tokens and sessions, and those of old return paths.

Who reads a token knows by itself when it has ended. One that was ended by hand leaves a mark, which others
have to see within seconds; it goes at a later look.

Source: ADR 0009 (tokens), ADR 0015 (return paths: each month has a secret of its own).
"""

from datetime import datetime, timedelta
from typing import Final

from gateway.domain.credentials import SESSIONS, TOKENS, ends_at
from gateway.ports import Clock, KeyStore, Leases, Unavailable
from gateway.processes import maillog
from gateway.processes.return_paths import SECRETS, needed_secrets

LEASE: Final = "steward-secrets"
LOOK_EVERY: Final = timedelta(hours=6)  # each time the whole store is read through
# After its end: for hosts whose clocks differ, and who looks for why somebody was signed out.
KEPT_AFTER_END: Final = timedelta(days=1)


async def run(keys: KeyStore, clock: Clock, leases: Leases) -> None:
    """Look again and again while the lease is ours, until cancelled. Raises Deposed, Unavailable."""
    async with leases.hold(LEASE):
        looked_at = 0
        while True:
            try:
                looked_at = await forget(keys, clock.now(), looked_at)
            except Unavailable as error:
                maillog.service_unavailable(
                    service=error.service, reason=error.reason, doing="forget secrets"
                )
            await clock.sleep(LOOK_EVERY.total_seconds())


async def forget(keys: KeyStore, now: datetime, looked_at: int) -> int:
    """Look once: up to which writing.

    looked_at: the same of the look before; marks that were there then are removed now.
    """
    needed, last = needed_secrets(now.date()), looked_at
    async for kept in keys.kept(TOKENS, SESSIONS, SECRETS):
        last = max(last, kept.number)
        if kept.name.startswith(SECRETS):
            # Forgotten and not removed: a name that was forgotten is never made again.
            if kept.secret is not None and kept.name < min(needed):
                await keys.forget(kept.name)
        elif kept.secret is None:
            if kept.number <= looked_at:
                await keys.remove(kept.name)
        elif ends_at(kept.secret) + KEPT_AFTER_END <= now:
            await keys.remove(kept.name)
    return last

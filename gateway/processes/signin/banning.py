"""Imposing a ban and lifting it: one fact each, durable before it is spoken of.

Source: architecture §4 (`ev.access`; Sealed).
"""

from datetime import datetime

from gateway.domain.bans import (
    LONGEST_BAN,
    BanImposed,
    BanLifted,
    BanSecret,
    Cause,
    LiftSecret,
    Network,
    ban_label,
    lift_label,
)
from gateway.domain.events import Fact, Stamp
from gateway.domain.signin import access_history
from gateway.mail.ids import ID_ENTROPY_OCTETS, AccountId, AgencyId, new_id
from gateway.ports import Entropy, KeyStore, Lane
from gateway.processes.traffic_seal import TrafficSeal
from projections.bans.query import Ban


class Banning:
    """Bans as facts, through a lane. Raises Unavailable, Full, Deposed."""

    def __init__(self, keys: KeyStore, lane: Lane, entropy: Entropy) -> None:
        self._lane, self._entropy = lane, entropy
        self._seal = TrafficSeal(keys, entropy)

    async def network(
        self, network: Network, until: datetime, stamp: Stamp, *, reason: Cause, why: str = ""
    ) -> Ban:
        secret = BanSecret(str(network), why)
        return await self._impose(secret, until, stamp, reason)

    async def account(
        self, account_id: AccountId, agency_id: AgencyId, until: datetime, stamp: Stamp, *, why: str
    ) -> Ban:
        return await self._impose(BanSecret(why=why), until, stamp, "operator", account_id, agency_id)

    async def lift(self, ban: Ban, stamp: Stamp, *, why: str) -> None:
        sealed, key_name = await self._seal.seal(
            LiftSecret(why), ban.agency_id, stamp.at, label=lift_label(ban.ban_id)
        )
        lifted = BanLifted(**stamp.fields(), ban_id=ban.ban_id, sealed=sealed, sealed_key=key_name)
        await self._lane.append([Fact(access_history(ban.agency_id), lifted)])

    async def _impose(
        self,
        secret: BanSecret,
        until: datetime,
        stamp: Stamp,
        reason: Cause,
        account_id: AccountId | None = None,
        agency_id: AgencyId | None = None,
    ) -> Ban:
        assert stamp.at < until <= stamp.at + LONGEST_BAN, until
        ban_id = new_id("ban", stamp.at, self._entropy(ID_ENTROPY_OCTETS))
        sealed, key_name = await self._seal.seal(secret, agency_id, stamp.at, label=ban_label(ban_id))
        imposed = BanImposed(
            **stamp.fields(),
            ban_id=ban_id,
            what="network" if account_id is None else "account",
            until=until,
            reason=reason,
            account_id=account_id,
            sealed=sealed,
            sealed_key=key_name,
        )
        await self._lane.append([Fact(access_history(agency_id), imposed)])
        return Ban(
            ban_id,
            imposed.what,
            secret.network or None,
            account_id,
            agency_id,
            reason,
            secret.why,
            stamp.at,
            f"{stamp.actor.kind} {stamp.actor.id}".rstrip(),
            until,
        )

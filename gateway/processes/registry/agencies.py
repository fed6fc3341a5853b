"""What is changed about an agency after it was registered."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from gateway.domain.agencies import (
    activate_agency,
    extend_trial,
    order_close,
    rename_agency,
    set_catch_all,
    set_contact,
    set_forwarding_policy,
    set_identity,
    set_limits,
    set_plus_addressing,
    set_route,
    set_tls,
    suspend_agency,
)
from gateway.domain.agency import (
    AgencyContactSet,
    AgencyLimitsSet,
    AgencyRenamed,
    AgencyStatus,
    ForwardingPolicy,
    IdentityProvider,
    Limits,
    agency_key_name,
    identity_secret_name,
)
from gateway.domain.agency_tls import AgencyTls, check_certificate, client_key_name, plain
from gateway.domain.catching import AgencyCatchAllSet
from gateway.domain.registration import Refused, Registration
from gateway.domain.route import Route
from gateway.domain.trial import AgencyTrialExtended
from gateway.mail.address import Address
from gateway.mail.ids import AccountId, AgencyId
from gateway.processes.registry.deciding import Deciding


class Agencies(Deciding):
    """Each call is durable when it returns; rows follow. All raise Refused, Unavailable."""

    async def rename(self, agency_id: AgencyId, name: str) -> str:
        """Another name from here on: the one it has then."""

        async def decide() -> Registration:
            found = await self._reading.agency(agency_id)
            return rename_agency(found.agency, found.position, name, self._stamp())

        (decided,) = (await self._decide(agency_id, decide)).facts
        assert isinstance(decided.event, AgencyRenamed), decided
        return decided.event.name

    async def suspend(self, agency_id: AgencyId, reason: str) -> None:
        """None of its accounts signs in or sends; mail still comes in."""

        async def decide() -> Registration:
            found = await self._reading.agency(agency_id)
            sealed = await self._agency_reason(reason, agency_id)
            return suspend_agency(found.agency, found.position, self._stamp(), reason=sealed)

        await self._decide(agency_id, decide)

    async def activate(self, agency_id: AgencyId, reason: str) -> AgencyStatus:
        """Undo suspend; a trial that is not suspended is active for good: the status it has then."""
        status: AgencyStatus = "active"

        async def decide() -> Registration:
            nonlocal status
            found = await self._reading.agency(agency_id)
            sealed = await self._agency_reason(reason, agency_id)
            decided = activate_agency(found.agency, found.position, self._stamp(), reason=sealed)
            status = found.agency.status
            return decided

        await self._decide(agency_id, decide)
        return status

    async def extend_trial(self, agency_id: AgencyId, days: int, reason: str) -> datetime:
        """Its trial ends so many days from now: when that is."""

        async def decide() -> Registration:
            found = await self._reading.agency(agency_id)
            sealed = await self._agency_reason(reason, agency_id)
            stamp = self._stamp()
            ends_at = stamp.at + timedelta(days=days)
            return extend_trial(found.agency, found.position, ends_at, stamp, reason=sealed)

        (decided,) = (await self._decide(agency_id, decide)).facts
        assert isinstance(decided.event, AgencyTrialExtended), decided
        return decided.event.ends_at

    async def order_close(self, agency_id: AgencyId, reason: str) -> int:
        """The steward closes it although its files lack messages: how many they are."""
        lacking = 0

        async def decide() -> Registration:
            nonlocal lacking
            found = await self._reading.agency(agency_id)
            sealed = await self._agency_reason(reason, agency_id)
            decided = order_close(found.agency, found.position, self._stamp(), reason=sealed)
            lacking = found.agency.trial.lack.messages if found.agency.trial else 0
            return decided

        await self._decide(agency_id, decide)
        return lacking

    async def set_contact(self, agency_id: AgencyId, address: Address) -> AccountId:
        """Mail to postmaster at its domains goes to the account of this address."""

        async def decide() -> Registration:
            agency = await self._reading.agency(agency_id)
            contact = await self._reading.account_at(address)
            return set_contact(agency.agency, agency.position, contact.account, address, self._stamp())

        (decided,) = (await self._decide(agency_id, decide)).facts
        assert isinstance(decided.event, AgencyContactSet), decided
        return decided.event.account_id

    async def set_catch_all(self, agency_id: AgencyId, address: Address | None) -> AccountId | None:
        """Mail to addresses that nobody ever had goes to the account of this one; None: it is refused."""

        async def decide() -> Registration:
            agency = await self._reading.agency(agency_id)
            account = (await self._reading.account_at(address)).account if address else None
            named = str(address or "none")
            return set_catch_all(agency.agency, agency.position, account, named, self._stamp())

        (decided,) = (await self._decide(agency_id, decide)).facts
        assert isinstance(decided.event, AgencyCatchAllSet), decided
        return decided.event.account_id

    async def set_plus_addressing(self, agency_id: AgencyId, *, is_on: bool) -> None:
        """name+tag@ is name@ where nobody has the address with its tag, or is not."""

        async def decide() -> Registration:
            found = await self._reading.agency(agency_id)
            return set_plus_addressing(found.agency, found.position, is_on, self._stamp())

        await self._decide(agency_id, decide)

    async def set_identity(self, agency_id: AgencyId, provider: IdentityProvider | None, secret: str) -> None:
        """Let its people sign in by tokens of this provider; None: by none. secret: ours there, or ""."""
        if secret:
            await self._keys.put(identity_secret_name(agency_id), secret.encode())

        async def decide() -> Registration:
            found = await self._reading.agency(agency_id)
            return set_identity(found.agency, found.position, provider, self._stamp())

        await self._decide(agency_id, decide)

    async def limits(self, agency_id: AgencyId) -> Limits:
        """What it may use, as the log says now."""
        return (await self._reading.agency(agency_id)).agency.limits

    async def set_limits(self, agency_id: AgencyId, changes: Mapping[str, int | None]) -> Limits:
        """Change some of its limits (None: the gateway's): all that hold then."""

        async def decide() -> Registration:
            found = await self._reading.agency(agency_id)
            return set_limits(found.agency, found.position, changes, self._stamp())

        (decided,) = (await self._decide(agency_id, decide)).facts
        assert isinstance(decided.event, AgencyLimitsSet), decided
        return decided.event.limits

    async def forwarding_policy(self, agency_id: AgencyId) -> ForwardingPolicy:
        """Where its accounts may forward their mail, as the log says now."""
        return (await self._reading.agency(agency_id)).agency.forwarding

    async def set_forwarding_policy(self, agency_id: AgencyId, policy: ForwardingPolicy) -> None:
        """Rules that go further stay and stop working."""

        async def decide() -> Registration:
            found = await self._reading.agency(agency_id)
            return set_forwarding_policy(found.agency, found.position, policy, self._stamp())

        await self._decide(agency_id, decide)

    async def tls(self, agency_id: AgencyId) -> AgencyTls:
        """What TLS with its own mail server has to be, as the log says now."""
        return (await self._reading.agency(agency_id)).agency.tls

    async def set_tls(self, agency_id: AgencyId, policy: AgencyTls, key: bytes, reason: str) -> AgencyTls:
        """The policy that holds then. key: PEM, of its certificate; b"": it is known, or there is none."""
        policy = plain(policy)
        if policy.certificate and key:
            if why := check_certificate(policy.certificate, key):
                raise Refused(f"this certificate cannot be shown to a server: {why}")
            # Under a name of its own: a policy in force keeps its key, whatever is decided below.
            await self._keys.put(client_key_name(policy.certificate), key)

        async def decide() -> Registration:
            found = await self._reading.agency(agency_id)
            if policy.certificate and not key and policy.certificate != found.agency.tls.certificate:
                raise Refused("a certificate comes with its key")
            sealed = await self._agency_reason(reason, agency_id)
            return set_tls(found.agency, found.position, policy, self._stamp(), reason=sealed)

        await self._decide(agency_id, decide)
        return policy

    async def set_route(self, agency_id: AgencyId, route: Route, reason: str) -> None:
        """Where its mail goes, all of it; by the main way."""

        async def decide() -> Registration:
            found = await self._reading.agency(agency_id)
            sealed = await self._agency_reason(reason, agency_id)
            return set_route(found.agency, found.position, route, self._stamp(), reason=sealed)

        await self._decide(agency_id, decide)

    async def _agency_reason(self, reason: str, agency_id: AgencyId) -> bytes:
        return self._reason(reason, agency_id, await self._keys.get_or_make(agency_key_name(agency_id)))

"""Is a client who it says it is? Each answer is a fact of the log before the client hears it.

Somebody who is not here is refused as slowly, and in the same words, as somebody whose password is wrong.

Source: RFC 4954 §6 and §9, RFC 4616 §2 (acting as another); architecture §4 (`ev.access`).
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final, Literal

from gateway.domain.events import Actor, By, Fact, Stamp
from gateway.domain.routing import traffic_key_name
from gateway.domain.sealing import NONCE_OCTETS, seal
from gateway.domain.signin import (
    SIGN_INS,
    Refusal,
    SignInAccepted,
    SignInRefused,
    SignInSecret,
    access_history,
)
from gateway.mail.address import Address, parse_address
from gateway.mail.ids import AgencyId
from gateway.ports import Clock, Entropy, KeyForgotten, KeyStore, Lane
from gateway.processes.signin.passwords import Passwords
from gateway.processes.signin.people import People
from gateway.processes.signin.throttle import Throttle, network_of
from gateway.protocols.sasl import PasswordClaim
from projections.directory.query import Person

UNRECORDED_NETWORKS_MAX: Final = 10_000


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a sign-in comes from."""

    protocol: Literal["smtp"]
    mechanism: str
    remote_ip: str
    helo: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    reason: Refusal


class SignIns:
    """Lets people in, for all sessions of one process."""

    def __init__(
        self, *, people: People, keys: KeyStore, lane: Lane, clock: Clock, entropy: Entropy, by: By
    ) -> None:
        self._people, self._keys, self._lane = people, keys, lane
        self._clock, self._entropy, self._by = clock, entropy, by
        self._passwords = Passwords(clock, entropy)
        self._throttle = Throttle(clock)
        # Refusals that were not worth an event of their own, by network: the next event has their number.
        self._unrecorded: OrderedDict[str, int] = OrderedDict()

    async def check(self, claim: PasswordClaim, origin: Origin) -> Person | Refused:
        """The person, or why not; the fact is durable. Raises Unavailable, Full, Deposed."""
        address = _address(claim.username)
        name = claim.username.casefold() if address is None else str(address)
        if self._throttle.wait_s(name, origin.remote_ip) > 0:
            self._leave_unrecorded(origin.remote_ip)
            return Refused("throttled")
        person = None if address is None else await self._people.find(address)
        reason = await self._refusal(claim, person)
        if reason is None:
            self._throttle.succeeded(name, origin.remote_ip)
        elif reason in ("unknown", "password"):
            self._throttle.failed(name, origin.remote_ip)
        await self._record(claim, origin, person, reason)
        if reason is not None:
            return Refused(reason)
        assert person is not None, "nobody is let in"
        return person

    async def _refusal(self, claim: PasswordClaim, person: Person | None) -> Refusal | None:
        """None: the claim is true, and the person may come in."""
        verifier = None if person is None else await self._verifier(person)
        if not await self._passwords.is_right(claim.password, verifier):
            return "unknown" if person is None else "password"
        assert person is not None, "nobody's password is right"
        match person.status:
            case "closed":
                return "closed"
            case "suspended" | "agency-suspended":
                return "suspended"
        if claim.acts_as and _address(claim.acts_as) not in person.addresses:
            return "acts-as"
        return None

    async def _verifier(self, person: Person) -> bytes | None:
        try:
            return await self._keys.get(f"verifier.{person.account_id}")
        except (KeyError, KeyForgotten):
            return None

    def _leave_unrecorded(self, remote_ip: str) -> None:
        network = network_of(remote_ip)
        self._unrecorded[network] = self._unrecorded.pop(network, 0) + 1
        if len(self._unrecorded) > UNRECORDED_NETWORKS_MAX:
            self._unrecorded.popitem(last=False)

    async def _record(
        self, claim: PasswordClaim, origin: Origin, person: Person | None, reason: Refusal | None
    ) -> None:
        at = self._clock.now()
        agency_id = None if person is None else person.agency_id
        key_name = traffic_key_name(agency_id or AgencyId("none"), f"{at:%Y%m}")
        secret = SignInSecret(claim.username, origin.remote_ip, origin.helo)
        key = await self._keys.get_or_make(key_name)
        account_id = None if person is None else person.account_id
        actor = Actor("remote") if account_id is None or reason else Actor("account", account_id)
        carried = Stamp(at=at, actor=actor, by=self._by).fields() | {
            "account_id": account_id,
            "protocol": origin.protocol,
            "mechanism": origin.mechanism,
            "sealed": seal(secret, key, nonce=self._entropy(NONCE_OCTETS), label=SIGN_INS),
            "sealed_key": key_name,
        }
        if reason is None:
            fact = Fact(access_history(agency_id), SignInAccepted(**carried))
        else:
            unrecorded = self._unrecorded.pop(network_of(origin.remote_ip), 0)
            refused = SignInRefused(**carried, reason=reason, unrecorded=unrecorded)
            fact = Fact(access_history(agency_id), refused)
        await self._lane.append([fact])


def _address(username: str) -> Address | None:
    try:
        return parse_address(username).normalise()
    except ValueError:
        return None

"""Is a client who it says it is? Each answer is a fact of the log before the client hears it.

Somebody who is not here is refused as slowly, and in the same words, as somebody whose password is wrong.

Source: RFC 4954 §6 and §9, RFC 4616 §2 (acting as another), RFC 5802 §9 (users that are not there);
architecture §4 (`ev.access`).
"""

import asyncio
import base64
import contextlib
import ipaddress
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from gateway.domain.agency import identity_secret_name
from gateway.domain.app_passwords import Protocol
from gateway.domain.credentials import operator_verifier_name, verifier_name
from gateway.domain.events import Actor, By, Fact, Stamp
from gateway.domain.signin import (
    SIGN_INS,
    Refusal,
    SignInAccepted,
    SignInRefused,
    SignInSecret,
    access_history,
)
from gateway.mail.address import Address, parse_address
from gateway.mail.ids import AccountId, AgencyId
from gateway.mail.networks import is_within, network_of
from gateway.ports import Clock, Entropy, KeyForgotten, KeyStore, Lane, Tokens
from gateway.processes.recent import Recent
from gateway.processes.signin import app_passwords
from gateway.processes.signin.bans import Bans
from gateway.processes.signin.passwords import Passwords, mark_of, verifier_of
from gateway.processes.signin.people import People
from gateway.processes.signin.throttle import Throttle
from gateway.processes.signin.totp import Codes, operator_secret_name, secret_name
from gateway.processes.traffic_seal import TrafficSeal
from gateway.protocols.sasl.exchange import Claim, PasswordClaim, ProofClaim, TokenClaim, Verifiers
from gateway.protocols.sasl.scram import ITERATIONS
from projections.directory.query import AppPasswordRow, Person

UNRECORDED_NETWORKS_MAX: Final = 10_000
SCRAM_NONCE_OCTETS: Final = 18
STILL_S: Final = 5.0  # who is shut out while signed in sends no mail after that
STILL_MAX: Final = 20_000


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a sign-in comes from."""

    protocol: Protocol | Literal["web"]
    mechanism: str
    remote_ip: str
    helo: str = ""


@dataclass(frozen=True, slots=True)
class ClaimRefused:
    reason: Refusal


@dataclass(frozen=True, slots=True)
class _Finding:
    """What a claim is worth. app_id: the app password that was shown to be known."""

    reason: Refusal | None
    app_id: str = ""


class SignIns:
    """Lets people in, for all sessions of one process."""

    def __init__(
        self,
        *,
        people: People,
        tokens: Tokens,
        keys: KeyStore,
        lane: Lane,
        clock: Clock,
        entropy: Entropy,
        by: By,
        bans: Bans | None = None,
    ) -> None:
        """bans: None is nobody's."""
        self._bans = bans
        self._people, self._tokens, self._keys, self._lane = people, tokens, keys, lane
        self._clock, self._entropy, self._by = clock, entropy, by
        self._seal = TrafficSeal(keys, entropy)
        self._passwords = Passwords(clock, entropy)
        self._codes = Codes()
        self._recent = Recent[AccountId, Person](clock, holds_s=STILL_S, known_max=STILL_MAX)
        self._throttle = Throttle(clock)
        # Refusals that were not worth an event of their own, by network: the next event has their number.
        self._unrecorded: OrderedDict[str, int] = OrderedDict()

    async def still(self, person: Person) -> Person | ClaimRefused:
        """Somebody who came in, as the rows have them by now, or why not any more. Raises Unavailable."""
        found = self._recent.get(person.account_id)
        if found is None:
            found = await self._people.find(person.address.normalise())
            if found is not None:
                self._recent.keep(person.account_id, found)
        refusal = "closed" if found is None else _refusal_of_status(found)
        if refusal is not None:
            return ClaimRefused(refusal)
        assert found is not None, "who is gone is refused"
        return found

    async def mark(self, username: str) -> bytes:
        """Stands for the password that user name has now (`mark_of`). Raises Unavailable."""
        if "@" not in username:
            return await mark_of(self._keys, operator_verifier_name(username))
        person = await self._person(username)
        return b"" if person is None else await mark_of(self._keys, verifier_name(person.account_id))

    async def verifiers(self, username: str, remote_ip: str) -> Verifiers | ClaimRefused:
        """What SCRAM goes on with; of somebody who is not here it looks the same. Raises Unavailable."""
        if self.has_to_wait(username, remote_ip):
            return ClaimRefused("throttled")
        person = await self._person(username)
        apps = [] if person is None else await self._people.app_passwords(person.account_id)
        return Verifiers(
            salt=await app_passwords.salt_of(self._keys, _whose(person, username)),
            iterations=ITERATIONS,
            nonce=base64.b64encode(self._entropy(SCRAM_NONCE_OCTETS)).decode(),
            verifiers=await app_passwords.kept(self._keys, (app.app_id for app in apps)),
        )

    async def check(self, claim: Claim, origin: Origin, code: str = "") -> Person | ClaimRefused:
        """The person, or why not; the fact is durable. Raises Unavailable, Full, Deposed.

        code: of an authenticator, which those who have one show to administer (protocol `web`).
        """
        if self.has_to_wait(claim.username, origin.remote_ip):
            return ClaimRefused("throttled")
        person = await self._person(claim.username)
        finding = await self._find(claim, origin, person)
        if finding.reason is None and person is not None and origin.protocol == "web":
            finding = await self._second(person, code)
        if finding.reason is None:
            self._throttle.succeeded(_name(claim.username), origin.remote_ip)
        elif finding.reason in (
            "unknown",
            "password",
            "code",
        ):  # a token is not guessed, and phones show old ones
            await self._failed(claim.username, origin.remote_ip)
        await self._record(claim.username, origin, person, finding)
        if finding.reason is not None:
            return ClaimRefused(finding.reason)
        assert person is not None, "nobody is let in"
        return person

    def may_show_code(self, remote_ip: str) -> bool:
        """False: too many codes of that network were none, and this one is not to be looked at."""
        return not self.has_to_wait(_codes_of(remote_ip), remote_ip)

    async def check_vouched(
        self, username: str, agency_id: AgencyId, origin: Origin
    ) -> Person | ClaimRefused:
        """Somebody whom this agency's provider has just named to us. Raises as `check`.

        A provider speaks for its own agency: of another's people it is not believed. username: "": it named
        nobody for the code that the browser brought.
        """
        person = await self._person(username)
        if person is not None and person.agency_id != agency_id:
            person = None
        reason = self._shut_out(person)
        if person is None:
            reason = "unknown" if username else "token"
        if reason is None:
            self._throttle.succeeded(_codes_of(origin.remote_ip), origin.remote_ip)
        elif reason == "token":
            await self._failed(_codes_of(origin.remote_ip), origin.remote_ip)
        await self._record(username, origin, person, _Finding(reason))
        if reason is not None:
            return ClaimRefused(reason)
        assert person is not None, "nobody is let in"
        return person

    async def check_operator(
        self, claim: PasswordClaim, origin: Origin, code: str = "", *, is_appointed: bool
    ) -> ClaimRefused | None:
        """An operator by user name, without an account (`saraban init`). None: it is that operator.

        is_appointed: whether there is one of that name; if not, it is refused as slowly. Raises as `check`.
        """
        if self.has_to_wait(claim.username, origin.remote_ip):
            return ClaimRefused("throttled")
        name = operator_verifier_name(claim.username)
        verifier = await verifier_of(self._keys, name) if is_appointed else None
        reason: Refusal | None = None
        is_right = await self._passwords.is_right(claim.password, verifier)
        if is_right and not await self._shows_code(operator_secret_name(claim.username), code):
            await self._failed(claim.username, origin.remote_ip)
            reason = "code"
        elif is_right:
            self._throttle.succeeded(_name(claim.username), origin.remote_ip)
        else:
            await self._failed(claim.username, origin.remote_ip)
            reason = "password" if is_appointed else "unknown"
        operator = Actor("operator", claim.username)
        await self._record(claim.username, origin, None, _Finding(reason), operator)
        return ClaimRefused(reason) if reason else None

    def check_code(self, username: str, remote_ip: str, secret: str, code: str) -> bool | ClaimRefused:
        """Whether a code is one of a secret, of somebody who is signed in; throttled as passwords are."""
        if self.has_to_wait(username, remote_ip):
            return ClaimRefused("throttled")
        if self._codes.is_right(secret, code, self._clock.now()):
            return True
        self._throttle.failed(_name(username), remote_ip)
        return False

    def has_to_wait(self, username: str, remote_ip: str) -> bool:
        """True: there were too many failures, and this is not to be looked at; it is counted."""
        is_banned = self._bans is not None and self._bans.of_network(remote_ip) is not None
        if not is_banned and self._throttle.wait_s(_name(username), remote_ip) == 0:
            return False
        network = network_of(remote_ip)
        self._unrecorded[network] = self._unrecorded.pop(network, 0) + 1
        if len(self._unrecorded) > UNRECORDED_NETWORKS_MAX:
            self._unrecorded.popitem(last=False)
        return True

    async def refuse_invitation(self, username: str, origin: Origin) -> ClaimRefused:
        """Somebody showed a code that is no invitation of theirs: counted and on record as a password."""
        await self._failed(username, origin.remote_ip)
        await self._record(username, origin, await self._person(username), _Finding("invitation"))
        return ClaimRefused("invitation")

    async def _failed(self, username: str, remote_ip: str) -> None:
        """Count it. Who goes on after the longest wait is banned with the whole network."""
        if self._throttle.failed(_name(username), remote_ip) and self._bans is not None:
            await self._bans.guesses(remote_ip)
            if self._bans.of_network(remote_ip) is not None:
                self._throttle.forget_network(remote_ip)

    async def _person(self, username: str) -> Person | None:
        address = _address(username)
        return None if address is None else await self._people.find(address)

    async def _find(self, claim: Claim, origin: Origin, person: Person | None) -> _Finding:
        """Whether the claim is true, and the person may come in."""
        if isinstance(claim, TokenClaim):
            reason = await self._refusal_of_token(claim, person)
            return _Finding(reason or self._shut_out(person))
        # Administration is for people, not for programs: an app password is none there.
        app_id = await self._app_password(claim, person) if origin.protocol != "web" else None
        if app_id is None and not await self._has_own_password(claim, person):
            return _Finding("unknown" if person is None else "password")
        assert person is not None, "nobody's password is right"
        if (refusal := self._shut_out(person)) is not None:
            return _Finding(refusal, app_id or "")
        if claim.acts_as and _address(claim.acts_as) not in person.addresses:
            return _Finding("acts-as", app_id or "")
        if app_id is None:
            return _Finding(None)
        apps = {app.app_id: app for app in await self._people.app_passwords(person.account_id)}
        return _Finding(_refusal_of(apps.get(app_id), origin, self._clock.now()), app_id)

    async def _second(self, person: Person, code: str) -> _Finding:
        """The second thing to show, for who has an authenticator."""
        is_right = await self._shows_code(secret_name(person.account_id), code)
        return _Finding(None if is_right else "code")

    async def _shows_code(self, name: str, code: str) -> bool:
        """True also where there is no authenticator. name: of its secret in the KeyStore."""
        try:
            secret = (await self._keys.get(name)).decode()
        except (KeyError, KeyForgotten):
            return True
        return not secret or self._codes.is_right(secret, code, self._clock.now())

    def _shut_out(self, person: Person | None) -> Refusal | None:
        """Who shows to be that person, and may not come in all the same."""
        if person is not None and self._bans is not None and self._bans.of_account(person.account_id):
            return _refusal_of_status(person) or "banned"
        return _refusal_of_status(person)

    async def _refusal_of_token(self, claim: TokenClaim, person: Person | None) -> Refusal | None:
        """None: the provider of the person's agency says that the token is that person's."""
        if person is None:
            return "unknown"
        provider = await self._people.provider(person.agency_id)
        if provider is None:
            return "no-provider"
        secret = ""
        if provider.client_id:
            with contextlib.suppress(KeyError, KeyForgotten):
                secret = (await self._keys.get(identity_secret_name(person.agency_id))).decode()
        holder = await self._tokens.holder(provider, secret, claim.token)
        return None if holder and _address(holder.name) in person.addresses else "token"

    async def _app_password(self, claim: Claim, person: Person | None) -> str | None:
        """The id of the app password that the client has shown to know."""
        if isinstance(claim, ProofClaim):
            return claim.verifier_id if person is not None else None
        if not isinstance(claim, PasswordClaim) or not app_passwords.has_shape(claim.password):
            return None
        salt = await app_passwords.salt_of(self._keys, _whose(person, claim.username))
        apps = [] if person is None else await self._people.app_passwords(person.account_id)
        verifiers = await app_passwords.kept(self._keys, (app.app_id for app in apps))
        return await asyncio.to_thread(app_passwords.matching, claim.password, salt, verifiers)

    async def _has_own_password(self, claim: Claim, person: Person | None) -> bool:
        if not isinstance(claim, PasswordClaim):
            return False
        name = None if person is None else verifier_name(person.account_id)
        verifier = None if name is None else await verifier_of(self._keys, name)
        return await self._passwords.is_right(claim.password, verifier)

    async def _record(
        self,
        username: str,
        origin: Origin,
        person: Person | None,
        finding: _Finding,
        operator: Actor | None = None,
    ) -> None:
        at = self._clock.now()
        agency_id = None if person is None else person.agency_id
        secret = SignInSecret(username, origin.remote_ip, origin.helo)
        sealed, key_name = await self._seal.seal(secret, agency_id, at, label=SIGN_INS)
        account_id = None if person is None else person.account_id
        someone = operator if account_id is None else Actor("account", account_id)
        actor = Actor("remote") if someone is None or finding.reason else someone
        carried = Stamp(at=at, actor=actor, by=self._by).fields() | {
            "account_id": account_id,
            "protocol": origin.protocol,
            "mechanism": origin.mechanism,
            "app_id": finding.app_id,
            "sealed": sealed,
            "sealed_key": key_name,
        }
        if finding.reason is None:
            fact = Fact(access_history(agency_id), SignInAccepted(**carried))
        else:
            unrecorded = self._unrecorded.pop(network_of(origin.remote_ip), 0)
            refused = SignInRefused(**carried, reason=finding.reason, unrecorded=unrecorded)
            fact = Fact(access_history(agency_id), refused)
        await self._lane.append([fact])


def _refusal_of_status(person: Person | None) -> Refusal | None:
    if person is None or person.status == "active":
        return None
    return person.status if person.status in ("closed", "trial-ended") else "suspended"


def _refusal_of(app: AppPasswordRow | None, origin: Origin, now: datetime) -> Refusal | None:
    """Whether an app password is for this; None of one that was revoked just now."""
    if app is None:
        return "password"
    if app.expires_at is not None and app.expires_at <= now:
        return "expired"
    if app.protocols and origin.protocol not in app.protocols:
        return "protocol"
    if app.networks and not is_within(origin.remote_ip, map(ipaddress.ip_network, app.networks)):
        return "network"
    return None


def _whose(person: Person | None, username: str) -> str:
    """Whose salt it is: no account's id has a space."""
    return f"nobody {_name(username)}" if person is None else person.account_id


def _codes_of(remote_ip: str) -> str:
    """What codes of providers are counted by: they name nobody, and come from somewhere."""
    return f"code {network_of(remote_ip)}"


def _name(username: str) -> str:
    """One form of a user name, as failures are counted by."""
    address = _address(username)
    return username.casefold() if address is None else str(address)


def _address(username: str) -> Address | None:
    try:
        return parse_address(username).normalise()
    except ValueError:
        return None

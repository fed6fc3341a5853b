"""What an OpenID provider tells: about itself, its keys, and in answer to requests of ours.

Source: OpenID Connect Discovery 1.0 §4, RFC 7517 (JWK Set), RFC 7519 §4 (claims), RFC 8725 (algorithms),
RFC 6749 §2.3.1 (our name and secret there).
"""

import asyncio
import base64
import json
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote_plus, urlencode, urlsplit

import urllib3
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from gateway.domain.agency import IdentityProvider
from gateway.ports import Clock, Unavailable

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
CONFIGURATION_S: Final = 3600.0
KEYS_S: Final = 300.0
KEYS_AGAIN_S: Final = 30.0  # for a key that is not among them: a provider changes its keys
ANSWER_OCTETS_MAX: Final = 1024 * 1024
PIECE_OCTETS: Final = 64 * 1024
TIMEOUT_S: Final = 5.0  # to connect, and for each piece of an answer
ANSWER_S: Final = 15.0  # for all of it
DOWN_S: Final = 5.0  # one that could not be reached is not tried again so soon
AT_ONCE: Final = 8  # requests; they wait for one another and for nothing else


class NotValid(Exception):
    """What was shown is nothing that we may let somebody in by."""


@dataclass(slots=True)
class _Known:
    """What a provider has told about itself."""

    configuration: dict[str, Any]
    until: float
    keys: KeySet | None = None
    keys_until: float = 0.0
    keys_asked_at: float = 0.0


class OpenIdProviders:
    """Asks providers, and remembers what they tell about themselves. All raise Unavailable."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._http = urllib3.PoolManager(retries=False, timeout=TIMEOUT_S, maxsize=AT_ONCE)
        # Threads of their own: a provider that is slow must not keep passwords from being checked.
        self._threads = ThreadPoolExecutor(AT_ONCE, "identity provider")
        self._down_until: dict[str, float] = {}  # by host and port
        self._known: dict[str, _Known] = {}

    async def configuration(self, issuer: str) -> dict[str, Any]:
        return (await self._provider(issuer)).configuration

    async def endpoint(self, issuer: str, name: str) -> str:
        """One that a provider has to have."""
        found = (await self.configuration(issuer)).get(name)
        if not isinstance(found, str):
            raise Unavailable("identity provider", f"{issuer} says no {name}")
        _check_scheme(found)
        return found

    async def verified(self, issuer: str, token: str) -> dict[str, Any]:
        """The claims of a token that its issuer signed. Raises NotValid."""
        known = await self._provider(issuer)
        for is_again in (False, True):
            keys = await self._keys(known, again=is_again)
            try:
                return dict(jwt.decode(token, keys, algorithms=list(ALGORITHMS)).claims)
            except (JoseError, ValueError) as error:
                if is_again or self._clock.monotonic() - known.keys_asked_at < KEYS_AGAIN_S:
                    raise NotValid("not signed by its issuer") from error
        raise AssertionError("the second time decides")

    async def post(
        self,
        issuer: str,
        endpoint: str,
        client: tuple[str, str],
        said: dict[str, str],
        refusals: Collection[int] = (),
    ) -> dict[str, Any]:
        """What it answers to a form of ours. client: our name and secret there. Raises NotValid.

        refusals: statuses by which it says that what was shown is not valid.
        """
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        methods = (await self.configuration(issuer)).get("token_endpoint_auth_methods_supported")
        if isinstance(methods, list) and "client_secret_basic" not in methods:
            said = said | {"client_id": client[0], "client_secret": client[1]}
        else:
            headers["Authorization"] = basic(*client)
        return await self.json("POST", endpoint, refusals, body=urlencode(said), headers=headers)

    async def json(
        self, method: str, url: str, refusals: Collection[int] = (), **more: Any
    ) -> dict[str, Any]:
        _check_scheme(url)
        where = urlsplit(url).netloc
        try:
            asking = asyncio.get_running_loop().run_in_executor(
                self._threads, self._request, method, url, more
            )
            status, answer = await asking
            if status in refusals:
                raise NotValid(f"{where} answers {status}")
            if status != 200:
                raise ValueError(f"{method} is answered by {status}")
            found = json.loads(answer)
        except urllib3.exceptions.HTTPError as error:
            self._down_until[where] = self._clock.monotonic() + DOWN_S
            raise Unavailable("identity provider", f"{where}: {error}") from error
        except ValueError as error:
            raise Unavailable("identity provider", f"{where}: {error}") from error
        if not isinstance(found, dict):
            raise Unavailable("identity provider", f"{where} answers no JSON object")
        return found

    async def _provider(self, issuer: str) -> _Known:
        now = self._clock.monotonic()
        known = self._known.get(issuer)
        if known is not None and known.until > now:
            return known
        url = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
        configuration = await self.json("GET", url)
        if configuration.get("issuer") != issuer:  # OpenID Connect Discovery §4.3
            raise Unavailable("identity provider", f"{issuer} calls itself otherwise")
        known = self._known[issuer] = _Known(configuration, now + CONFIGURATION_S)
        return known

    async def _keys(self, known: _Known, *, again: bool) -> KeySet:
        now = self._clock.monotonic()
        if known.keys is None or known.keys_until <= now or again:
            known.keys_asked_at = now
            found = await self.json("GET", str(known.configuration.get("jwks_uri", "")))
            try:
                known.keys = KeySet.import_key_set(found)  # type: ignore[arg-type]  # it checks the shape
            except (JoseError, ValueError, KeyError, TypeError) as error:
                raise Unavailable("identity provider", "its keys cannot be read") from error
            known.keys_until = now + KEYS_S
        return known.keys

    def _request(self, method: str, url: str, more: dict[str, Any]) -> tuple[int, bytes]:
        now = self._clock.monotonic()
        if self._down_until.get(urlsplit(url).netloc, now) > now:
            raise ValueError("it could not be reached just now")
        until = now + ANSWER_S
        answer = self._http.request(method, url, redirect=False, preload_content=False, **more)
        octets = b""
        try:
            while piece := answer.read1(PIECE_OCTETS):
                octets += piece
                if len(octets) > ANSWER_OCTETS_MAX or self._clock.monotonic() > until:
                    raise ValueError("it answers too much, or too slowly")
        except BaseException:
            answer.close()  # what it still says must not be the answer to another request
            raise
        answer.release_conn()
        return answer.status, octets


def basic(client_id: str, secret: str) -> str:
    """Our name and secret, each as in a form first (RFC 6749 §2.3.1)."""
    pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def check_times(claims: dict[str, Any], now: datetime) -> datetime:
    """When they end. Raises NotValid: they have ended, do not say when, or are not valid yet."""
    expires_at = _instant(claims.get("exp"))
    if expires_at is None or expires_at <= now or (_instant(claims.get("nbf")) or now) > now:
        raise NotValid("expired, or not valid yet")
    return expires_at


def check_audience(claims: dict[str, Any], audience: str) -> None:
    """Raises NotValid: they are for somebody else."""
    said = claims.get("aud")
    if audience not in (said if isinstance(said, list) else [said]):
        raise NotValid("for another audience")


def name_in(claims: dict[str, Any], provider: IdentityProvider) -> str:
    """The person's address. Raises NotValid: there is none that the provider has verified."""
    name = claims.get(provider.claim)
    if not isinstance(name, str) or claims.get(f"{provider.claim}_verified", True) is not True:
        raise NotValid(f"without a {provider.claim} that is verified")
    return name


def _check_scheme(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in ("127.0.0.1", "::1", "localhost"):
        raise Unavailable("identity provider", "its addresses are not https")


def _instant(said: object) -> datetime | None:
    """NumericDate (RFC 7519 §2)."""
    if not isinstance(said, int | float) or isinstance(said, bool) or not 0 <= said < 2**33:
        return None
    return datetime.fromtimestamp(said, UTC)

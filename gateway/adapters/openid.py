"""Tokens of OpenID providers, checked with the provider: by asking it where it lets us, else by its keys.

What was valid is remembered for at most 4 minutes, so that who is shut out there is shut out here within 5.
With keys alone a token is good until it expires, whatever the provider has decided since.

Source: OpenID Connect Discovery 1.0 §4, RFC 7517 (JWK Set), RFC 7519 §4 (claims), RFC 8725 (algorithms),
RFC 9068 (access tokens), RFC 7662 (introspection).
"""

import asyncio
import base64
import hashlib
import hmac
import json
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import msgspec
import urllib3
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from gateway.domain.agency import IdentityProvider
from gateway.ports import Clock, Entropy, TokenHolder, Unavailable

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
REMEMBERED: Final = timedelta(minutes=4)
REMEMBERED_MAX: Final = 50_000
CONFIGURATION_S: Final = 3600.0
KEYS_S: Final = 300.0
KEYS_AGAIN_S: Final = 30.0  # for a key that is not among them: a provider changes its keys
ANSWER_OCTETS_MAX: Final = 1024 * 1024
PIECE_OCTETS: Final = 64 * 1024
TIMEOUT_S: Final = 5.0  # to connect, and for each piece of an answer
ANSWER_S: Final = 15.0  # for all of it


class NotValid(Exception):
    """The token is not what we may let somebody in by."""


@dataclass(slots=True)
class _Known:
    """What a provider has told about itself."""

    configuration: dict[str, Any]
    until: float
    keys: KeySet | None = None
    keys_until: float = 0.0
    keys_asked_at: float = 0.0


class OpenIdTokens:
    """The port Tokens."""

    def __init__(self, clock: Clock, entropy: Entropy) -> None:
        self._clock = clock
        self._http = urllib3.PoolManager(retries=False, timeout=TIMEOUT_S, maxsize=8)
        self._providers: dict[str, _Known] = {}
        self._key = entropy(32)
        self._valid: OrderedDict[bytes, TokenHolder] = OrderedDict()

    async def holder(self, provider: IdentityProvider, secret: str, token: str) -> TokenHolder | None:
        about = "\0".join((*msgspec.structs.astuple(provider), token))
        known = hmac.digest(self._key, about.encode(), hashlib.sha256)
        found = self._valid.get(known)
        if found is not None and found.until > self._clock.now():
            return found
        try:
            found = await self._ask(provider, secret, token)
        except NotValid:
            return None
        self._valid[known] = found
        self._valid.move_to_end(known)
        if len(self._valid) > REMEMBERED_MAX:
            self._valid.popitem(last=False)
        return found

    async def _ask(self, provider: IdentityProvider, secret: str, token: str) -> TokenHolder:
        known = await self._provider(provider.issuer)
        introspection = known.configuration.get("introspection_endpoint")
        if introspection and provider.client_id and secret:
            claims = await self._introspected(str(introspection), provider.client_id, secret, token)
        else:
            claims = await self._verified(known, token)
        now = self._clock.now()
        expires_at = _instant(claims.get("exp"))
        if expires_at is None or expires_at <= now or (_instant(claims.get("nbf")) or now) > now:
            raise NotValid("expired, or not valid yet")
        if claims.get("iss", provider.issuer) != provider.issuer:
            raise NotValid("of another issuer")
        audience = claims.get("aud")
        if provider.audience not in (audience if isinstance(audience, list) else [audience]):
            raise NotValid("for another audience")
        name = claims.get(provider.claim)
        if not isinstance(name, str) or claims.get(f"{provider.claim}_verified", True) is not True:
            raise NotValid(f"without a {provider.claim} that is verified")
        return TokenHolder(name, min(expires_at, now + REMEMBERED))

    async def _verified(self, known: _Known, token: str) -> dict[str, Any]:
        """The claims of a signed token."""
        for is_again in (False, True):
            keys = await self._keys(known, again=is_again)
            try:
                return dict(jwt.decode(token, keys, algorithms=list(ALGORITHMS)).claims)
            except (JoseError, ValueError) as error:
                if is_again or self._clock.monotonic() - known.keys_asked_at < KEYS_AGAIN_S:
                    raise NotValid("not signed by its issuer") from error
        raise AssertionError("the second time decides")

    async def _introspected(self, endpoint: str, client_id: str, secret: str, token: str) -> dict[str, Any]:
        """What the provider says of the token now."""
        credentials = base64.b64encode(f"{client_id}:{secret}".encode()).decode()
        body = urlencode({"token": token, "token_type_hint": "access_token"})
        headers = {
            "Authorization": f"Basic {credentials}",
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "application/json",
        }
        answer = await self._json("POST", endpoint, body=body, headers=headers)
        if answer.get("active") is not True:
            raise NotValid("not active")
        return answer

    async def _provider(self, issuer: str) -> _Known:
        now = self._clock.monotonic()
        known = self._providers.get(issuer)
        if known is not None and known.until > now:
            return known
        url = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
        configuration = await self._json("GET", url)
        if configuration.get("issuer") != issuer:  # OpenID Connect Discovery §4.3
            raise Unavailable("identity provider", f"{issuer} calls itself otherwise")
        known = self._providers[issuer] = _Known(configuration, now + CONFIGURATION_S)
        return known

    async def _keys(self, known: _Known, *, again: bool) -> KeySet:
        now = self._clock.monotonic()
        if known.keys is None or known.keys_until <= now or again:
            known.keys_asked_at = now
            found = await self._json("GET", str(known.configuration.get("jwks_uri", "")))
            try:
                known.keys = KeySet.import_key_set(found)  # type: ignore[arg-type]  # it checks the shape
            except (JoseError, ValueError, KeyError, TypeError) as error:
                raise Unavailable("identity provider", "its keys cannot be read") from error
            known.keys_until = now + KEYS_S
        return known.keys

    async def _json(self, method: str, url: str, **more: Any) -> dict[str, Any]:
        parts = urlsplit(url)
        if parts.scheme != "https" and parts.hostname not in ("127.0.0.1", "::1", "localhost"):
            raise Unavailable("identity provider", "its addresses are not https")
        try:
            answer = await asyncio.to_thread(self._request, method, url, more)
            found = json.loads(answer)
        except (urllib3.exceptions.HTTPError, ValueError) as error:
            raise Unavailable("identity provider", f"{parts.netloc}: {error}") from error
        if not isinstance(found, dict):
            raise Unavailable("identity provider", f"{parts.netloc} answers no JSON object")
        return found

    def _request(self, method: str, url: str, more: dict[str, Any]) -> bytes:
        until = self._clock.monotonic() + ANSWER_S
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
        if answer.status != 200:
            raise ValueError(f"{method} is answered by {answer.status}")
        return octets


def _instant(said: object) -> datetime | None:
    """NumericDate (RFC 7519 §2)."""
    if not isinstance(said, int | float) or isinstance(said, bool) or not 0 <= said < 2**33:
        return None
    return datetime.fromtimestamp(said, UTC)

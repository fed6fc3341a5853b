"""Tokens of OpenID providers, checked with the provider: by asking it where it lets us, else by its keys.

What was valid is remembered for at most 4 minutes, so that who is shut out there is shut out here within 5.
With keys alone a token is good until it expires, whatever the provider has decided since.

Source: RFC 9068 (access tokens), RFC 7662 (introspection).
"""

import hashlib
import hmac
from collections import OrderedDict
from datetime import timedelta
from typing import Any, Final

import msgspec

from gateway.adapters.openid_provider import NotValid, OpenIdProviders, check_audience, check_times, name_in
from gateway.domain.agency import IdentityProvider
from gateway.ports import Clock, Entropy, TokenHolder

REMEMBERED: Final = timedelta(minutes=4)
REMEMBERED_MAX: Final = 50_000


class OpenIdTokens:
    """The port Tokens."""

    def __init__(self, clock: Clock, entropy: Entropy) -> None:
        self._clock = clock
        self._providers = OpenIdProviders(clock)
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
        configuration = await self._providers.configuration(provider.issuer)
        introspection = configuration.get("introspection_endpoint")
        if introspection and provider.client_id and secret:
            claims = await self._introspected(provider, str(introspection), secret, token)
        else:
            claims = await self._providers.verified(provider.issuer, token)
        now = self._clock.now()
        expires_at = check_times(claims, now)
        if claims.get("iss", provider.issuer) != provider.issuer:
            raise NotValid("of another issuer")
        check_audience(claims, provider.audience)
        return TokenHolder(name_in(claims, provider), min(expires_at, now + REMEMBERED))

    async def _introspected(
        self, provider: IdentityProvider, endpoint: str, secret: str, token: str
    ) -> dict[str, Any]:
        """What the provider says of the token now."""
        said = {"token": token, "token_type_hint": "access_token"}
        answer = await self._providers.post(provider.issuer, endpoint, (provider.client_id, secret), said)
        if answer.get("active") is not True:
            raise NotValid("not active")
        return answer
